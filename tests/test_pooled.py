"""Many files through one pool: the same bits whatever their order, their lengths and the count of workers."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.lite import LiteEncoder
from refinevad.errors import InputError, RefineVADError
from refinevad.features import pooled
from refinevad.features.encoding import Encoded
from refinevad.features.extraction import extract
from refinevad.features.workers import Workers
from refinevad.machine.worker_pool import deaths_told
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning
from test_workers import PortableEncoder
from videos import cut, film, spoil_packets, write_video

RULE = SegmentRule.default()
FRAMES = (1, 40, 330, 700, 1100)  # at 25 a second: alone or last, the longest three are shared


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of all lengths; and what is to be read in one go: spoilt half-way, and of a codec that is not shared."""
    folder = tmp_path_factory.mktemp("films")
    made = [film(folder / f"{frames}.mp4", frames) for frames in FRAMES]
    made.append(spoil_packets(film(folder / "spoilt.mp4", 700, options={"bf": "0"}), range(500, 503)))
    made.append(write_video(folder / "other.mkv", frames=400, codec="mpeg2video"))
    return made


@pytest.fixture(scope="module")
def alone(films: list[Path]) -> list[np.ndarray]:
    """The vectors of each file by this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)
        return [extract(path, EncoderChoice("lite", PortableEncoder(), None), RULE).values for path in films]


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, Workers]]:
    with Workers(1) as one, Workers(2) as two, Workers(3) as three:
        yield {1: one, 2: two, 3: three}


@pytest.mark.filterwarnings("ignore:.*damaged packets")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.integers(0, len(FRAMES) + 1), min_size=1, max_size=8),
    count=st.integers(1, 3),
    longest_s=st.sampled_from([0.0, 20.0, 120.0]),
)
def test_the_same_bits_in_any_order_by_any_count(
    places: list[int],
    count: int,
    longest_s: float,
    films: list[Path],
    alone: list[np.ndarray],
    pools: dict[int, Workers],
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pooled, "_SHARE_S", (6.0, longest_s or 6.0))
        counted: list[int] = []
        asked = [films[place] for place in places]
        with pools[count].encode_all(asked, PortableEncoder(), RULE, counted.append) as files:
            found = dict(files)
    assert sorted(found) == list(range(len(places)))
    frames = 0
    for number, place in enumerate(places):
        encoded = found[number]
        assert isinstance(encoded, Encoded)
        np.testing.assert_array_equal(encoded.vectors, alone[place])
        frames += encoded.timeline.frames
    assert sum(counted) == frames


def test_the_default_encoders_bits(films: list[Path], pools: dict[int, Workers]) -> None:
    encoder = EncoderChoice("lite", LiteEncoder(), None)
    narrow = encoder.reading([encoder.parts["motion_mean"]])
    asked = [films[3], films[1]]
    assert narrow.vision is not None
    with pools[2].encode_all(asked, narrow.vision, RULE) as files:
        for place, encoded in files:
            assert isinstance(encoded, Encoded)
            np.testing.assert_array_equal(encoded.vectors, extract(asked[place], narrow, RULE).values)


def test_one_bad_file_is_told_and_the_others_are_done(
    films: list[Path], pools: dict[int, Workers], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("text" * 100)
    asked = [films[1], bad, tmp_path / "none.mp4", films[2], films[3]]
    with pools[2].encode_all(asked, PortableEncoder(), RULE) as files:
        found = dict(files)
    assert [place for place, one in found.items() if isinstance(one, InputError)] in ([1, 2], [2, 1])
    assert "not a video" in str(found[1])
    assert "not found" in str(found[2])
    assert all(isinstance(found[place], Encoded) for place in (0, 3, 4))


def test_an_encoders_error_ends_one_file_alone(films: list[Path], pools: dict[int, Workers]) -> None:
    asked = [films[4], films[1], films[3]]  # the first goes on beyond 30 s
    with pools[2].encode_all(asked, PortableEncoder(fails_at_s=30.0), RULE) as files:
        found = dict(files)
    assert isinstance(found[0], InputError)
    assert isinstance(found[1], Encoded)
    assert isinstance(found[2], Encoded)


@pytest.mark.parametrize("frames", [200, 1500])
def test_what_is_found_amiss_is_told_once_for_each_file(frames: int, pools: dict[int, Workers], tmp_path: Path) -> None:
    path = cut(film(tmp_path / "v.mkv", frames), 0.6)
    with pytest.warns(DamagedVideoWarning) as told, pools[2].encode_all([path], PortableEncoder(), RULE) as files:
        ((_, encoded),) = files
    assert isinstance(encoded, Encoded)
    assert [str(one.message) for one in told] == list(encoded.notes)
    assert len(told) == 1


def test_a_killed_worker_is_told_and_what_came_before_is_kept(films: list[Path]) -> None:
    before = {child.pid for child in active_children()}
    kept: list[int] = []

    def read() -> None:
        with (
            deaths_told("reads videos", "run again"),
            Workers(1) as workers,
            workers.encode_all([films[0], films[1], films[2]], PortableEncoder(waits_s=1.0), RULE) as files,
        ):
            (worker,) = {child.pid for child in active_children()} - before
            assert worker is not None
            for place, _ in files:
                kept.append(place)
                if len(kept) == 1:
                    threading.Timer(0.2, os.kill, (worker, signal.SIGKILL)).start()

    with pytest.raises(RefineVADError, match="was killed"):
        read()
    assert kept[:1] == [0]
    assert len(kept) < 3
