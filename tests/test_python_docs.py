"""docs/python.md says what is so: its examples run as they stand, one after the other, and name the public API."""

import re
from pathlib import Path

import pytest

import refinevad
from refinevad.apps.demo.demo_set import DemoSize, render_demo_set

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SMALL = DemoSize(train=(2, 1), val=(1, 1), test=(1, 1), seconds=(1.2, 1.6), unseen=1.6)


def test_the_quickstart_is_ten_lines_at_most() -> None:
    lines = [line for line in EXAMPLES[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_every_public_name_is_on_the_page() -> None:
    said = set(re.findall(r"\w+", PAGE))
    assert {name for name in refinevad.__all__ if not name.startswith("_")} <= said


def test_the_examples_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    from refinevad.encoders import choice
    from refinevad.peers.choice import REGISTERED
    from refinevad.training.recipe import DEFAULT_TRAINING

    rendered = render_demo_set(tmp_path / "videos", seed=2, progress=False, size=SMALL, workers=1)
    rendered.unseen.replace(tmp_path / "camera.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DEFAULT_TRAINING, "steps", 40)  # of 800: how good the model gets is not what is looked at
    monkeypatch.setattr(choice, "_registered", dict(choice._registered))
    known, names = dict(REGISTERED), {"__name__": "page"}
    try:
        for place, example in enumerate(EXAMPLES):
            exec(compile(example, f"docs/python.md, example {place + 1}", "exec"), names)
    finally:
        REGISTERED.clear()
        REGISTERED.update(known)
    said = capsys.readouterr().out
    assert "<Detection in camera 1, 1.6 s:" in said
    assert "no finished run" in said.splitlines()[-1]
    assert (tmp_path / "runs/mine/model.safetensors").exists()
    assert (tmp_path / "camera.json").exists()
    assert (tmp_path / "runs/brightness/config.json").read_text().count('"brightness"') >= 1
