"""The program from outside: what its tests share."""

import json
import os
from pathlib import Path

import pytest

from fakes import replaced
from refinevad.apps.cli import main
from videos import write_video

FAKES = Path(__file__).with_name("fakes.py")
RECIPES = Path(__file__).parents[1] / "recipes"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def make_set(root: Path, train: int = 3) -> Path:
    """A data set of tiny videos: normal ones stand nearly still, falls move."""
    for split, count in (("train", train), ("val", 1), ("test", 1)):
        for label, codec_size in (("normal", (32, 32)), ("fall", (48, 32))):
            for number in range(count):
                write_video(root / split / label / f"{number}.mkv", frames=40, codec="mpeg4", size=codec_size)
    (root / "events.csv").write_text("path,start_s,end_s,category\ntest/fall/0.mkv,0.2,1.0,fall\n")
    return root


def make_recipe(root: Path, features: Path, smoothing: int = 0) -> Path:
    """A tiny set under `root`, to be REFINEVAD_DATA, and a recipe on it that trains an epoch."""
    make_set(root / "set")
    recipe = root / "set.toml"
    recipe.write_text(
        f'[data]\nroot = "set"\nfeatures = "{features}"\n[encoder]\nname = "lite"\n'
        f"[model]\nwidth = 8\nsmoothing = {smoothing}\n[train]\nepochs = 1\nbatch = 4\n"
    )
    return recipe


def make_run(data: Path, folder: Path) -> Path:
    """A model of two epochs, trained on it."""
    with replaced():
        assert main(["train", str(data), "--out", str(folder), "--epochs", "2", "--workers", "1"]) == 0
    return folder


def call(*arguments: object) -> int:
    """The program in this process; argparse's own exits count as exit codes."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error sentence."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("refinevad: error: ")]
    assert len(lines) == 1
    return lines[0]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".partial" in path.name]


def extract_json(data: Path, out: Path, capsys: pytest.CaptureFixture[str], workers: int = 1) -> tuple[int, dict]:
    capsys.readouterr()
    code = call("extract", data, "--out", out, "--workers", workers, "--json", "-")
    return code, json.loads(capsys.readouterr().out)
