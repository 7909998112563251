"""Names that file systems allow and people do not expect: one such video ends nothing and is not lost."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from refinevad.apps.cli import main
from refinevad.apps.terminal import note
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.files.shown import shown
from refinevad.files.whole import atomic_write, fitting
from videos import write_video

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("small_encoder")
LATIN_1 = os.fsdecode(b"caf\xe9.mkv")
ODD = ("n" * 231 + ".mkv", "m" * 251 + ".mkv", "\u00e9" * 125 + ".mkv", LATIN_1, "a:b.mkv", "a\x1b[31mred\x07\n.mkv")


def test_a_stem_is_cut_only_where_it_must_be() -> None:
    assert fitting("a" * 243, ".safetensors") == "a" * 243  # 255 bytes together
    cut = fitting("a" * 244, ".safetensors")
    assert (len(cut), cut[:230]) == (243, "a" * 230)
    assert cut != fitting("a" * 245, ".safetensors")
    accents = fitting("\u00e9" * 125, ".safetensors")  # 250 bytes, two a letter
    assert len(os.fsencode(accents)) <= 243
    assert accents.startswith("\u00e9" * 100)
    assert fitting(LATIN_1, "x") == LATIN_1


def test_a_file_with_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    with atomic_write(path) as partial:
        partial.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_features_of_two_long_names_lie_apart(tmp_path: Path) -> None:
    index = FeatureIndex(tmp_path, [], "", "")
    names = [index.path(Item(f"{'a' * 250}{end}.mp4", (), "train")).name for end in "xy"]
    assert len(set(names)) == 2
    assert all(len(name) == 255 and name.endswith(".safetensors") for name in names)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("caf\u00e9 \u7530.mp4", "caf\u00e9 \u7530.mp4"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\x9b2J", r"a\nb\x9b2J"),
        (LATIN_1, r"caf\udce9.mkv"),
        ("gpj.\u202e4pm", r"gpj.\u202e4pm"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_text(text: str, seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(text) == seen
    note(text)
    assert capsys.readouterr().err == f"refinevad: {seen}\n"


def test_every_command_takes_odd_names_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = tmp_path / "set", tmp_path / "run"
    for split in ("train", "val", "test"):
        for label, size in (("normal", (32, 32)), ("fall", (48, 32))):
            write_video(data / split / label / "0.mkv", frames=40, codec="mpeg4", size=size)
    for name in ODD:
        shutil.copy(data / "train" / "fall" / "0.mkv", data / "train" / "fall" / name)
        shutil.copy(data / "test" / "fall" / "0.mkv", data / "test" / "fall" / name)
    rows = [("0.mkv", "0.2"), *((shown(name), "0.2") for name in ODD)]  # events.csv is UTF-8, on one line each
    text = "".join(f"test/fall/{name},{start},1.0,fall\n" for name, start in rows)
    (data / "events.csv").write_text(f"path,start_s,end_s,category\n{text}", encoding="utf-8")
    assert main(["extract", str(data), "--out", str(tmp_path / "features"), "--workers", "1", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["extracted"] == 6 + 2 * len(ODD)
    assert main(["extract", str(data), "--out", str(tmp_path / "features"), "--workers", "1", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["up_to_date"] == 6 + 2 * len(ODD)
    common = ["--features", str(tmp_path / "features"), "--workers", "1"]
    assert main(["train", str(data), "--out", str(run), "--epochs", "1", *common]) == 0
    page = ["--report", str(tmp_path / "page.html"), "--json", "-"]
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(data), *common, *page]) == 0
    assert json.loads(capsys.readouterr().out)["anomalous_frames"] == 20 * (1 + len(ODD))
    videos = [str(data / "test" / "fall" / name) for name in ODD]
    out = ["--out", str(tmp_path / "found"), "--json", str(tmp_path / "found.json")]
    assert main(["detect", *videos, "--model", str(run), *out]) == 0
    answer = json.loads((tmp_path / "found.json").read_text())
    assert [entry["video"] for entry in answer["videos"]] == videos
    assert all(Path(entry["report"]).is_file() for entry in answer["videos"])
    seen = capsys.readouterr()
    assert "\x1b[31m" not in seen.out + seen.err
