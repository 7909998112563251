"""Many videos at once: what is made anew, what is left aside, and the workers that share a long one."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from cli_cases import call, error_of, extract_json, make_run, make_set
from fakes import MeanEncoder, replaced
from refinevad.apps import batch
from refinevad.features import kept
from refinevad.features import workers as side_by_side
from refinevad.features.workers import Workers
from videos import film, write_sound

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(data, tmp_path_factory.mktemp("runs") / "run")


def test_a_second_extract_makes_nothing_and_a_changed_video_anew(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "features"
    shutil.copytree(data, videos)
    code, first = extract_json(videos, out, capsys)
    assert (code, first["extracted"], first["up_to_date"]) == (0, 10, 0)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    _, second = extract_json(videos, out, capsys)
    assert (second["extracted"], second["up_to_date"]) == (0, 10)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == stamps
    changed = videos / "train" / "fall" / "1.mkv"
    changed.touch()  # as after a copy: the same bytes at another time
    _, copied = extract_json(videos, out, capsys)
    assert (copied["extracted"], copied["up_to_date"]) == (0, 10)
    whole = bytearray(changed.read_bytes())
    whole[-1] ^= 1  # of the same length
    changed.write_bytes(whole)
    _, third = extract_json(videos, out, capsys)
    assert (third["extracted"], third["up_to_date"]) == (1, 9)
    damaged = out / "train" / "fall" / "2.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    _, fourth = extract_json(videos, out, capsys)
    assert (fourth["extracted"], fourth["up_to_date"]) == (1, 9)
    kept.opened_once.cache_clear()
    with replaced(lambda: MeanEncoder("1" * 64)):
        _, fifth = extract_json(videos, out, capsys)
    assert fifth["extracted"] == 10


def test_one_bad_video_is_told_and_the_others_finish(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(data, videos)
    bad = {
        "train/fall/bad.mp4": "not a video",
        "train/normal/sound.mkv": "audio only",
        "test/fall/empty.mp4": "0 bytes",
    }
    (videos / "train/fall/bad.mp4").write_text("text" * 100)
    write_sound(videos / "train/normal/sound.mkv")
    (videos / "test/fall/empty.mp4").touch()
    code, summary = extract_json(videos, tmp_path / "features", capsys)
    assert (code, summary["extracted"]) == (1, 10)
    assert set(summary["failed"]) == set(bad)
    assert all(words in summary["failed"][name] for name, words in bad.items())
    assert len(json.loads((tmp_path / "features" / "dataset.json").read_text())["items"]) == 10
    assert call("train", videos, "--out", tmp_path / "run", "--epochs", 1, "--workers", 1) == 1
    assert capsys.readouterr().err.count("left out: ") == 3


def test_a_test_video_that_cannot_be_read_is_told_by_evaluate(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(data, videos)
    (videos / "train/fall/bad.mp4").write_text("text" * 100)
    arguments = ("evaluate", run, "--data", videos, "--features", tmp_path / "features", "--workers", 1)
    assert call(*arguments) == 0  # every test video was judged
    (videos / "test/fall/broken.mp4").write_text("text" * 100)
    capsys.readouterr()
    assert call(*arguments, "--json", "-") == 1
    out, err = capsys.readouterr()
    assert list(json.loads(out)["failed"]) == ["test/fall/broken.mp4"]
    assert "left out: " in err
    assert "test/fall/broken.mp4" in err
    assert json.loads(out)["frames"] == 80
    page = tmp_path / "explained.html"
    assert call("explain", run, *arguments[2:], "--out", page) == 1
    assert page.exists()


def test_all_bad_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("normal/a.mp4", "fall/b.mp4"):
        (tmp_path / "videos" / "train" / name).parent.mkdir(parents=True)
        (tmp_path / "videos" / "train" / name).touch()
    assert call("extract", tmp_path / "videos", "--out", tmp_path / "features", "--workers", 1) == 2
    assert "none of the 2 videos could be read" in error_of(capsys)


def test_detect_tells_of_bad_videos_and_finishes_the_others(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = data / "test" / "fall" / "0.mkv", tmp_path / "bad.mp4"
    bad.write_text("text" * 100)
    assert call("detect", bad, good, "--model", run, "--out", tmp_path / "found", "--json", "-") == 1
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert list(summary["failed"]) == [str(bad)]
    assert [entry["video"] for entry in summary["videos"]] == [str(good)]
    assert "not a video" in err
    assert {"0.json", "0.csv", "0.html", "index.html"} <= {path.name for path in (tmp_path / "found").iterdir()}
    assert call("detect", bad, bad, "--model", run, "--out", tmp_path / "found") == 2


def test_detect_shares_a_long_video_among_workers_and_writes_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeanEncoder, "portable", True)
    monkeypatch.setattr(batch, "PAYS_S", 20.0)
    opened: list[int] = []

    class Noted(Workers):
        def __init__(self, count: int) -> None:
            opened.append(count)
            super().__init__(count)

    monkeypatch.setattr(side_by_side, "Workers", Noted)
    long, short = film(tmp_path / "long.mp4", 700), film(tmp_path / "short.mp4", 30)
    for count in (1, 2):
        assert call("detect", short, long, "--model", run, "--out", tmp_path / f"{count}", "--workers", count) == 0
    assert call("detect", short, "--model", run, "--out", tmp_path / "short", "--workers", 2) == 0
    assert opened == [2]  # not for one, nor for short videos alone
    for name in ("long.json", "long.csv", "short.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_model_refuses_another_encoder(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with replaced(lambda: MeanEncoder("1" * 64)):
        assert call("detect", data / "test" / "fall" / "0.mkv", "--model", run, "--out", tmp_path) == 2
    assert "they differ in weights_sha256" in error_of(capsys)
    features = tmp_path / "features"
    assert call("extract", data, "--out", features, "--segment-frames", 16, "--workers", 1) == 0
    capsys.readouterr()
    shutil.copy(data / "events.csv", features)
    assert call("evaluate", run, "--data", features) == 2
    assert "segments of 16 frames, the model was trained on 0.64 seconds" in error_of(capsys)
