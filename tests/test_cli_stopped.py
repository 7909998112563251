"""Commands that are stopped in the middle lose nothing that was done."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file

from cli_cases import ENVIRONMENT, FAKES, call, extract_json, leftovers, make_run, make_set
from patience import patience, wait_until
from refinevad.training.loop import Trainer

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(data, tmp_path_factory.mktemp("runs") / "run")


STARTED: "list[subprocess.Popen[str]]" = []


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    STARTED.clear()


def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """The program with the small encoder, in a process group of its own as a terminal would give it."""
    process = subprocess.Popen(
        [sys.executable, str(FAKES), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **environment},
        start_new_session=True,
    )
    STARTED.append(process)
    return process


@pytest.fixture
def paused(tmp_path: Path) -> Path:
    """The folder where processes that have paused leave a file each."""
    folder = tmp_path / "paused"
    folder.mkdir()
    return folder


def interrupt(process: "subprocess.Popen[str]", paused: Path, processes: int = 1) -> str:
    """Ctrl-C once so many processes have paused; what was said on stderr."""

    def reached() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return len(list(paused.iterdir())) == processes

    wait_until(reached, "the pause", 60)
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=patience(20))[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_in_extract(
    workers: int, data: Path, tmp_path: Path, paused: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in the fourth video of a process: those before are kept, nothing is half-written, and it goes on."""
    out = tmp_path / "features"
    arguments = ("extract", data, "--out", out, "--workers", workers)
    process = start(*arguments, FAKE_PAUSE_AT="4", FAKE_PAUSED=str(paused))
    err = interrupt(process, paused, workers)
    assert process.returncode == 130
    assert "interrupted; the same command goes on where it stopped" in err
    assert "Traceback" not in err
    assert leftovers(out) == []
    code, summary = extract_json(data, out, capsys)
    assert code == 0
    assert (summary["extracted"], summary["up_to_date"]) == (10 - 3 * workers, 3 * workers)


def test_a_killed_worker_of_extract_is_one_sentence_and_what_is_done_is_kept(
    data: Path, tmp_path: Path, paused: Path
) -> None:
    """Killed in the second video of a process, with SIGKILL."""
    out = tmp_path / "features"
    process = start("extract", data, "--out", out, "--workers", 2, FAKE_PAUSE_AT="2", FAKE_PAUSED=str(paused))
    wait_until(lambda: len(list(paused.iterdir())) == 2, "the pause", 60)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in started if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=patience(60))
    assert process.returncode == 1
    assert "a process that extracts features was killed, perhaps for want of memory; run again with fewer" in err
    assert "Traceback" not in err
    assert len(list(out.rglob("*.safetensors"))) == 2
    assert leftovers(out) == []


def test_ctrl_c_in_train_goes_on_to_the_same_weights(run: Path, tmp_path: Path, paused: Path) -> None:
    recipe = tmp_path / "held_out.toml"
    recipe.write_text(f'[data]\nroot = "{run / "features"}"\nsettings = "default"\n[train]\ncross_fit = 0\n')
    arguments = ("train", recipe, "--epochs", 6)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert call(*arguments, "--out", whole) == 0
    process = start(*arguments, "--out", stopped, FAKE_PAUSE_EPOCH="3", FAKE_PAUSED=str(paused))
    err = interrupt(process, paused)
    history = stopped / "history.jsonl"
    assert len(history.read_text().splitlines()) == 3
    assert process.returncode == 130
    assert "Traceback" not in err
    assert leftovers(stopped) == []
    assert not (stopped / "model.safetensors").exists()
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", stopped) == 0
    assert epoch.call_count == 3  # gone on, not begun again
    assert history.read_text() == (whole / "history.jsonl").read_text()
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_ctrl_c_between_the_models_that_validate_goes_on_with_the_next(run: Path, tmp_path: Path, paused: Path) -> None:
    arguments = ("train", run / "features", "--epochs", 2)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", whole) == 0
    trained = epoch.call_count  # of all models together
    pause = {"FAKE_PAUSE_EPOCH": "1", "FAKE_PAUSE_FOLDER": "held1", "FAKE_PAUSED": str(paused)}
    process = start(*arguments, "--out", stopped, **pause)
    interrupt(process, paused)
    assert len((stopped / "held1" / "history.jsonl").read_text().splitlines()) == 1
    assert process.returncode == 130
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", stopped) == 0
    assert epoch.call_count == trained - 3  # two epochs of the first model and one of the second were done
    assert not list(stopped.glob("held*"))
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    calibrations = [(folder / "calibration.json").read_text() for folder in (whole, stopped)]
    assert calibrations[0] == calibrations[1]
