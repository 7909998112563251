"""`refinevad convert`, and annotations of other tools where events.csv and videos.csv can stand."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from annotation_cases import named, video
from cli_cases import call, error_of
from fakes import replaced
from refinevad.annotations.annotated import Annotations
from refinevad.annotations.writing import write_annotations
from refinevad.datasets.dataset import read_dataset
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance
from refinevad.files.table import read_table
from refinevad.judging.set_truth import read_truth
from refinevad.timeline import SegmentRule, Timeline
from videos import NTSC, write_video

np = pytest.importorskip("numpy")
pytest.importorskip("av", reason="videos need the extra `video`")

RATE = {"a": Fraction(25), "b": NTSC}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos at two rates, without a word of what happens in them."""
    root = tmp_path_factory.mktemp("house")
    for split, count in (("train", 3), ("test", 1)):
        for number in range(count):
            for kind, rate in RATE.items():
                write_video(root / split / f"{kind}{number}.mp4", frames=40, rate=rate, size=(32, 32), codec="mpeg4")
    return root


def _exported(house: Path) -> Annotations:
    videos = [
        video(
            f"{split}/{kind}{number}.mp4",
            [(10, 20, "fight")] if kind == "b" else [],
            RATE[kind],
            frames=40,
        )
        for split, count in (("train", 3), ("test", 1))
        for number in range(count)
        for kind in RATE
    ]
    return Annotations(tuple(videos))


def test_detections_become_subtitles_and_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"start_s": 1.0, "end_s": 2.5, "peak": 0.75, "category": "fight"}
    found = {"schema_version": 2, "video": "cam.mp4", "rate_hz": 25, "segments": [], "events": [event]}
    (tmp_path / "cam.json").write_text(json.dumps(found))
    assert call("convert", tmp_path / "cam.json", tmp_path / "cam.srt") == 0
    assert (tmp_path / "cam.srt").read_text() == "1\n00:00:01,000 --> 00:00:02,500\nfight\n"
    said = capsys.readouterr()
    assert "SRT cannot say 1 scores: left out" in said.err
    assert "1 videos, 1 events" in said.out
    assert call("convert", tmp_path / "cam.json", tmp_path / "task.json", "--to", "label-studio", "--json", "-") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["videos"], summary["events"], summary["notes"]) == (1, 1, [])
    (task,) = json.loads((tmp_path / "task.json").read_text())
    (prediction,) = task["predictions"]
    # 1 s to 2.5 s of 25 frames a second: frames 26 to 62 (2.5 s is 62.5, to the even one), counted from 1
    assert prediction["result"][0]["value"]["ranges"] == [{"start": 26, "end": 62}]
    assert (prediction["score"], task["annotations"]) == (0.75, [])


def test_a_folder_gets_events_csv_and_videos_csv_by_the_videos_own_rates(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotations(tmp_path / "task.json", _exported(house), named("label-studio"))
    assert call("convert", tmp_path / "task.json", tmp_path / "set", "--videos", house) == 0, capsys.readouterr()
    rows = {row["path"]: row for row in read_table(tmp_path / "set" / "videos.csv").rows}
    assert {row["labels"] for path, row in rows.items() if "/b" in path} == {"fight"}
    assert {(path.split("/")[0], row["split"]) for path, row in rows.items()} == {("train", "train"), ("test", "test")}
    event = next(row for row in read_table(tmp_path / "set" / "events.csv").rows if row["path"] == "test/b0.mp4")
    assert float(event["start_s"]) == pytest.approx(10 * 1001 / 30000, abs=1e-6)
    assert call("convert", tmp_path / "set", tmp_path / "again.json", "--to", "activitynet", "--videos", house) == 0
    database = json.loads((tmp_path / "again.json").read_text())["database"]
    assert database["test/b0"]["subset"] == "testing"


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nfight\n")
    assert call("convert", tmp_path / "a.srt", tmp_path / "a.json") == 2
    assert "name the format with --to, one of label-studio" in error_of(capsys)
    assert call("convert", tmp_path / "a.srt", tmp_path / "a.json", "--to", "cavt") == 2
    assert "no format 'cavt' (nearest: cvat)" in error_of(capsys)
    assert call("convert", tmp_path / "a.srt", tmp_path / "a.json", "--to", "fiftyone") == 2
    assert "the frame rate of a is not known" in error_of(capsys)
    assert call("convert", tmp_path / "a.srt", tmp_path / "a.xml", "--rate", "x") == 2
    assert "--rate is a number or a fraction" in error_of(capsys)
    assert not (tmp_path / "a.json").exists()


TOOLS = ["label-studio", "cvat", "via", "elan", "srt", "webvtt", "fiftyone", "activitynet", "coco-vid"]


@pytest.mark.parametrize("tool", TOOLS)
def test_an_export_in_the_folder_names_its_videos_and_says_when(house: Path, tmp_path: Path, tool: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "test"):
        (data / name).symlink_to(house / name)
    for split in ("train", "test"):  # links to folders are not walked through
        (data / split).unlink()
        (data / split).mkdir()
        for file in (house / split).iterdir():
            (data / split / file.name).hardlink_to(file)
    format = named(tool)
    out = data / "annotations" if format.per_video else data / f"annotations{format.suffix}"
    write_annotations(out, _exported(house), format)
    items = {item.path: (item.labels, item.split) for item in read_dataset(data)}
    assert items["train/b2.mp4"] == (("fight",), "train")
    assert items["test/a0.mp4"] == ((), "test")
    assert len(items) == 8
    judged = [item for item in read_dataset(data) if item.split == "test"]
    rates = {f"test/{kind}0.mp4": rate for kind, rate in RATE.items()}
    features = [
        Features(
            np.zeros((3, 2), np.float32),
            Timeline.uniform(40, float(rates[item.path]), SegmentRule(frames=16)),
            Provenance({"name": "made up"}, {"frames": 16}),
        )
        for item in judged
    ]
    truth = read_truth(data, judged, features, ("fight",))
    assert {one.name: one.anomalous for one in truth.videos} == {"test/b0.mp4": ((10, 20),), "test/a0.mp4": ()}


def test_train_and_evaluate_take_an_export_in_a_folders_place(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = house / "project.json"
    write_annotations(export, _exported(house), named("label-studio"))
    (house / "train" / "more.mp4").write_bytes((house / "train" / "a0.mp4").read_bytes())
    try:
        with replaced():
            assert call("train", export, "--out", tmp_path / "run", "--epochs", 1, "--workers", 1) == 0
            told = capsys.readouterr().err
            assert "1 videos are not in" in told
            assert "train/more.mp4" in told
            assert call("evaluate", tmp_path / "run", "--data", export, "--workers", 1, "--json", "-") == 0
        figures = json.loads(capsys.readouterr().out)
        assert figures["auc"] is not None
    finally:
        export.unlink()
        (house / "train" / "more.mp4").unlink()


def test_two_exports_in_a_folder_are_refused(house: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", frames=5, size=(32, 32), codec="mpeg4")
    for name in ("annotations.json", "events.eaf"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=r"holds annotations.json, events.eaf: keep one"):
        read_dataset(tmp_path)
