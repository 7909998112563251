"""Leaving out what nobody needs against decoding every frame: the same clips to the bit, at the same times."""

import threading
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.clips import FramePicker
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.needed_frames import NeededFrames
from refinevad.video.presentation import PlanError
from refinevad.video.reading import ClipReader, FrameReader, open_container
from videos import NEEDS, NTSC, assert_same_clips, cut, film, spoil_packets, turn

LITE = FrameNeeds(rgb_frames=2, rgb_size=(32, 32), gray_long_side=48, gray_hz=12.5)
RULE = SegmentRule.default()


def assert_same(path: Path, needs: FrameNeeds = LITE, rule: SegmentRule = RULE) -> tuple[ClipReader, ClipReader]:
    """Clips, times and warnings of both ways are equal; the readers: sparing, and of every frame."""
    readers = ClipReader(path, needs, rule), ClipReader(path, needs, rule, every_frame=True)
    found: list[list[Clip]] = []
    told: list[list[str]] = []
    for reader in readers:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(list(reader))
        told.append([str(one.message) for one in caught])
    assert told[0] == told[1]
    assert_same_clips(*found)
    assert readers[0].frames == readers[1].frames
    np.testing.assert_array_equal(readers[0].timeline.time_bounds, readers[1].timeline.time_bounds)
    np.testing.assert_array_equal(readers[0].timeline.frame_bounds, readers[1].timeline.frame_bounds)
    return readers


def test_disposable_frames_that_nobody_needs_are_left_out(tmp_path: Path) -> None:
    """At 25 a second half of the frames are needed; of the other half, those that others refer to are decoded too."""
    sparing, every = assert_same(film(tmp_path / "v.mp4"))
    assert every.decoded == every.frames == 90
    assert 45 <= sparing.decoded < 80


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov", ".flv"])
def test_any_container(suffix: str, tmp_path: Path) -> None:
    assert_same(film(tmp_path / f"v{suffix}"))


@pytest.mark.parametrize("suffix", [".avi", ".h264"])
def test_without_time_stamps_every_frame_is_decoded(suffix: str, tmp_path: Path) -> None:
    sparing, _ = assert_same(film(tmp_path / f"v{suffix}"))
    assert sparing.decoded == sparing.frames


@pytest.mark.parametrize("frames", [1, 2, 3, 15, 16, 17, 31, 33, 100])
def test_any_length(frames: int, tmp_path: Path) -> None:
    assert_same(film(tmp_path / "v.mp4", frames))


@pytest.mark.parametrize("rate", [1, 5, 10, NTSC, 30, 60])
@pytest.mark.parametrize("bf", ["0", "1", "7", "16"])
def test_any_rate_and_any_order(rate: Fraction | int, bf: str, tmp_path: Path) -> None:
    assert_same(film(tmp_path / "v.mp4", rate=rate, options={"bf": bf}))


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize(
    "rule", [RULE, SegmentRule(frames=16), SegmentRule(frames=3), SegmentRule(seconds=0.04)], ids=str
)
def test_any_needs_under_any_rule(needs: FrameNeeds, rule: SegmentRule, tmp_path: Path) -> None:
    assert_same(film(tmp_path / "v.mp4"), needs, rule)


def test_times_as_uneven_as_a_phones(tmp_path: Path) -> None:
    steps = np.random.default_rng(2).choice([0.02, 0.04, 0.1, 1.5], 60, p=[0.3, 0.4, 0.25, 0.05])
    times = np.cumsum(steps).round(3).tolist()
    assert_same(film(tmp_path / "v.mkv", 60, times_s=times))


def test_turned_pictures(tmp_path: Path) -> None:
    assert_same(turn(film(tmp_path / "v.mp4"), 90))


# --- files that are not as their packets say --------------------------------------------------------------------


@pytest.mark.parametrize("spoilt", [range(1), range(30, 33), range(60, 90)])
def test_damage_is_met_as_when_every_frame_is_decoded(spoilt: range, tmp_path: Path) -> None:
    path = spoil_packets(film(tmp_path / "v.mp4", options={"bf": "0"}), spoilt)
    sparing, every = assert_same(path)
    assert sparing.damaged == every.damaged


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_cut_copy(suffix: str, tmp_path: Path) -> None:
    assert_same(cut(film(tmp_path / f"v{suffix}"), 0.6))


def test_recordings_joined_end_to_end(tmp_path: Path) -> None:
    path = film(tmp_path / "v.ts")
    path.write_bytes(path.read_bytes() * 2)
    sparing, _ = assert_same(path)
    assert sparing.frames > 150


def test_interlaced_pictures_are_all_decoded(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", options={"x264-params": "tff=1"})
    sparing, _ = assert_same(path)
    assert sparing.decoded == sparing.frames


def test_nothing_is_given_that_would_have_to_be_taken_back(tmp_path: Path) -> None:
    """Up to the error, what is given is what every frame's reader gives."""
    path = spoil_packets(film(tmp_path / "v.mp4", options={"bf": "0"}), range(60, 63))
    wanted = [time_s for _, time_s in FrameReader(path)]
    given: list[float] = []
    with open_container(path) as container:
        source = NeededFrames(container, container.streams.video[0], FramePicker(LITE, RULE, 25.0))
        with pytest.raises(PlanError):
            given.extend(time_s for _, time_s in source)
    assert given == wanted[: len(given)]
    assert len(given) > 20


def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    path = spoil_packets(film(tmp_path / "v.mp4", 10, options={"bf": "0"}), range(10))
    with pytest.raises(InputError, match="no frame could be decoded"):
        list(ClipReader(path, LITE, RULE))


def test_who_leaves_early_leaves_nothing_open(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4")
    files, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    clips = iter(ClipReader(path, LITE, RULE))
    next(clips)
    del clips
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert threading.active_count() == threads
