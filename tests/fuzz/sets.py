"""A data set's files: videos and labels, features of others, captions, temporal truth, predictions."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import safetensors.numpy

from fuzz.kind import Example, Read, wanted_name
from refinevad.datasets.benchmarks import read_shanghaitech_split, read_ucf_split
from refinevad.datasets.dataset import FeatureIndex, Item, read_dataset
from refinevad.datasets.feature_lists import read_feature_list
from refinevad.datasets.published import PublishedSet, PublishedVideo
from refinevad.datasets.sources import read_groups
from refinevad.datasets.ucf_crime import left_aside, read_test_videos, read_training_videos
from refinevad.features.store import Features, Provenance, save_features
from refinevad.judging.official_truth import official_truth
from refinevad.judging.predictions import VideoPrediction, read_predictions
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.truth import Truth
from refinevad.judging.truth_files import folder_truth, read_events_csv, read_truth_json
from refinevad.judging.truth_rows import match_events
from refinevad.timeline import FIELD_SEGMENT_FRAMES, SegmentRule, Timeline

_FRAMES = 48  # of each video that there is truth of


def _as(folder: Path, path: Path) -> Path:
    """The input in the place of the whole file of its name."""
    place = folder / wanted_name(path)
    shutil.copyfile(path, place)
    return place


def events(_: Path) -> list[Example]:
    rows = 'a/b.mp4,1.5,2.5,fall\na/c.mp4,0,3,fight\n"d,e.mp4",10,20.25,fall\n'
    return [(".csv", f"path,start_s,end_s,category\n{rows}".encode())]


def read_events(path: Path) -> None:
    found = read_events_csv(path)
    labels = dict.fromkeys(("a/b.mp4", "a/c.mp4", "d,e.mp4"), ("fall", "fight"))
    timelines = {name: Timeline.uniform(900, 25.0, SegmentRule(seconds=0.64)) for name in labels}
    matched = match_events(path, found, labels, timelines, lenient=True)
    _judge(folder_truth(matched.events, timelines, labels, ("normal", "fall", "fight")))


def videos(folder: Path) -> list[Example]:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (folder / name).write_bytes(b"video")
    return [
        ("-videos.csv", b"path,labels,split,source\na.mp4,fall,train,x\nb.mp4,fall;fight,val,y\nc.mp4,normal,test,x\n"),
        ("-videos.csv", b"path,labels,fold\na.mp4,fall,0\nb.mp4,fall;fight,1\nc.mp4,normal,2\n"),
        ("-shots.csv", b"path,source,shot\na.mp4,x,1\na.mp4,y,2\nb.mp4,x,3\nc.mp4,z,4\n"),
    ]


def read_videos(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        (folder / "videos.csv").write_text("path,labels,split\na.mp4,fall,train\nc.mp4,normal,test\n")
        _as(folder, path)
        names = [item.name for item in read_dataset(folder)]
        read_groups(folder, [*names, "a", "b", "c"])

    return read


def index(folder: Path) -> list[Example]:
    """dataset.json of a folder of features, and of features that others published."""
    rule = SegmentRule(frames=FIELD_SEGMENT_FRAMES)
    items = [Item("train/a.mp4", ("fall",), "train"), Item("test/b.mp4", (), "test")]
    for item in items:
        timeline = Timeline.uniform(64, 25.0, rule)
        values = Features(np.ones((4, 3), np.float32), timeline, Provenance({"name": "x"}, rule.as_dict()))
        save_features(folder / f"{item.name}.safetensors", values)
        np.save(folder / f"{Path(item.name).name}.npy", np.ones((4, 3), np.float32))
    own = FeatureIndex(folder, items, "lite", "videos")
    lie = {item.path: PublishedVideo({0: f"{Path(item.name).name}.npy"}, 0, 4) for item in items}
    published = PublishedSet(str(folder), "", 25.0, 3, 0, None, None, lie)
    examples = []
    for each in (own, FeatureIndex(folder, items, "published", "videos", published)):
        each.save()
        examples.append(("-dataset.json", (folder / "dataset.json").read_bytes()))
    return examples


def read_index(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        _as(folder, path)
        found = FeatureIndex.open(folder)
        found.channels()
        for features in found.stored(found.items):
            features.values.sum()

    return read


def npy(_: Path) -> list[Example]:
    examples = []
    for dtype in ("<f4", ">f8", "<f2"):
        file = io.BytesIO()
        np.save(file, np.ones((5, 10, 4), dtype))
        examples.append((".npy", file.getvalue()))
    return examples


def predictions(_: Path) -> list[Example]:
    scores = {"a": np.linspace(0, 1, 3), "b": np.full((3, 3), 1 / 3)}
    file = io.BytesIO()
    np.savez(file, **scores)
    tree = {name: values.tolist() for name, values in scores.items()}
    return [
        (".npz", file.getvalue()),
        (".json", json.dumps(tree).encode()),
        (".safetensors", safetensors.numpy.save(scores)),
    ]


def read_and_judge_predictions(path: Path) -> None:
    entries = [{"name": name, "label": "fall", "frames": _FRAMES, "anomalous_frames": [[16, 32]]} for name in "ab"]
    place = path.with_name("truth-of-predictions.json")
    place.write_text(json.dumps({"columns": ["normal", "fall", "fight"], "videos": entries}))
    evaluate_predictions(read_predictions(path), read_truth_json(place), "strict", allow_missing=True)


def truth(_: Path) -> list[Example]:
    video = {"name": "a", "label": "fall", "frames": 48, "segments": [[16, 32]], "segment_labels": ["fall"]}
    whole = {**video, "anomalous_frames": [[16, 32]]}
    normal = {"name": "b", "label": "normal", "frames": 100, "anomalous_frames": []}
    return [(".json", json.dumps({"columns": ["normal", "fall"], "videos": [whole, normal]}).encode())]


def read_and_judge(path: Path) -> None:
    _judge(read_truth_json(path))


def _judge(found: Truth) -> None:
    """Scores that rise, by the truth: what stands in it is reckoned with."""
    rising = {
        video.name: VideoPrediction.of(np.linspace(0, 1, max(video.timeline.segments, 1))) for video in found.videos
    }
    evaluate_predictions(rising, found, "strict")


def annotations(_: Path) -> list[Example]:
    """The benchmarks' own texts, each under its own name."""
    mask = io.BytesIO()
    np.save(mask, np.repeat([0, 1, 0, 0], _FRAMES // 2).astype(np.int64))
    columns = "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly"
    rows = f"{columns}\nFire_1,x,48,5,20\nNormal_1,x,48,,\n"
    return [
        (
            "-Temporal_Anomaly_Annotation.txt",
            b"Abuse028_x264.mp4  Abuse  165  240  -1  -1  \nNormal_1.mp4 Normal -1 -1 -1 -1\n",
        ),
        ("-annotations.txt", b"a__#0_label_B1-0-0 5 20 30 40\nb__#0_label_G-B2-B6 1 9\n"),
        ("-sh-gt.npy", mask.getvalue()),
        ("-anomaly_annotation.csv", rows.encode()),
        ("-UCSDped2.m", b"TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [5:20, 30:40];\n"),
        ("-Anomaly_Train.txt", b"Abuse/Abuse001_x264.mp4\nTraining_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4\n"),
        ("-test.list", b"x/01_0014_0.npy 1.0\nx/01_0014_1.npy 1.0\nx/01_001_0.npy 0\n"),
        ("-features.csv", b"path,label\n/home/a/Abuse001_x264__0.npy,Abuse\n/home/a/Normal_1__0.npy,Normal\n"),
    ]


_VIDEOS_OF = {
    "Temporal_Anomaly_Annotation.txt": ("Abuse028_x264", "Normal_1"),
    "annotations.txt": ("a__#0_label_B1-0-0", "b__#0_label_G-B2-B6", "c__#0_label_A"),
    "sh-gt.npy": ("01_0014", "01_001"),
    "anomaly_annotation.csv": ("Fire_1", "Normal_1"),
    "UCSDped2.m": ("Test001", "Train001"),
}
_SPLITS = {"Anomaly_Train.txt": read_ucf_split, "test.list": read_shanghaitech_split, "features.csv": read_feature_list}


def read_annotation(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        place = folder / "annotation"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        file = _as(place, path)
        if file.name in _SPLITS:
            _SPLITS[file.name](file)
            return
        found = official_truth(place, dict.fromkeys(_VIDEOS_OF[file.name], _FRAMES))
        assert found is not None, "an annotation that is there is not found"
        _judge(found)

    return read


def ucf_captions(_: Path) -> list[Example]:
    """The folder of UCF-Crime's human captions: three files that name each other's videos."""
    said = {"captions": [[0.0, 1.5, "A street."]], "duration_s": 5.0}
    whole = {"Abuse001_x264": said, "Normal_Videos001_x264": said, "Abuse028_x264": said}
    test = {"videos": [{"name": "Abuse028_x264", "label": "Abuse", "frames": 150}]}
    return [
        ("-captions.json", json.dumps(whole).encode()),
        ("-test_truth.json", json.dumps(test).encode()),
        ("-Anomaly_Train.txt", b"Abuse/Abuse001_x264.mp4\nNormal/Normal_Videos001_x264.mp4\n"),
    ]


def read_ucf_captions(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        for end, content in ucf_captions(folder):
            (folder / end.removeprefix("-")).write_bytes(content)
        _as(folder, path)
        for video in (*read_training_videos(folder), *read_test_videos(folder)):
            video.timeline.frame_times()
        left_aside(folder, test=True)

    return read


def captions(_: Path) -> list[Example]:
    cues = "1\n00:00:01,000 --> 00:00:02,500\nA man <i>falls</i>.\n\n2\n00:01:00,000 --> 00:01:02,000\nHe gets up.\n"
    tree = {"a": {"captions": [[0.0, 1.5, "A street."], [1.5, 3.0, "A man falls."]]}}
    lines = '{"start_s": 0, "end_s": 1.5, "text": "A street.", "video": "a"}\n{"start_s": 2, "end_s": 3, "text": "x"}\n'
    return [
        (".srt", cues.encode()),
        (".vtt", b"WEBVTT\n\nNOTE x\n\n" + cues.replace(",", ".").encode()),
        (".json", json.dumps(tree).encode()),
        (".jsonl", lines.encode()),
    ]
