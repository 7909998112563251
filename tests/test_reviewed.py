"""Reviewed clips become training videos: with the reviewer's label, in the training split alone, without times."""

import json
from pathlib import Path

import pytest
import torch

from refinevad.apps.cli import main
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.records import EventRecord
from refinevad.apps.live.storage.store import Store
from refinevad.apps.live.storage.stored import DATABASE, MEDIA
from refinevad.datasets.dataset import Item
from refinevad.training import runs
from videos import write_video

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)
VERDICTS = {
    "right": ("confirmed", None),
    "wrong": ("dismissed", None),
    "other": ("relabelled", "theft"),
    "unseen": (None, None),
    "gone": ("confirmed", None),
}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for split, count in (("train", 2), ("val", 1)):
        for label in ("normal", "fall"):
            for number in range(count):
                write_video(root / split / label / f"{number}.mkv", frames=20, codec="mpeg4")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A service's data folder with five events, four of them reviewed, three of these with a clip."""
    folder = tmp_path / "data"
    store = Store.open(Secret(f"sqlite:///{folder / DATABASE}"), folder / MEDIA)
    store.cameras.register("door", "rtsp://host/a", "run")
    for number, (name, (verdict, category)) in enumerate(VERDICTS.items()):
        clip = f"clips/{name}.mkv"
        if name != "gone":
            write_video(folder / MEDIA / clip, frames=20, codec="mpeg4")
        start = 1_700_000_000.0 + 60 * number
        event = EventRecord(name, "door", start, start + 2, 0.9, start + 1, "fall", {"fall": 1.0}, "ended", clip=clip)
        store.events.upsert(event)
        if verdict is not None:
            store.events.add_review(name, verdict, category=category)
    store.close()
    return folder


def train(*arguments: object) -> int:
    return main(["train", *map(str, arguments), "--epochs", "1", "--workers", "1"])


def test_they_join_the_training_split_with_the_reviewers_labels(
    videos: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Item] = []
    whole = runs.train_run

    def noted(recipe: object, index: object, items: list[Item], *rest: object) -> object:
        seen.extend(items)
        return whole(recipe, index, items, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "train_run", noted)
    out = tmp_path / "run"
    assert train(videos, "--out", out, "--add-reviewed", data) == 0
    added = {item.path: (item.labels, item.split) for item in seen if item.path.startswith("reviewed/")}
    assert added == {
        "reviewed/clips/right.mkv": (("fall",), "train"),
        "reviewed/clips/wrong.mkv": ((), "train"),
        "reviewed/clips/other.mkv": (("theft",), "train"),
    }
    assert sorted(item.path for item in seen if item.split == "val") == ["val/fall/0.mkv", "val/normal/0.mkv"]
    config = json.loads((out / "config.json").read_text())
    assert config["model"]["categories"] == ["fall", "theft"]
    # four and three reviewed of the training split, two of the validation split: each trains, and is validated once
    assert config["training"]["videos"] == {"train": 9, "val": 9}
    assert (out / "reviewed" / "videos.csv").read_text() == (
        "path,labels,split\nclips/right.mkv,fall,train\nclips/wrong.mkv,normal,train\nclips/other.mkv,theft,train\n"
    )
    said = capsys.readouterr().err
    assert "3 reviewed clips join the training videos, 1 of them as normal" in said
    assert "left out: 1 reviewed events, whose clips are not there any more" in said
    assert train(videos, "--out", tmp_path / "plain") == 0  # without the option nothing of them is left
    assert json.loads((tmp_path / "plain" / "config.json").read_text())["model"]["categories"] == ["fall"]


def test_storage_can_be_named_by_its_file_or_url(videos: Path, data: Path, tmp_path: Path) -> None:
    for number, name in enumerate((data / DATABASE, f"sqlite:///{data / DATABASE}")):
        out = tmp_path / f"run{number}"
        assert train(videos, "--out", out, "--add-reviewed", name, "--reviewed-media", data / MEDIA) == 0
        assert (out / "reviewed" / "clips" / "right.mkv").exists()


def test_where_there_is_nothing_to_add(
    videos: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(videos, "--out", tmp_path / "run", "--add-reviewed", tmp_path / "absent") == 2
    assert "no stored events" in capsys.readouterr().err
    assert not (tmp_path / "absent").exists()
    for clip in (data / MEDIA / "clips").iterdir():
        clip.unlink()
    assert train(videos, "--out", tmp_path / "run", "--add-reviewed", data) == 2
    assert "no reviewed clip" in capsys.readouterr().err
    assert train(videos, "--out", tmp_path / "run", "--add-reviewed", "postgresql://host/name") == 2
    assert "--reviewed-media" in capsys.readouterr().err
