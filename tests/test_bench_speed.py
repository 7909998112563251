"""`refinevad bench speed`: parts in order, their tables in one file, and one sentence where something is not there."""

from pathlib import Path

import pytest

from refinevad.apps.cli import main
from refinevad.apps.commands.benches import speed

PROGRAM = """import os, sys
print("| a | b |\\n|---|---|\\n| {name} |", os.environ.get("OMP_NUM_THREADS"), "|", *sys.argv[1:])
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two parts, one of which stops."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("head", "latency", "training"):
        (folder / f"{name}.py").write_text(PROGRAM.format(name=name))
    (folder / "metrics.py").write_text("import sys; print('half a table'); sys.exit('no memory left')")
    monkeypatch.setattr(speed, "find_programs", lambda: folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    return folder


def test_parts_run_in_turn_into_one_file(programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "speed.md"
    assert main(["bench", "speed", "--out", str(out)]) == 1  # metrics stopped
    text = out.read_text()
    assert text.strip() == capsys.readouterr().out.strip().replace("\n\n\n", "\n\n")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(speed.PARTS)
    assert "| head | 1 |" in text  # one thread, as its figures are meant
    assert "| training | 7 |" in text
    assert "stopped: no memory left" in text
    assert "half a table" in text
    assert text.count("not run: ") == 4  # pixels and soak are not there, latency has no run, gpu no GPU or no program
    assert "cores" in text.splitlines()[2]
    assert "torch " in text.splitlines()[2]


def test_named_parts_alone_with_the_run(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "speed", "latency", "head", "--model", "runs/mine"]) == 0
    out = capsys.readouterr().out
    assert out.index("## latency") < out.index("## head")
    assert "| latency | 7 | --model runs/mine" in out
    assert "python benchmarks/latency.py --model runs/mine`" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["wheels"], "unknown part 'wheels': use head, pixels, latency"),
        (["latency"], "the part latency needs a trained run: add --model RUN"),
        (["soak"], "the part soak is not in this checkout"),
    ],
)
def test_what_cannot_run_is_said_before_anything_runs(
    programs: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "speed", *arguments]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_without_a_checkout_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = tmp_path / "a" / "b" / "c" / "d" / "e" / "speed.py"
    monkeypatch.setattr(speed, "__file__", str(installed))
    assert main(["bench", "speed"]) == 2
    assert "which only a source checkout has" in capsys.readouterr().err


def test_the_parts_of_this_checkout_are_there() -> None:
    folder = speed.find_programs()
    assert folder == Path(__file__).parents[1] / "benchmarks"
    assert set(speed.QUICK) <= set(speed.PARTS)
    assert all((folder / f"{part}.py").exists() for part in speed.QUICK)
