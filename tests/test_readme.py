"""README says what is so: its commands run as written, its tree is the tree, its targets exist."""

import re
import shlex
from pathlib import Path

import pytest

from refinevad.apps.cli import COMMANDS, main
from refinevad.apps.demo.demo_set import DemoSize, render_demo_set

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = DemoSize(train=(2, 1), val=(1, 1), test=(1, 1), seconds=(1.2, 1.6), unseen=1.6)


def _blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [block for of, block in fenced if of == language]


def _commands(program: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in _blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(program + " ")]


def test_make_targets_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [*_commands("make"), *re.findall(r"`(make \w+)`", README)]
    assert {"make demo", "make test", "make install"} <= set(named)
    for command in named:
        assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE), command


def test_every_command_is_named_and_every_named_file_is_there() -> None:
    table = set(re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE))
    assert table == set(COMMANDS)
    tree = README.split("src/refinevad/\n")[1].split("docs/")[0]
    folder = top = ROOT / "src/refinevad"
    for line in tree.splitlines():
        if entry := re.match(r"  (?:([a-z_/]+/)\s|\S)", line):  # what follows is said of this folder, if it is one
            folder = top / (entry[1] or "")
        for name in re.findall(r"[a-z_]+(?:/[a-z_]+)*(?:\.py|/)", line):
            assert (top / name).exists() or (folder / name).exists(), name
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_commands_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    rendered = render_demo_set(tmp_path / "videos", seed=2, progress=False, size=SMALL, workers=1)
    rendered.unseen.replace(tmp_path / "camera.mp4")
    monkeypatch.chdir(tmp_path)
    commands = _commands("refinevad")
    assert [command.split()[1] for command in commands] == ["train", "detect", "evaluate"]
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    for path in ("runs/mine/model.safetensors", "found/camera.html", "found/camera.json", "report.html"):
        assert (tmp_path / path).exists(), path
    (example,) = _blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
