"""Worker processes against one process: the same bits; and what becomes of them when something goes wrong."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder
from patience import wait_until
from refinevad.encoders.base import Encoder
from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.lite import LiteEncoder
from refinevad.errors import InputError, RefineVADError
from refinevad.features.extraction import extract
from refinevad.features.workers import Workers
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip
from refinevad.video.reading import DamagedVideoWarning
from videos import cut, film, spoil_packets, write_video

RULE = SegmentRule.default()


class PortableEncoder(MeanEncoder):
    """Means of grey levels, which any process can take; at a clip that begins at `fails_at_s` it raises."""

    portable = True

    def __init__(self, fails_at_s: float = 1e9, waits_s: float = 0.0) -> None:
        super().__init__()
        self.fails_at_s, self.waits_s = fails_at_s, waits_s

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        time.sleep(self.waits_s)
        if any(clip.start_s >= self.fails_at_s for clip in clips):
            raise InputError("the encoder's weights are not what they were")
        return super().encode(clips)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as opened:
        yield opened


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute, which is several shares."""
    return film(tmp_path_factory.mktemp("film") / "v.mp4", 900)


def choice(encoder: Encoder) -> EncoderChoice:
    return EncoderChoice("lite", encoder, None)


def test_the_default_encoder_gives_the_same_bits(workers: Workers, recording: Path) -> None:
    encoder = LiteEncoder()
    for reading in (choice(encoder), choice(encoder).reading([encoder.parts["motion_mean"]])):
        counted: list[int] = []
        shared = extract(recording, reading, RULE, counted.append, workers=workers)
        whole = extract(recording, reading, RULE)
        np.testing.assert_array_equal(shared.values, whole.values)
        np.testing.assert_array_equal(shared.timeline.time_bounds, whole.timeline.time_bounds)
        np.testing.assert_array_equal(shared.timeline.frame_bounds, whole.timeline.frame_bounds)
        assert shared.provenance == whole.provenance
        assert sum(counted) == 900
        assert len(counted) >= 3  # shares


def test_what_cannot_be_shared_is_read_in_one_go(workers: Workers, recording: Path, tmp_path: Path) -> None:
    assert workers.encode(recording, MeanEncoder(), RULE) is None  # not portable
    short = film(tmp_path / "short.mp4", 100)
    assert workers.encode(short, PortableEncoder(), RULE) is None
    other = write_video(tmp_path / "other.mkv", frames=900, codec="mpeg2video")
    assert workers.encode(other, PortableEncoder(), RULE) is None
    for path in (short, other):
        alone, shared = (extract(path, choice(PortableEncoder()), RULE, workers=w) for w in (None, workers))
        np.testing.assert_array_equal(alone.values, shared.values)


@pytest.mark.filterwarnings("ignore:.*damaged packets")
def test_damage_half_way_begins_anew(workers: Workers, tmp_path: Path) -> None:
    """What was counted is taken back, and the result is that of one go."""
    path = spoil_packets(film(tmp_path / "v.mp4", 1500, options={"bf": "0"}), range(1200, 1203))
    counted: list[int] = []
    shared = extract(path, choice(PortableEncoder()), RULE, counted.append, workers=workers)
    whole = extract(path, choice(PortableEncoder()), RULE)
    np.testing.assert_array_equal(shared.values, whole.values)
    assert min(counted) < 0
    assert sum(counted) == whole.timeline.frames


@pytest.mark.parametrize("frames", [1500, 300])
def test_a_missing_end_is_told_once(frames: int, workers: Workers, tmp_path: Path) -> None:
    """Of a long file by the plan, of a short one by who reads it in one go."""
    path = cut(film(tmp_path / "v.mkv", frames), 0.6)
    with pytest.warns(DamagedVideoWarning) as told:
        extract(path, choice(PortableEncoder()), RULE, workers=workers)
    assert len(told) == 1
    assert "was it cut short" in str(told[0].message)


def test_an_encoders_error_comes_through_and_the_workers_go_on(workers: Workers, recording: Path) -> None:
    with pytest.raises(InputError, match="weights are not what they were"):
        workers.encode(recording, PortableEncoder(fails_at_s=20.0), RULE)
    assert workers.encode(recording, PortableEncoder(), RULE) is not None


def children() -> set[int]:
    return {child.pid for child in active_children() if child.pid is not None}


def test_a_killed_worker_is_told_in_one_sentence(recording: Path) -> None:
    before = children()
    with Workers(1) as workers:
        (worker,) = children() - before
        killer = threading.Timer(2.0, os.kill, (worker, signal.SIGKILL))
        killer.start()
        with pytest.raises(RefineVADError, match="was killed, perhaps for want of memory; run again with --workers 1"):
            workers.encode(recording, PortableEncoder(waits_s=3.0), RULE)
        killer.join()


def test_who_leaves_early_leaves_no_process_behind(recording: Path) -> None:
    def leave(frames: int) -> None:
        raise KeyboardInterrupt

    before = children()
    workers = Workers(2)
    assert len(children() - before) == 2
    with pytest.raises(KeyboardInterrupt), workers:
        workers.encode(recording, PortableEncoder(waits_s=0.2), RULE, leave)
    assert children() == before


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """They would wait for work for ever."""
    program = """
        from multiprocessing import active_children
        from refinevad.features.workers import Workers
        if __name__ == "__main__":
            with Workers(2):
                print(*(child.pid for child in active_children()), flush=True)
                input()
    """
    script = tmp_path / "opens_workers.py"
    script.write_text(textwrap.dedent(program))
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        time.sleep(2.0)  # they have begun
        parent.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers")
