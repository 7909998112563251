"""The encoder `vectors`: motion as the decoder has it, against pans whose speed is known, and where there is none."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

from cli_cases import call, error_of, make_recipe
from refinevad.encoders import motion, vectors
from refinevad.encoders.choice import open_encoder
from refinevad.encoders.lite import LiteEncoder
from refinevad.encoders.vectors import VectorEncoder, VectorSegment, as_segment
from refinevad.features.extraction import extract
from refinevad.features.store import read_provenance
from refinevad.features.workers import Workers
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip
from refinevad.video.reading import ClipReader
from refinevad.video.recording import Recording
from refinevad.video.shares import SharePlan, clips_of
from refinevad.video.upright import Orientation
from refinevad.video.vectors import Apart, References, in_units, is_reference, moved
from refinevad.video.zones import Area, Zones
from videos import B_FRAMES, assert_same_clips, turn, write_video

RULE = SegmentRule.default()
NEEDS = VectorEncoder().needs
SIZE = (128, 96)
VECTOR = [("source", "i4"), ("w", "u1"), ("h", "u1"), ("dst_x", "i2"), ("dst_y", "i2")]
VECTOR += [("motion_x", "i4"), ("motion_y", "i4"), ("motion_scale", "u2")]


def pan(frames: int, x: int, y: int = 0, size: tuple[int, int] = SIZE) -> list[UInt8[np.ndarray, "height width 3"]]:
    """A blurred texture that moves by so many pixels a frame: to the right and down."""
    width, height = size
    wide = (height + frames * abs(y), width + frames * abs(x))
    noise = np.random.default_rng(0).integers(0, 256, wide, dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    left, top = (frames * abs(x) if x > 0 else 0), (frames * abs(y) if y > 0 else 0)
    pictures = []
    for frame in range(frames):
        row, column = top - frame * y, left - frame * x
        pictures.append(texture[row : row + height, column : column + width, None].repeat(3, axis=2))
    return pictures


def clips(path: Path) -> list[Clip]:
    return list(Recording(path, NEEDS, RULE).whole())


def velocities(path: Path) -> np.ndarray:
    """Median velocity of each frame that has one, in grey pixels a second."""
    found = [each for clip in clips(path) for each in clip.moved if np.isfinite(each).any()]
    return np.array([np.nanmedian(each, axis=(0, 1)) for each in found])


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", ".mp4", {"crf": "20", "preset": "medium", "bf": "0"}),
        ("libx264", ".mp4", {**B_FRAMES, "crf": "20"}),  # a pyramid: B-frames that others refer to
        ("libx264", ".ts", {**B_FRAMES, "crf": "20", "b-pyramid": "none"}),
        ("libx264", ".mkv", {**B_FRAMES, "crf": "20", "direct-pred": "temporal"}),
        ("libx264", ".avi", {"crf": "20", "preset": "medium", "bf": "0"}),
        ("libx264", ".h264", {"crf": "20", "preset": "medium", "bf": "0"}),
        ("mpeg4", ".mp4", {}),
        ("mpeg4", ".mkv", {"bf": "2"}),
        ("mpeg2video", ".ts", {"bf": "2"}),
        ("mpeg1video", ".mpg", {}),
        ("flv1", ".flv", {}),
        ("wmv2", ".wmv", {}),
    ],
    ids=str,
)
def test_a_pan_moves_as_it_was_drawn(codec: str, suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    """3 pixels right and 2 up a frame, 25 frames a second, 128 pixels drawn as 160: 93.75 and -62.5 a second."""
    path = write_video(tmp_path / f"v{suffix}", pan(40, 3, -2), size=SIZE, codec=codec, options=options)
    found = velocities(path)
    assert len(found) >= 3
    np.testing.assert_allclose(found, [[93.75, -62.5]] * len(found), atol=4)


@pytest.mark.parametrize("rate", [10, Fraction(30000, 1001)])
def test_speed_is_of_seconds_not_of_frames(rate: Fraction | int, tmp_path: Path) -> None:
    """4 pixels a frame to the left are 5 grey ones, whatever a frame lasts."""
    path = write_video(tmp_path / "v.mp4", pan(40, -4), size=SIZE, rate=rate, options={**B_FRAMES, "crf": "20"})
    found = velocities(path)
    np.testing.assert_allclose(found, [[-5 * float(rate), 0]] * len(found), atol=0.05 * 5 * float(rate))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_move_as_they_are_shown(degrees: int, tmp_path: Path) -> None:
    """To the right as stored is down when turned a quarter clockwise, left by two, up by three."""
    path = write_video(tmp_path / "v.mp4", pan(30, 3), size=SIZE, options={"crf": "20", "preset": "medium"})
    shown = {90: (0, 93.75), 180: (-93.75, 0), 270: (0, -93.75)}[degrees]
    found = velocities(turn(path, degrees))
    np.testing.assert_allclose(found, [shown] * len(found), atol=4)


def square(frames: int, step: int) -> list[np.ndarray]:
    """A textured square of 32 pixels that moves to the right over a textured still ground."""
    ground, patch = pan(1, 0)[0], pan(1, 0, size=(32, 32))[0]
    pictures = []
    for frame in range(frames):
        picture = ground.copy()
        picture[32:64, 8 + frame * step : 40 + frame * step] = patch
        pictures.append(picture)
    return pictures


def test_descriptors_are_those_of_the_flow_of_the_same_pictures(tmp_path: Path) -> None:
    """What moves is seen at its place and speed: the field less its median is 0 beside the square, 2 pixels on it."""
    path = write_video(tmp_path / "v.mp4", square(30, 2), size=SIZE, options={"crf": "18", "preset": "medium"})
    segment = as_segment(clips(path)[0])
    assert isinstance(segment, VectorSegment)
    by_vectors, by_flow = segment.flow(), motion.flow_fields(segment.gray, segment.times)
    on = slice(12, 18), slice(10, 15)  # cells of 3.2 pixels, inside the square through the whole segment
    for fields in (by_vectors, by_flow):
        # 2 pixels of 128 are 2.5 of 160 in 1/25 s
        assert np.median(fields.x[2:, *on]) == pytest.approx(2.5, abs=0.3)
        assert np.abs(np.median(fields.y[2:, *on])) < 0.1
        assert np.median(fields.speed[:, 24:]) < 0.05


@pytest.mark.parametrize("codec", ["mjpeg", "libx265", "libvpx-vp9", "libvpx", "libsvtav1"])
def test_a_codec_without_vectors_goes_by_flow(codec: str, tmp_path: Path) -> None:
    """The motion of `lite`, to the bit."""
    quiet = {"libx265": {"x265-params": "log-level=none"}}.get(codec, {})
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / "v.mkv", square(40, 2), size=SIZE, codec=codec, pixels=pixels, options=quiet)
    ours = extract(path, open_encoder("vectors"), RULE).values
    assert ours[:, : motion.DIM].any()
    narrow = LiteEncoder().reading([(0, motion.DIM + 1)])
    theirs = narrow.encode(list(Recording(path, narrow.needs, RULE).whole()))
    np.testing.assert_array_equal(ours, theirs[:, : motion.DIM + 1])


@pytest.mark.parametrize("name", ["v.avi", "v.h264"])
def test_frames_whose_order_nobody_tells_go_by_flow(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, square(40, 2), size=SIZE, options=B_FRAMES)
    assert all(np.isnan(clip.moved).all() for clip in clips(path))
    assert type(as_segment(clips(path)[0])) is motion.GraySegment


def test_interlaced_frames_go_by_flow(tmp_path: Path) -> None:
    options = {**B_FRAMES, "x264-params": "tff=1"}
    path = write_video(tmp_path / "v.mp4", square(40, 2), size=SIZE, options=options)
    assert all(np.isnan(clip.moved).all() for clip in clips(path))


def test_pictures_of_a_program_go_by_flow() -> None:
    gray = np.stack([picture[..., 0] for picture in square(8, 2)])
    clip = Clip(np.zeros((0, 2, 2, 3), np.uint8), np.zeros(0), gray, np.arange(8) / 12.5, 0.0, 0.64, False)
    encoder = VectorEncoder()
    without = replace(clip, moved=np.full((8, *motion.grid((96, 128)), 2), np.nan, np.float32))
    np.testing.assert_array_equal(encoder.encode([without]), encoder.encode([clip]))


# --- the same whoever reads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mp4", "libx264", B_FRAMES),
        (".mkv", "libx264", {**B_FRAMES, "x264-params": "open-gop=1:keyint=20"}),
        (".mp4", "libx264", {**B_FRAMES, "bf": "16"}),
        (".mkv", "mpeg4", {"g": "30", "bf": "2"}),
        (".mp4", "mpeg4", {"g": "30"}),
    ],
    ids=str,
)
def test_shares_and_what_is_left_undecoded_change_nothing(
    suffix: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    """Decoded whole, without what nobody needs, and in shares: the same clips to the bit."""
    path = write_video(tmp_path / f"v{suffix}", pan(240, 2, 1), size=SIZE, codec=codec, options=options)
    every, sparing = (list(ClipReader(path, NEEDS, RULE, every_frame=every)) for every in (True, False))
    shares = list(SharePlan(path, NEEDS, RULE, lambda start_s, stated_s: 1.5))
    assert len(shares) >= 2
    shared = [clip for share in shares for clip in clips_of(path, share)]
    for found in (sparing, shared):
        assert_same_clips(found, every)
    assert np.isfinite(np.concatenate([clip.moved for clip in every])).any()


def test_workers_change_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", pan(600, 1), size=SIZE, options=B_FRAMES)
    alone = extract(path, open_encoder("vectors"), RULE).values
    with Workers(2) as workers:
        np.testing.assert_array_equal(extract(path, open_encoder("vectors"), RULE, workers=workers).values, alone)


def test_from_folder_to_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Extracted, trained and detected by name; a run is not opened with an encoder that gives other vectors."""
    recipe = make_recipe(tmp_path, tmp_path / "features")
    recipe.write_text(recipe.read_text().replace('"lite"', '"vectors"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REFINEVAD_DATA", str(tmp_path))
        assert call("train", recipe, "--out", tmp_path / "run", "--workers", "1") == 0
    assert read_provenance(tmp_path / "features" / "train" / "fall" / "0.safetensors").encoder["name"] == "vectors"
    video = tmp_path / "set" / "test" / "fall" / "0.mkv"
    assert call("detect", video, "--model", tmp_path / "run", "--out", tmp_path / "found") == 0
    capsys.readouterr()
    with mock.patch.object(vectors, "_VERSION", vectors._VERSION + 1):
        assert call("detect", video, "--model", tmp_path / "run", "--out", tmp_path / "later") == 2
    assert "encoder" in error_of(capsys)


# --- rules --------------------------------------------------------------------------------------------------------


def table(*rows: tuple[int, ...]) -> np.ndarray:
    """Vectors as FFmpeg gives them: source, width, height, middle (x, y), motion (x, y), and 4 of it a pixel."""
    return np.array([(*row, 4) for row in rows], dtype=VECTOR)


def test_a_vector_leads_to_where_its_block_was_or_will_be() -> None:
    """12 quarters to the left in the frame 0.1 s before: 30 pixels a second to the right; the next, the other way."""
    back, ahead = (-1, 16, 16, 8, 8, -12, 4), (1, 16, 8, 24, 4, 12, -8)
    x, y, known = in_units(table(back, ahead), Apart(0.1, 0.2), (24, 40))
    assert x.shape == (3, 5)
    np.testing.assert_allclose(x, [[30, 30, 15, 15, 0], [30, 30, 0, 0, 0], [0] * 5])
    np.testing.assert_allclose(y, [[-10, -10, -10, -10, 0], [-10, -10, 0, 0, 0], [0] * 5])
    np.testing.assert_array_equal(known, [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0] * 5])


def test_both_ways_are_averaged_and_an_unknown_one_left_out() -> None:
    both = table((-1, 8, 8, 4, 4, -8, 0), (1, 8, 8, 4, 4, 16, 0))
    assert in_units(both, Apart(0.1, 0.1), (8, 8))[0].item() == pytest.approx(30)  # of 20 and 40
    assert in_units(both, Apart(0.1, None), (8, 8))[0].item() == pytest.approx(20)
    assert in_units(both, Apart(None, None), (8, 8))[2].item() == 0


def test_blocks_beyond_the_picture_and_no_vectors_at_all() -> None:
    outside = table((-1, 16, 16, 16, 16, 4, 4), (-1, 8, 8, -4, 4, 4, 4), (-1, 8, 8, 4, 40, 4, 4))
    assert in_units(outside, Apart(0.1, None), (16, 16))[2].tolist() == [[0, 0], [0, 1]]
    assert in_units(table(), Apart(0.1, None), (16, 16))[2].tolist() == [[0, 0], [0, 0]]


def test_a_block_that_touches_what_is_hidden_says_nothing() -> None:
    hidden = np.zeros((8, 16), bool)  # of a picture twice as large
    hidden[0, 4] = True  # pixels (8, 0) to (10, 2)
    rows = table((-1, 8, 8, 4, 4, 4, 0), (-1, 16, 16, 16, 8, 4, 0), (-1, 8, 8, 28, 4, 4, 0))
    known = in_units(rows, Apart(0.1, None), (16, 32), hidden)[2]
    assert known.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0]]


def test_what_moves_under_a_mask_is_not_seen(tmp_path: Path) -> None:
    """The square's rows are hidden: nothing is left to move."""
    path = write_video(tmp_path / "v.mp4", square(30, 2), size=SIZE, options={"crf": "18", "preset": "medium"})
    mask = Area("rows", ((0.0, 0.2), (1.0, 0.2), (1.0, 0.8), (0.0, 0.8)))
    encoder = open_encoder("vectors")
    hidden = encoder.looking_at(Zones((mask,)))
    seen, masked = (as_segment(next(iter(Recording(path, one.needs, RULE).whole()))) for one in (encoder, hidden))
    assert seen.flow().speed.max() > 1.5
    assert masked.flow().speed.max() < 0.1


def segment(fields: np.ndarray) -> VectorSegment:
    pictures = np.random.default_rng(0).integers(0, 256, (len(fields) + 1, 96, 160), dtype=np.uint8)
    cuts = np.zeros(len(fields), bool)
    return VectorSegment(pictures, np.arange(len(fields) + 1) / 12.5, cuts, moved=fields.astype(np.float32))


def test_a_key_frames_pair_holds_the_last_and_does_not_count() -> None:
    fields = np.random.default_rng(1).normal(0, 50, (4, 24, 40, 2))
    fields[2] = np.nan
    found = segment(fields)
    assert found.usable.tolist() == [False, True, False, True]  # the first has no acceleration
    flow = found.flow()
    np.testing.assert_array_equal(flow.x[2], flow.x[1])
    fields[:3] = np.nan
    only = segment(fields)
    assert only.usable.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(only.flow().x[0], only.flow().x[3])


def test_gaps_take_what_is_around_them() -> None:
    """One cell unknown amid 25: the mean of the 24 others, less the median 0; nothing is taken from afar."""
    fields = np.zeros((2, 24, 40, 2))
    fields[:, 10:15, 10:15, 0] = 25.0 * 48 / 24  # one unit is 25 grey pixels a second
    fields[:, 12, 12] = np.nan
    fields[:, :8, 20:] = np.nan
    x = segment(fields).flow().x[1]
    assert x[12, 12] == pytest.approx(2.0)
    assert x[0, 39] == 0
    assert np.isfinite(x).all()


def test_numbers_beyond_reason_stay_finite() -> None:
    fields = np.random.default_rng(1).choice([3e38, -3e38, np.inf, np.nan, 1.0], (4, 24, 40, 2))
    assert np.isfinite(segment(fields).flow().speed).all()


def packet(payload: bytes, pts: int | None = 0, key: bool = False) -> Any:
    class Bytes(bytearray):
        size, time_base, opaque = len(payload), Fraction(1, 10), None

    made = Bytes(payload)
    made.pts, made.is_keyframe = pts, key
    return made


@pytest.mark.parametrize(("head", "wanted"), [(0x65, True), (0x41, True), (0x01, False), (0x21, True)])
def test_nal_ref_idc_says_what_others_may_refer_to(head: int, wanted: bool) -> None:
    """H.264, 7.3.1: forbidden_zero_bit, nal_ref_idc in two bits, nal_unit_type in five. 6 and 9 hold no picture."""
    slices = bytes([head, 1, 2, 3])
    assert is_reference(packet(b"\0\0\0\x01\x09\x10\0\0\x01\x06\x05" + b"\0\0\x01" + slices), None) is wanted
    avcc = b"\x01\x64\0\x1f\xff\xe1"
    assert is_reference(packet(b"\0\0\0\x02\x09\x10\0\0\0\x04" + slices), avcc) is wanted
    assert is_reference(packet(b"\x02\x09\x10\x04" + slices), b"\x01\x64\0\x1f\xfc\xe1") is wanted


def references(codec: str = "mpeg2video", container: str = "mpegts", reorders: int = 1) -> References:
    context = SimpleNamespace(flags=0, flags2=0, name=codec, extradata=None, has_b_frames=reorders)
    stream = SimpleNamespace(codec_context=context, container=SimpleNamespace(format=SimpleNamespace(name=container)))
    return References(stream, 25.0)  # type: ignore[arg-type]


def apart(found: References, stamps: list[int | None], keys: tuple[int, ...] = (0,)) -> list[Any]:
    packets = [packet(b"\0", stamp, place in keys) for place, stamp in enumerate(stamps)]
    for one in packets:
        found.note(one)
    return [one.opaque for one in packets]


def test_the_nearest_reference_on_each_side_counts() -> None:
    """I0 P3 B1 B2 P6 B4, in tenths of a second: no B-frame is referred to."""
    wanted = [(None, None), (0.3, None), (0.1, 0.2), (0.2, 0.1), (0.3, None), (0.1, 0.2)]
    found = apart(references(), [0, 3, 1, 2, 6, 4])
    assert [tuple(pytest.approx(part) if part else part for part in one) for one in wanted] == found


def test_stamps_that_begin_anew_leave_the_old_ones_behind() -> None:
    assert apart(references(), [100, 101, 0, 1], keys=(0, 2)) == [
        (None, None),
        (pytest.approx(0.1), None),
        (None, None),
        (pytest.approx(0.1), None),
    ]


def test_without_stamps_a_reference_is_one_frame_away_where_none_is_out_of_order() -> None:
    assert apart(references(reorders=0), [None, None]) == [(0.04, None)] * 2
    assert apart(references(), [None, None]) == [(None, None)] * 2
    assert apart(references("h264", "avi"), [0, 1]) == [None, None]
    assert apart(references("mpeg4"), [0, 3, 1]) == [(None, None), (pytest.approx(0.3), None), None]


def test_a_frame_that_bears_nothing_is_not_known() -> None:
    frame = SimpleNamespace(side_data={}, opaque=None, interlaced_frame=False, width=16, height=16)
    assert np.isnan(moved(frame, (16, 16), (4, 4), None)).all()  # type: ignore[arg-type]


def test_a_mask_is_stored_as_the_picture_is() -> None:
    """What `apply` brings upright is taken back."""
    from refinevad.video.vectors import _as_stored

    stored = np.arange(6).reshape(2, 3) % 2 == 0
    for shown in (Orientation(*map(bool, (a, b, c))) for a in (0, 1) for b in (0, 1) for c in (0, 1)):
        np.testing.assert_array_equal(_as_stored(shown.apply(stored.astype(np.uint8)).astype(bool), shown), stored)
