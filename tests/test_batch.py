"""Videos of one command: what is begun before the run is open, and thrown away where the run is of another encoder."""

import json
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from cases import config, random_model
from cli_cases import call
from refinevad.apps import batch
from refinevad.apps.terminal import video_bar
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.encoders.lite import LiteEncoder
from refinevad.opened_run import OpenedRun
from refinevad.run_outline import RunOutline, outline_of
from refinevad.timeline import SegmentRule
from videos import film


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default encoder that reads one part of it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    encoder = LiteEncoder()
    model = random_model(config(channels=encoder.dim, inputs=(encoder.parts["motion_mean"],)), 3).eval()
    signature = {"encoder": encoder.identity.as_dict(), "rule": {"seconds": 0.64}}
    Checkpoint(model, "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(folder)
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [film(folder / f"{frames}.mp4", frames) for frames in (700, 30, 350)]


def test_the_outline_is_what_the_opened_run_says(run: Path) -> None:
    opened = OpenedRun.load(run)
    wanted = RunOutline(
        opened.checkpoint.encoder, opened.checkpoint.segment_rule, opened.checkpoint.model.config.made_for
    )
    assert outline_of(run) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"encoder": 3, "model": {}, "signature": {"rule": {"seconds": 1}}}',
        '{"encoder": "lite", "model": [], "signature": {"rule": {"seconds": 1}}}',
        '{"encoder": "lite", "model": {}, "signature": {"rule": {"seconds": 1e9}}}',
        '{"encoder": "lite", "model": {}, "signature": {"rule": {"frames": 1000000000}}}',
        '{"encoder": "lite", "model": {}, "signature": {"rule": {"seconds": "x"}}}',
        '{"encoder": "lite", "model": {"inputs": 3}, "signature": {"rule": {"seconds": 1}}}',
    ],
)
def test_what_is_no_run_has_no_outline(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert outline_of(tmp_path) is None
    assert outline_of(tmp_path / "none") is None


def found(folder: Path, films: list[Path], run: Path, *more: object) -> dict[str, bytes]:
    """What `detect` writes of the films, but for the pages."""
    assert call("detect", *films, "--model", run, "--out", folder, *more) == 0
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".csv")}


def test_the_same_is_found_with_and_without_a_head_start(
    run: Path, films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where the outline was another run's: it is thrown away."""
    monkeypatch.setattr(batch, "PAYS_S", 20.0)
    alone = found(tmp_path / "1", films, run, "--workers", 1)
    assert len(alone) == 2 * len(films)
    assert found(tmp_path / "2", films, run, "--workers", 2) == alone
    for wrong in (
        None,
        RunOutline("lite", SegmentRule(seconds=1.0), ()),
        RunOutline("lite", SegmentRule(frames=16), ((0, 59),)),
    ):
        with mock.patch.object(batch, "outline_of", return_value=wrong):
            assert found(tmp_path / "3", films, run, "--workers", 2) == alone


def test_no_report_leaves_json_and_csv(
    run: Path, films: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("detect", *films[1:], "--model", run, "--out", tmp_path / "a", "--no-report", "--json", "-") == 0
    summary = json.loads(capsys.readouterr().out)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names - {"events.parquet"} == {"30.json", "30.csv", "350.json", "350.csv"}  # the table: where pyarrow is
    assert [Path(row["report"]).name for row in summary["videos"]] == ["30.json", "350.json"]


def test_lines_come_in_the_order_of_the_arguments(
    run: Path, films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first takes longest."""
    monkeypatch.setattr(batch, "PAYS_S", 20.0)
    found(tmp_path, films, run, "--workers", 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["700.mp4", "30.mp4", "350.mp4"]


def test_the_bar_says_hours_of_video_an_hour_and_what_is_left() -> None:
    """Half of two hours in a minute: sixty hours an hour, and a minute to go."""
    with video_bar(7200.0, "two hours", time.time() - 60.0) as bar:
        bar.n = 3600.0
        assert str(bar).endswith("60.0/120.0 min of video, 60 video-hours an hour, 01:00 left")
        bar.n = 9000.0  # a file that holds more than it states
        assert "120.0/120.0" in str(bar)


def test_workers_need_no_torch() -> None:
    """Which takes each of them longer to import than a clip takes to be decoded."""
    program = (
        "import sys, refinevad.features.kept, refinevad.encoders.lite, refinevad.apps.report.keyframes, "
        "refinevad.run_outline; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
