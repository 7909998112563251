"""Ray in place of processes: the same bits, and what is lost costs no more than the video that is at fault.

Longer faults, of nodes, drivers and object stores, are in tests/faults (`make faults`).
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_cases import ENVIRONMENT, call, error_of, make_recipe
from fakes import MeanEncoder
from ray_cluster import cluster
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError, RefineVADError
from refinevad.features.extraction import as_features, extract
from refinevad.features.workers import RayWorkers
from refinevad.machine import ray_pool
from refinevad.machine.ray_pool import OnRay, RayWarning
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip
from test_workers import PortableEncoder
from videos import film, spoil_packets, write_video

RULE = SegmentRule.default()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of two nodes with a CPU each."""
    pytest.importorskip("ray", reason="Ray is not installed: refinevad[ray]")
    with cluster({}, {}) as started:
        yield started.address


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short ones; one that is spoilt; and the last, which is shared."""
    folder = tmp_path_factory.mktemp("films")
    made = [film(folder / f"{frames}.mp4", frames) for frames in (1, 40, 60)]
    made.append(spoil_packets(film(folder / "spoilt.mp4", 90, options={"bf": "0"}), range(60, 63)))
    return [*made, film(folder / "long.mp4", 700)]


class DeadlyEncoder(PortableEncoder):
    """Ends its process, as want of memory does, where a picture is as large as so many pixels."""

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        if any(clip.rgb.max(initial=0) > 250 for clip in clips):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(clips)


@pytest.mark.filterwarnings("ignore:.*damaged packets")
def test_the_same_bits_and_provenance(address: str, films: list[Path]) -> None:
    encoder = EncoderChoice("lite", PortableEncoder(), None)
    counted: list[int] = []
    with (
        RayWorkers(OnRay(address)) as workers,
        workers.encode_all(films, PortableEncoder(), RULE, counted.append) as files,
    ):
        assert workers.count == 2
        found = dict(files)
    assert sorted(found) == list(range(len(films)))
    frames = 0
    for place, path in enumerate(films):
        encoded, alone = found[place], extract(path, encoder, RULE)
        assert not isinstance(encoded, InputError)
        assert encoded is not None
        ours = as_features(path, encoded, encoder, RULE)
        np.testing.assert_array_equal(ours.values, alone.values)
        np.testing.assert_array_equal(ours.timeline.time_bounds, alone.timeline.time_bounds)
        assert ours.provenance == alone.provenance
        frames += alone.timeline.frames
    assert sum(counted) == frames
    assert not workers.again


def test_a_video_that_ends_its_process_costs_itself_alone(address: str, tmp_path: Path) -> None:
    white = write_video(tmp_path / "white.mkv", [np.full((32, 48, 3), 255, np.uint8)] * 30, codec="mpeg4")
    good = [write_video(tmp_path / f"{name}.mkv", frames=30, codec="mpeg4") for name in "ab"]
    with (
        pytest.warns(RayWarning, match="4 times a process was killed"),
        RayWorkers(OnRay(address, 1)) as workers,
        workers.encode_all([good[0], white, good[1]], DeadlyEncoder(), RULE) as files,
    ):
        found = dict(files)
    assert isinstance(found[1], InputError)
    assert "white.mkv could not be done: its process on Ray was killed 4 times" in str(found[1])
    for place, path in ((0, good[0]), (2, good[1])):
        alone = extract(path, EncoderChoice("lite", MeanEncoder(), None), RULE)
        np.testing.assert_array_equal(found[place].vectors, alone.values)


def test_what_a_call_raises_comes_as_it_is(address: str, films: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no film")
    with RayWorkers(OnRay(address)) as workers, workers.encode_all([bad, films[1]], PortableEncoder(), RULE) as files:
        found = dict(files)
    assert isinstance(found[0], InputError)
    assert str(found[0]).startswith("not a video that FFmpeg can read")
    assert "Traceback" not in str(found[0])
    assert len(found[1].vectors) == 3  # 1.6 s at 0.64 s a segment


def test_extract_and_detect_write_the_same_bytes(
    address: str, films: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second `extract` finds nothing to do."""
    for split, label, source in (("train", "normal", 1), ("train", "fall", 2)):
        (tmp_path / "set" / split / label).mkdir(parents=True)
        shutil.copy2(films[source], tmp_path / "set" / split / label / "v.mp4")
    (tmp_path / "set/train/fall/bad.mp4").write_text("no film")
    for where, options in (("here", ("--workers", 1)), ("there", ("--ray", address))):
        assert call("extract", tmp_path / "set", "--out", tmp_path / where, *options) == 1  # one cannot be read
        assert "2 videos extracted, 0 up to date, 1 left out" in capsys.readouterr().out
        asked = (films[1], films[2], "--model", "fighting", "--no-report", "--out", tmp_path / f"found-{where}")
        assert call("detect", *asked, *options) == 0
    capsys.readouterr()
    assert call("extract", tmp_path / "set", "--out", tmp_path / "there", "--ray", address) == 1
    assert "0 videos extracted, 2 up to date, 1 left out" in capsys.readouterr().out
    for name in ("here", "found-here"):
        ours = {path.relative_to(tmp_path / name): path.read_bytes() for path in files_in(tmp_path / name)}
        other = tmp_path / name.replace("here", "there")
        assert len(ours) >= 3
        assert ours == {path.relative_to(other): path.read_bytes() for path in files_in(other)}


def test_train_and_bench_leave_their_features_to_it(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features of a run, and of a table, are those that one process makes, to the byte."""
    recipe = make_recipe(tmp_path, tmp_path / "unused")
    data = tmp_path / "set"
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    assert call("extract", data, "--out", tmp_path / "alone", "--workers", 1) == 0
    assert call("train", data, "--epochs", 1, "--out", tmp_path / "run", "--ray", address) == 0
    bench = ("bench", "recipe", recipe, "--seeds", 0, "--out", tmp_path / "bench")
    assert call(*bench, "--features", tmp_path / "bench/features", "--ray", address) == 0
    alone = {path.relative_to(tmp_path / "alone"): path.read_bytes() for path in files_in(tmp_path / "alone")}
    assert sum(path.suffix == ".safetensors" for path in alone) == len(list(data.rglob("*.mkv")))
    for made in (tmp_path / "run/features", tmp_path / "bench/features"):
        theirs = {path.relative_to(made): path.read_bytes() for path in files_in(made)}
        assert {path for path, content in alone.items() if theirs.get(path) != content} <= {Path("dataset.json")}
        assert set(theirs) == set(alone)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_ray_that_is_gone_is_told_and_nobody_waits(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RayWorkers(OnRay(address)) as workers:
        assert workers.submit(os.getpid).result() > 0

        def gone(*_: object, **__: object) -> None:
            raise SystemExit  # ends the thread that takes answers

        monkeypatch.setattr(workers, "_take", gone)
        for _ in range(2):  # of what is under way, and of what is asked for afterwards
            with pytest.raises(RefineVADError, match="is gone; the same command goes on where it stopped"):
                workers.submit(os.getpid).result()


def files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_no_cluster_and_no_ray_are_one_sentence(
    tmp_path: Path, films: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("detect", films[0], "--out", tmp_path)
    assert call(*asked, "--ray", " ") == 2
    assert "--ray needs local, auto or the address" in error_of(capsys)

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(ray_pool, "import_module", absent)
    assert call(*asked, "--ray", "local") == 2
    assert error_of(capsys).endswith("--ray needs Ray; pip install 'refinevad[ray]'")


def test_ray_is_not_imported_unless_it_is_asked_for(tmp_path: Path, films: list[Path]) -> None:
    program = f"""
import sys
from refinevad.apps.cli import main
code = main(["detect", {str(films[0])!r}, "--no-report", "--out", {str(tmp_path)!r}])
heavy = sorted({{"ray", "s3fs"}} & set(sys.modules))  # pyarrow writes events.parquet, and takes fsspec along
sys.exit(f"{{code}} {{heavy}}" if code or heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
