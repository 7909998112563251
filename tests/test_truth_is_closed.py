"""Training cannot know when anything happens: no file of temporal truth is ever opened by `refinevad train`.

An audit hook reports every file that a command opens, whoever opens it. `evaluate` must open the truth, which shows
that the hook would see it.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from patience import patience
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance, save_features
from refinevad.timeline import SegmentRule, Timeline
from videos import write_video

PROGRAM = """
import json, os, sys
opened = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.path.basename(os.fsdecode(arguments[0])))
sys.addaudithook(hook)
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from fakes import Letters, replaced
from refinevad.apps.cli import main
from refinevad.encoders import choice
choice.SentenceEncoder = Letters
results = []
for arguments in json.loads(sys.argv[2]):
    opened.clear()
    with replaced():
        code = main(arguments)
    results.append([code, sorted(set(opened))])
print("RESULTS", json.dumps(results))
"""
TRUTH = {"events.csv", "test_truth.json"}


def opened(*commands: tuple[object, ...]) -> list[set[str]]:
    """Names of the files that each command opens, run one after the other in a process of their own."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    program = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
    results = json.loads(line.removeprefix("RESULTS "))
    assert [code for code, _ in results] == [0] * len(commands), done.stderr
    return [set(names) for _, names in results]


def test_train_on_a_folder_with_events_csv(tmp_path: Path) -> None:
    data, rows = tmp_path / "videos", ["path,labels,split"]
    for split, count in (("train", 3), ("val", 1), ("test", 1)):
        for label in ("normal", "fall"):
            for number in range(count):
                name = f"{split}-{label}-{number}.mkv"
                write_video(data / name, frames=20, codec="mpeg4", size=(32, 32))
                rows.append(f"{name},{label},{split}")
    (data / "videos.csv").write_text("\n".join(rows) + "\n")
    (data / "events.csv").write_text("path,start_s,end_s,category\ntest-fall-0.mkv,0.2,0.5,fall\n")
    training, judging = opened(
        ("train", data, "--out", tmp_path / "run", "--epochs", 1, "--workers", 1),
        ("evaluate", tmp_path / "run", "--data", data, "--workers", 1),
    )
    assert "videos.csv" in training
    assert not training & TRUTH
    assert "events.csv" in judging


def _feature_folder(root: Path) -> None:
    """Features that are there already, with the truth beside them in the field's form."""
    items, entries = [], []
    for index in range(14):
        split = "train" if index < 8 else "val" if index < 10 else "test"
        labels = ("Fighting",) if index % 2 else ()
        item = Item(f"{split}/v{index:02d}.mp4", labels, split)
        timeline = Timeline.uniform(160, 30.0, SegmentRule(frames=16))
        values = np.random.default_rng(index).normal(size=(10, 4)).astype(np.float32)
        provenance = Provenance({"name": "made up"}, {"frames": 16}, parts={"all": (0, 4)})
        save_features(FeatureIndex(root, [], "", "").path(item), Features(values, timeline, provenance))
        items.append(item)
        if split == "test":
            entries.append(
                {
                    "name": f"v{index:02d}",
                    "label": "Fighting" if labels else "Normal",
                    "frames": 160,
                    "segments": [[40, 80]] if labels else [],
                    "segment_labels": ["Fighting"] if labels else [],
                    "anomalous_frames": [[40, 80]] if labels else [],
                }
            )
    FeatureIndex(root, items, "made up", str(root)).save()
    (root / "test_truth.json").write_text(json.dumps({"columns": ["Normal", "Fighting"], "videos": entries}))


def test_train_on_features_with_test_truth_json(tmp_path: Path) -> None:
    _feature_folder(tmp_path / "data")
    training, judging = opened(
        ("train", tmp_path / "data", "--out", tmp_path / "run", "--epochs", 1),
        ("evaluate", tmp_path / "run", "--data", tmp_path / "data"),
    )
    assert "dataset.json" in training
    assert not training & TRUTH
    assert "test_truth.json" in judging


def _annotation_folder(root: Path) -> None:
    """UCF-Crime's form: a training list, captions of all videos, and the truth of the test videos."""
    names = [f"Fighting/Fighting{i:03d}_x264" for i in range(6)]
    names += [f"Training_Normal_Videos_Anomaly/Normal_Videos{i:03d}_x264" for i in range(6)]
    tested = {"Fighting900_x264": "Fighting", "Normal_Videos_900_x264": "Normal"}
    root.mkdir()
    (root / "Anomaly_Train.txt").write_text("".join(f"{name}.mp4\n" for name in names))
    spoken = {"duration_s": 8.0, "captions": [[0.0, 4.0, "Two men fight."]]}
    every = [name.split("/")[1] for name in names] + list(tested)
    (root / "captions.json").write_text(json.dumps(dict.fromkeys(every, spoken)))
    entries = [
        {
            "name": name,
            "label": label,
            "frames": 240,
            "segments": [[30, 90]] if label != "Normal" else [],
            "segment_labels": [label] if label != "Normal" else [],
            "anomalous_frames": [[30, 90]] if label != "Normal" else [],
        }
        for name, label in tested.items()
    ]
    (root / "test_truth.json").write_text(json.dumps({"columns": ["Normal", "Fighting"], "videos": entries}))


def test_train_on_ucf_crimes_annotation(tmp_path: Path) -> None:
    """The list of its test videos is part of its truth file: training does without."""
    _annotation_folder(tmp_path / "ucf")
    train = ("train", tmp_path / "ucf", "--out", tmp_path / "run", "--epochs", 1)
    training, judging, again = opened(train, ("evaluate", tmp_path / "run", "--data", tmp_path / "ucf"), train)
    assert "captions.json" in training
    assert not training & TRUTH
    assert "test_truth.json" in judging
    assert not again & TRUTH
