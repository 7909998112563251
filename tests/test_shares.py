"""A recording in shares against the same in one go: the same clips to the bit, none missing and none twice."""

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.presentation import PlanError
from refinevad.video.reading import ClipReader
from refinevad.video.shares import Share, SharePlan, clips_of
from videos import NEEDS, NTSC, assert_same_clips, film, sliding, spoil_packets, write_headers_only, write_video

LITE = FrameNeeds(rgb_frames=2, rgb_size=(32, 32), gray_long_side=48, gray_hz=12.5)
RULE = SegmentRule.default()


def plan_of(path: Path, needs: FrameNeeds = LITE, rule: SegmentRule = RULE, length_s: float = 1.5) -> SharePlan:
    return SharePlan(path, needs, rule, lambda start_s, stated_s: length_s)


def clips_of_all(path: Path, shares: Iterable[Share]) -> list[list[Clip]]:
    return [list(clips_of(path, share)) for share in shares]


def assert_shared(path: Path, needs: FrameNeeds = LITE, rule: SegmentRule = RULE, length_s: float = 1.5) -> list[Share]:
    """Shares give the reader's clips, and their plan its timeline; the shares."""
    reader, plan = ClipReader(path, needs, rule), plan_of(path, needs, rule, length_s)
    wanted, shares = list(reader), list(plan)
    parts = clips_of_all(path, shares)
    assert [len(clips) for clips in parts] == [share.segments for share in shares]
    assert_same_clips([clip for clips in parts for clip in clips], wanted)
    np.testing.assert_array_equal(plan.timeline.time_bounds, reader.timeline.time_bounds)
    np.testing.assert_array_equal(plan.timeline.frame_bounds, reader.timeline.frame_bounds)
    assert sum(share.frames for share in shares) == reader.frames
    return shares


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".flv"])
def test_any_container(suffix: str, tmp_path: Path) -> None:
    assert len(assert_shared(film(tmp_path / f"v{suffix}", 300))) >= 3


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx265", {"x265-params": "keyint=30:bframes=4:open-gop=1:log-level=none"}),
        ("libx265", {"x265-params": "keyint=30:bframes=0:open-gop=0:log-level=none"}),
        ("mpeg4", {"g": "30", "bf": "2"}),
        ("mjpeg", {}),
        (
            "libvpx-vp9",
            {"g": "30", "deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "10"},
        ),
    ],
    ids=str,
)
def test_any_codec(codec: str, options: dict[str, str], tmp_path: Path) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    pictures = sliding(240, (96, 64))
    path = write_video(tmp_path / "v.mkv", pictures, size=(96, 64), codec=codec, pixels=pixels, options=options)
    assert len(assert_shared(path)) >= 2


@pytest.mark.parametrize("rate", [1, 10, NTSC, 60])
@pytest.mark.parametrize("bf", ["0", "16"])
def test_any_rate_and_any_order(rate: Fraction | int, bf: str, tmp_path: Path) -> None:
    assert len(assert_shared(film(tmp_path / "v.mp4", 240, rate, options={"bf": bf, "g": "20"}))) >= 2


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize("rule", [RULE, SegmentRule(frames=16), SegmentRule(frames=3)], ids=str)
def test_any_needs_under_any_rule(needs: FrameNeeds, rule: SegmentRule, tmp_path: Path) -> None:
    assert len(assert_shared(film(tmp_path / "v.mp4", 200), needs, rule)) >= 2


@pytest.mark.parametrize(
    "options", [{"x264-params": "open-gop=1"}, {"keyint_min": "1", "sc_threshold": "100"}], ids=str
)
def test_key_frames_of_any_kind(options: dict[str, str], tmp_path: Path) -> None:
    assert len(assert_shared(film(tmp_path / "v.mp4", 300, options=options))) >= 3


@pytest.mark.filterwarnings("ignore:pictures end")  # the last step is long: the container counts it once more
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), every=st.integers(2, 40), length_s=st.sampled_from([0.1, 0.7, 2.0, 5.0]))
def test_times_as_uneven_as_a_phones(seed: int, every: int, length_s: float, tmp_path: Path) -> None:
    steps = np.random.default_rng(seed).choice([0.02, 0.04, 0.1, 1.5], 120, p=[0.3, 0.4, 0.25, 0.05])
    times = np.cumsum(steps).round(3).tolist()
    assert_shared(film(tmp_path / "v.mkv", 120, times_s=times, options={"g": str(every)}), length_s=length_s)


def test_one_group_of_pictures_is_one_share(tmp_path: Path) -> None:
    """Whoever began in its midst would decode it from its beginning."""
    assert len(assert_shared(film(tmp_path / "v.mp4", 200, options={"g": "1000", "sc_threshold": "0"}))) == 1


def test_little_is_decoded_twice(tmp_path: Path) -> None:
    """A share begins decoding with the segment before its own, soon after a key frame."""
    path = film(tmp_path / "v.mp4", 900, options={"sc_threshold": "0"})
    shares = assert_shared(path, length_s=8.0)
    assert len(shares) == 4
    for share in shares[1:]:
        assert share.first is not None
        assert share.key is not None
        assert (share.first - share.key) / 12800 <= 0.16 + 1e-9  # in the file's time base: a fiftieth of 8 s


# --- files that must be read in one go --------------------------------------------------------------------------


def test_codecs_whose_key_frames_may_be_no_beginning(tmp_path: Path) -> None:
    """As AV1's forward ones."""
    path = write_video(tmp_path / "v.mkv", frames=100, codec="mpeg2video")
    with pytest.raises(PlanError):
        list(plan_of(path))


@pytest.mark.parametrize("suffix", [".avi", ".h264"])
def test_without_time_stamps(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"v{suffix}")
    with pytest.raises(PlanError):
        clips_of_all(path, plan_of(path))


def test_recordings_joined_end_to_end(tmp_path: Path) -> None:
    path = film(tmp_path / "v.ts")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(PlanError):
        list(plan_of(path))


@pytest.mark.parametrize("options", [{"x264-params": "tff=1"}, {"x264-params": "intra-refresh=1"}], ids=str)
def test_pictures_that_do_not_stand_by_themselves(options: dict[str, str], tmp_path: Path) -> None:
    """Interlaced ones, and streams without key frames, which build a picture up: equal, or refused."""
    path = film(tmp_path / "v.mp4", 200, options={"bf": "0", **options})
    with suppress(PlanError):
        assert_shared(path)


def test_damage_is_met_where_it_is_decoded(tmp_path: Path) -> None:
    path = spoil_packets(film(tmp_path / "v.mp4", 200, options={"bf": "0"}), range(100, 103))
    with pytest.raises(PlanError):
        clips_of_all(path, plan_of(path))


def test_a_file_that_became_another_meanwhile(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", 300)
    shares = list(plan_of(path))
    film(path, 100)
    with pytest.raises(PlanError):
        clips_of_all(path, shares)


def test_without_a_frame_or_a_file(tmp_path: Path) -> None:
    with pytest.raises((PlanError, InputError)):
        list(plan_of(write_headers_only(tmp_path / "v.mp4")))
    with pytest.raises(InputError, match="not found"):
        plan_of(tmp_path / "none.mp4")
