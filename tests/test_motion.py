"""Motion descriptors against scenes whose motion is known by construction."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

import reference_motion
from refinevad.encoders import motion, motion_descriptors

RATE_HZ = 12.5
# Place of the larger window's common share of speed: the groups before it hold so many descriptors.
INCOHERENCE_SHARE = 9 + 9 + 6 + 11 + 7 + 4


def texture(seed: int = 0, height: int = 160, width: int = 240) -> np.ndarray:
    """Smooth random picture: every place has structure for the flow to hold on to."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 20, 235, cv2.NORM_MINMAX)


def shifted(picture: np.ndarray, right: float, down: float) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, 1, down]], dtype=np.float32)
    return cv2.warpAffine(picture, matrix, picture.shape[::-1], borderMode=cv2.BORDER_REFLECT)


def patch_scene(offsets: list[tuple[float, float]], background: int = 0) -> np.ndarray:
    """A textured patch at (right, down) offsets on a still textured background, 90 x 160."""
    still, moving = texture(background)[:90, :160], texture(7)
    frames = []
    for right, down in offsets:
        frame = still.copy()
        window = shifted(moving, right, down)[:90, :160]
        mask = shifted(np.pad(np.ones((60, 70), np.float32), ((15, 85), (40, 130))), right, down)[:90, :160] > 0.5
        frame[mask] = window[mask]
        frames.append(frame)
    return np.stack(frames).round().astype(np.uint8)


def times(frames: int, rate_hz: float = RATE_HZ) -> np.ndarray:
    return np.arange(frames) / rate_hz


def segment_motion(gray: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """One segment's numbers, described by itself."""
    return motion.motion_of([motion.GraySegment(gray, seconds, motion.find_cuts(gray))])[0]


def describe_pairs(gray: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return motion_descriptors.describe(
        motion.pairs_of(motion.GraySegment(gray, seconds, np.zeros(len(gray) - 1, bool)))
    )


def test_a_still_segment_has_no_motion() -> None:
    still = np.repeat(texture()[None, :90, :160].astype(np.uint8), 5, axis=0)
    assert motion.flow_fields(still, times(5)).speed.max() == pytest.approx(0, abs=1e-3)
    assert motion.frame_difference(still, times(5)) == 0.0


def test_flow_points_where_the_patch_goes_in_units_of_speed() -> None:
    """4 pixels to the right and 2 up in 1/12.5 s are 2 right and 1 up in 1/25 s."""
    gray = patch_scene([(4.0 * step, -2.0 * step) for step in range(3)])
    flow = motion.flow_fields(gray, times(3))
    middle = [field[0, 9:14, 15:24].mean() for field in (flow.x, flow.y)]
    np.testing.assert_allclose(middle, [2.0, -1.0], atol=0.5)  # the flow's smoothing shrinks a small patch's speed


def test_a_panning_camera_is_taken_off() -> None:
    picture = texture()
    gray = np.stack([shifted(picture, 3.0 * step, 0.0)[20:110, 20:180] for step in range(4)]).astype(np.uint8)
    speed = motion.flow_fields(gray, times(4)).speed
    assert np.median(speed) < 0.1


def test_speed_does_not_depend_on_the_frame_rate() -> None:
    """The same movement seen 12.5 and 25 times a second."""
    offsets = [(1.5 * step, 0.5 * step) for step in range(9)]
    every, second = patch_scene(offsets), patch_scene(offsets[::2])
    fast = motion.flow_fields(every, times(9, 25.0)).speed.max(axis=(1, 2))
    slow = motion.flow_fields(second, times(5, 12.5)).speed.max(axis=(1, 2))
    assert fast.mean() == pytest.approx(slow.mean(), rel=0.25)


def test_limbs_that_fly_apart_are_less_coherent_than_a_body_that_walks() -> None:
    rng = np.random.default_rng(3)
    walk = patch_scene([(1.5 * step, 0.0) for step in range(8)])
    base = texture()[:90, :160]
    column, row = np.meshgrid(np.arange(160, dtype=np.float32), np.arange(90, dtype=np.float32))
    inside = ((column > 40) & (column < 110) & (row > 15) & (row < 75)).astype(np.float32)
    fight = []
    for _ in range(8):
        coarse = cv2.resize(rng.normal(size=(12, 20, 2)).astype(np.float32), (160, 90))
        moved = cv2.remap(base, column + coarse[..., 0] * inside, row + coarse[..., 1] * inside, cv2.INTER_LINEAR)
        fight.append(moved.round().astype(np.uint8))
    walk_apart, fight_apart = (
        describe_pairs(gray, times(8))[1:, INCOHERENCE_SHARE].mean() for gray in (walk, np.stack(fight))
    )
    # the share of speed that a window has in common: what is missing to 1 at least half as much again
    assert 1 - fight_apart > 1.5 * (1 - walk_apart)


def test_one_step_of_a_brightening_picture_is_its_frame_difference() -> None:
    """Levels 10, 14, 20 at 25 a second: differences 4 and 6, mean 5; at 12.5 a second half of that."""
    gray = np.stack([np.full((40, 60), level, np.uint8) for level in (10, 14, 20)])
    assert motion.frame_difference(gray, times(3, 25.0)) == pytest.approx(5.0)
    assert motion.frame_difference(gray, times(3, 12.5)) == pytest.approx(2.5)
    assert motion.frame_difference(gray[:2], times(2, 25.0)) == pytest.approx(4.0)


def test_a_cut_is_found_and_carries_no_motion() -> None:
    before = np.repeat(texture(1)[None, :90, :160].astype(np.uint8), 4, axis=0)
    after = np.repeat(texture(2)[None, :90, :160].astype(np.uint8), 4, axis=0)
    gray = np.concatenate([before, after])
    assert motion.find_cuts(gray).tolist() == [False, False, False, True, False, False, False]
    assert motion.touched_by_cut(motion.find_cuts(gray)).tolist() == [False] * 3 + [True] * 2 + [False] * 2
    assert motion.frame_difference(gray, times(8)) == 0.0
    np.testing.assert_allclose(segment_motion(gray, times(8)), segment_motion(before, times(4)), atol=0.2)


@pytest.mark.parametrize(
    ("cuts", "usable"),
    [
        ([False] * 4, [False, True, True, True]),  # nothing precedes the first: it has no acceleration
        ([False], [True]),  # alone it must do
        ([False, True, False, False], [False, False, False, True]),  # a cut, and the acceleration across it
        ([True, False, False], [False, False, True]),
        ([False, True, False], [True, False, False]),  # no other is left
        ([True, True, False], [False, False, False]),
    ],
)
def test_pairs_that_say_something_of_motion(cuts: list[bool], usable: list[bool]) -> None:
    gray = np.zeros((len(cuts) + 1, 16, 20), np.uint8)
    assert motion.GraySegment(gray, times(len(gray)), np.array(cuts)).usable.tolist() == usable
    small = motion.GraySegment(gray[:, :15], times(len(gray)), np.array(cuts))
    assert small.usable.tolist() == [False] * len(cuts)


def test_a_segment_is_described_without_its_first_pair() -> None:
    """The patch stands still in the first pair and runs in the others."""
    gray, seconds = patch_scene([(0, 0), (0, 0), (4, 0), (8, 0), (12, 0)]), times(5)
    pairs = describe_pairs(gray, seconds)
    np.testing.assert_array_equal(segment_motion(gray, seconds), motion.summarise(pairs[1:]))
    assert np.abs(motion.summarise(pairs[1:]) - motion.summarise(pairs)).max() > 0.1


def test_a_pairs_flow_does_not_depend_on_how_many_follow() -> None:
    """30 frames of 24 x 20: more frames than a side has pixels."""
    gray = np.stack([shifted(texture(5, 24, 20), 0.5 * step, 0.0) for step in range(30)]).round().astype(np.uint8)
    few, many = motion.flow_fields(gray[:3], times(3)), motion.flow_fields(gray, times(30))
    np.testing.assert_array_equal(many.speed[:2], few.speed)


def test_frames_of_one_stamp_are_a_millisecond_apart() -> None:
    gray = patch_scene([(0, 0), (2, 0)])
    together, apart = (motion.flow_fields(gray, np.array([1.0, 1.0 + step])) for step in (0.0, 1e-3))
    assert np.isfinite(together.speed).all()
    np.testing.assert_allclose(together.speed, apart.speed, rtol=1e-4)


@pytest.mark.parametrize(
    ("steps", "cut"),
    [
        ([1, 1, 8, 1], 2),  # above 4 + 3 times the others' median
        ([1, 1, 7, 1], None),
        ([0, 5, 0], 1),
        ([0, 4, 0], None),
        ([0, 0, 6, 13, 0], 3),  # above twice the runner-up
        ([0, 0, 6, 12, 0], None),
        ([0, 100], None),  # two pairs: no others to tower above
    ],
)
def test_where_the_shot_changes_by_hand(steps: list[int], cut: int | None) -> None:
    """Flat pictures, so that a pair's difference is the step in their level."""
    levels = np.cumsum([0, *steps])
    gray = np.stack([np.full((20, 30), level, np.uint8) for level in levels])
    assert np.flatnonzero(motion.find_cuts(gray)).tolist() == ([] if cut is None else [cut])


def test_a_cut_is_no_difference() -> None:
    """Levels 0, 2, 100, 104 at 25 a second: the cut is left out, of 2 and 4 the mean is 3."""
    gray = np.stack([np.full((20, 30), level, np.uint8) for level in (0, 2, 100, 104)])
    cuts = np.array([False, True, False])
    assert motion.frame_difference(gray, times(4, 25.0), cuts) == pytest.approx(3.0)
    assert motion.frame_difference(gray, times(4, 25.0), np.ones(3, bool)) == 0.0


@pytest.mark.parametrize("frames", [0, 1])
def test_too_few_frames_give_zeros(frames: int) -> None:
    gray = np.zeros((frames, 90, 160), np.uint8)
    assert not segment_motion(gray, times(frames)).any()
    assert motion.GraySegment(gray, times(frames), motion.find_cuts(gray)).usable.shape == (0,)
    assert motion.frame_difference(gray, times(frames)) == 0.0


def test_statistics_by_hand() -> None:
    """1, 2, 3, 4, 10: mean 4, deviation sqrt(10), largest fifth 10."""
    series = np.array([1.0, 2.0, 3.0, 4.0, 10.0])[:, None]
    np.testing.assert_allclose(motion.summarise(series), [4.0, np.sqrt(10.0), 10.0], rtol=1e-6)


@pytest.mark.parametrize(("pairs", "largest"), [(1, 1.0), (4, 4.0), (9, 9.0), (10, 9.5), (12, 11.5), (15, 14.0)])
def test_a_fifth_of_the_pairs_is_rounded_down_and_one_at_least(pairs: int, largest: float) -> None:
    """Of 1, 2, 3 and on: the mean of the last, of the last two from ten, of the last three from fifteen."""
    assert motion.summarise(np.arange(1.0, pairs + 1)[:, None])[2] == pytest.approx(largest)


@given(
    frames=st.integers(2, 9),
    height=st.integers(16, 70),
    width=st.integers(16, 70),
    rate_hz=st.floats(5, 30),
    levels=st.sampled_from([2, 256]),
    seed=st.integers(0, 99),
)
def test_descriptors_are_those_of_the_plain_oracle(
    frames: int, height: int, width: int, rate_hz: float, levels: int, seed: int
) -> None:
    """Noise of two levels has many equal speeds and many cells that do not move."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, levels, (frames, 4, 5)) * (255 // (levels - 1))
    gray = np.stack([cv2.resize(frame.astype(np.uint8), (width, height)) for frame in coarse])
    found = describe_pairs(gray, times(frames, rate_hz))
    apart = np.abs(found - reference_motion.describe_pairs(gray, times(frames, rate_hz)))
    # a cell just at a level or between two directions may fall on either side in the oracle's longer floats
    assert apart.max() < 0.06
    assert (apart > 2e-4).mean() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_each_direction_falls_into_the_bin_that_arctan2_names(seed: int) -> None:
    """Also along the axes; exactly on a diagonal, arctan2's own rounding decides, so those are left out."""
    x, y = np.random.default_rng(seed).integers(-4, 5, (2, 3, 20, 30)).astype(np.float32)
    y[np.abs(x) == np.abs(y)] *= 0.5
    expected = (np.arctan2(y, x) / (2 * np.pi) * 8).astype(int) % 8
    np.testing.assert_array_equal(motion_descriptors._octants(x, y), expected)


@given(frames=st.integers(0, 5), height=st.integers(2, 70), width=st.integers(2, 70), seed=st.integers(0, 9))
def test_any_picture_gives_finite_numbers(frames: int, height: int, width: int, seed: int) -> None:
    gray = np.random.default_rng(seed).integers(0, 256, (frames, height, width), dtype=np.uint8)
    vector = segment_motion(gray, times(frames))
    assert vector.shape == (motion.DIM,)
    assert np.isfinite(vector).all()


def test_a_segment_is_described_the_same_beside_any_others() -> None:
    """To the bit: other lengths, another picture size, one with a cut, one without motion, one frame."""
    rng = np.random.default_rng(0)
    sizes = [(9, 90, 160), (9, 90, 160), (4, 90, 160), (5, 60, 80), (1, 90, 160), (2, 90, 160), (30, 90, 160)]
    sizes += [(9, 32, 48), (7, 37, 51), (8, 37, 51), (6, 32, 48)]  # grids whose cells fill no vector register
    grays = [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    grays.append(np.repeat(grays[0][:1], 6, axis=0))
    grays.append(np.concatenate([np.repeat(grays[0][:1], 4, axis=0), np.repeat(grays[1][:1], 4, axis=0)]))
    grays += grays[:3]  # more pairs than one call of the blur takes
    segments = [motion.GraySegment(gray, times(len(gray)), motion.find_cuts(gray)) for gray in grays]
    together = motion.motion_of(segments)
    np.testing.assert_array_equal(together, [segment_motion(gray, times(len(gray))) for gray in grays])
    assert together[[0, 1, 2, 3, 5, 6]].any(axis=1).all()
    assert not together[4].any()


@pytest.mark.parametrize("offset", range(1, 9))
def test_a_length_does_not_depend_on_where_its_vector_lies(offset: int) -> None:
    """To the bit; OpenCV's did, so a segment's numbers depended on those before it."""
    x, y = np.random.default_rng(1).normal(size=(2, 3, 27, 40)).astype(np.float32)
    room = np.zeros((2, x.size + 16), np.float32)
    room[:, offset : offset + x.size] = x.reshape(-1), y.reshape(-1)
    moved_x, moved_y = room[:, offset : offset + x.size].reshape(2, *x.shape)
    np.testing.assert_array_equal(motion_descriptors.length(moved_x, moved_y), motion_descriptors.length(x, y))


def test_pixels_must_be_bytes() -> None:
    with pytest.raises(TypeCheckError):
        segment_motion(np.zeros((3, 90, 160), np.float32), times(3))
