"""What lies under a mask, or outside of all zones, changes no bit of what a model is given."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from fakes import MeanEncoder
from refinevad.apps.cli import main
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice, open_encoder
from refinevad.encoders.motion import GraySegment, motion_of
from refinevad.encoders.motion_descriptors import DESCRIPTORS
from refinevad.errors import InputError
from refinevad.features.store import Provenance
from refinevad.model_choice import open_model
from refinevad.model_config import RefineVADConfig
from refinevad.timeline import SegmentRule
from refinevad.video.clips import ClipCutter
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.masks import GREY, checked_zones, hidden, share_hidden
from refinevad.video.zones import Area, Zones, read_zones, zones_of
from videos import write_video

LEFT = Area("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
RIGHT = Area("right", ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))
SIZES = ((640, 360), (704, 576), (320, 240), (160, 90), (97, 61), (96, 200))
NEEDS = FrameNeeds(rgb_frames=2, rgb_size=(224, 224), gray_long_side=160, gray_hz=12.5)


def inside(zones: Zones, size: tuple[int, int]) -> np.ndarray:
    """Pixels of which any part may be hidden, by the crossing-number rule on a grid of 5 x 5 points in each pixel."""
    width, height = size
    steps = np.linspace(0, 1, 5)
    x = (np.arange(width)[:, None] + steps).ravel() / width
    y = (np.arange(height)[:, None] + steps).ravel() / height

    def within(area: Area) -> np.ndarray:
        crossed = np.zeros((len(y), len(x)), bool)
        for (x0, y0), (x1, y1) in zip(area.points, (*area.points[1:], area.points[0]), strict=True):
            if y0 != y1:
                spans = (y0 > y) != (y1 > y)
                at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                crossed ^= spans[:, None] & (x[None] < at[:, None])
        return crossed

    out = np.zeros((len(y), len(x)), bool)
    if zones.zones:
        out = ~np.logical_or.reduce([within(area) for area in zones.zones])
    for area in zones.masks:
        out |= within(area)
    return np.asarray(out.reshape(height, 5, width, 5).any(axis=(1, 3)))


def pictures(size: tuple[int, int], count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size[1], size[0], 3)).astype(np.uint8)


def clip_of(frames: np.ndarray, needs: FrameNeeds, pixels: str = "yuv420p") -> Clip:
    cutter = ClipCutter(needs, SegmentRule(seconds=10.0), 12.5)
    for index, picture in enumerate(frames):
        cutter.push(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels), index / 12.5)
    clip = cutter.close()
    assert clip is not None
    return clip


def same_pixels(one: Clip, other: Clip) -> bool:
    return np.array_equal(one.rgb, other.rgb) and np.array_equal(one.gray, other.gray)


def drawn(generator: np.random.Generator, most: int) -> tuple[Area, ...]:
    """Polygons of any corners, crossed ones too."""
    counts = generator.integers(3, 7, generator.integers(0, most + 1))
    return tuple(Area("a", tuple(map(tuple, generator.random((count, 2)).tolist()))) for count in counts)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_under_a_mask_reaches_a_pixel(size: tuple[int, int], seed: int) -> None:
    generator = np.random.default_rng((seed, *size))
    where = Zones(drawn(generator, 2), drawn(generator, 2)) or Zones((LEFT,))
    pixels = ("yuv420p", "yuv422p", "rgb24", "nv12")[seed]
    needs = FrameNeeds(**{**vars(NEEDS), "zones": where})
    one = pictures(size, 2, 0)
    other = one.copy()
    changed = inside(where, size)
    other[:, changed] = pictures(size, 2, 1)[:, changed]
    assert same_pixels(clip_of(one, needs, pixels), clip_of(other, needs, pixels))


def test_a_picture_without_masks_is_as_it_was() -> None:
    frames = pictures((320, 240), 4, 0)
    clip = clip_of(frames, NEEDS)
    assert clip.hidden is None
    masked = clip_of(frames, FrameNeeds(**{**vars(NEEDS), "zones": Zones((LEFT,))}))
    assert masked.hidden is not None
    assert np.array_equal(masked.gray[:, ~masked.hidden], clip.gray[:, ~masked.hidden])
    assert (masked.gray[:, masked.hidden] == GREY).all()
    assert masked.hidden.mean() == pytest.approx(0.5, abs=0.04)  # the half, and its reach of a few of 160 columns


def test_areas_stay_where_they_are_when_the_size_changes() -> None:
    """The left half is hidden in every size, and a zone on the right hides the same."""
    for source in SIZES:
        for zones in (Zones((LEFT,)), Zones((), (RIGHT,))):
            found = hidden(zones, (160, 90), source)
            assert found[:, :80].all()
            assert not found[:, 100:].any()  # the zone's rim is the picture's, beyond which nothing is hidden
    assert share_hidden(Zones((LEFT,))) == pytest.approx(0.5, abs=0.005)
    assert share_hidden(Zones((LEFT,), (RIGHT,))) == pytest.approx(0.5, abs=0.005)


def test_a_turned_picture_is_masked_as_it_is_shown() -> None:
    """Upright it is 90 wide and 160 high: its left half is hidden, whatever lies where in memory."""
    found = hidden(Zones((LEFT,)), (90, 160), (360, 640))
    assert found[:, :45].all()
    assert not found[:, 60:].any()


def moving(size: tuple[int, int], shift: Callable[[int], tuple[int, int]], frames: int = 10) -> np.ndarray:
    """Noise in blocks that moves as `shift` says, grey."""
    picture = np.random.default_rng(2).integers(0, 256, (size[1] // 5, size[0] // 5)).astype(np.uint8)
    picture = picture.repeat(5, axis=0).repeat(5, axis=1)
    return np.stack([np.roll(picture, shift(index), axis=(0, 1)) for index in range(frames)])


def motion(gray: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    blanked = gray.copy()
    if where is not None:
        blanked[:, where] = GREY
    times = np.arange(len(gray)) * 0.08
    return motion_of([GraySegment(blanked, times, np.zeros(len(gray) - 1, bool), where)])[0]


def test_a_scene_in_which_all_that_moves_is_masked_stands_still() -> None:
    gray = moving((160, 90), lambda index: (index, 2 * index))
    still = moving((160, 90), lambda index: (0, 0))
    where = np.zeros((90, 160), bool)
    where[:, :80] = True
    gray[:, :, 80:] = still[:, :, 80:]
    amounts = slice(9, 18)  # speeds and shares of the picture that move: `_amount`
    assert motion(gray, None)[amounts].max() > 0.5
    assert motion(gray, where)[:DESCRIPTORS][amounts].max() == pytest.approx(0.0, abs=0.02)


def test_a_mask_does_not_move_when_the_camera_pans() -> None:
    """All pixels move alike: the median takes it off, and the masked part has none of it, not the contrary."""
    gray = moving((160, 90), lambda index: (0, index))
    where = np.zeros((90, 160), bool)
    where[:40, :60] = True
    whole, masked = motion(gray, None), motion(gray, where)
    assert masked[9] < whole[9] + 0.35  # mean speed, on a logarithm's scale; against the median it would be 1.4
    assert masked[9] < 0.8


def test_what_is_no_area_is_one_sentence(tmp_path: Path) -> None:
    square = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]
    for tables, word in (
        ({"masks": []}, "masks"),
        ({"mask": [{"points": square[:2]}]}, "3 to 64 corners"),
        ({"mask": [{"points": [[0.1, 0.1], [1.1, 0.1], [0.2, 0.2]]}]}, "within the picture"),
        ({"mask": [{"points": [[0.1, 0.1], [0.2, 0.1], [0.3, 0.1]]}]}, "enclose nothing"),
        ({"mask": [{"points": [[0.1, 0.1], [0.2, "x"], [0.3, 0.1]]}]}, "a corner is [x, y]"),
        ({"mask": [{"points": [[0.1, float("nan")], [0.2, 0.2], [0.3, 0.1]]}]}, "a corner is [x, y]"),
        ({"zone": [{"name": "", "points": square}]}, "name"),
        ({"zone": [{"name": "a\nb", "points": square}]}, "name"),
        ({"zone": [{"point": square}]}, "point"),
        ({"zone": {"points": square}}, "table"),
        ({"zone": [square]}, "table"),
        ({"mask": [{"points": square}] * 33}, "32 at most"),
        ({"mask": [{"points": [[0, 0], [1, 0], [1, 1], [0, 1]]}]}, "nothing of the picture"),
    ):
        with pytest.raises(InputError) as refused:
            checked_zones(tables, "here")
        assert word in str(refused.value)
        assert "\n" not in str(refused.value)
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(InputError, match="hold no area"):
        read_zones(tmp_path / "empty.toml")
    assert zones_of({"mask": [{"points": square}]}, "here").masks[0].name == "mask 1"


def test_zones_are_written_as_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "z.toml").write_text(
        '[[mask]]\nname = "tree"\npoints = [[0, 0], [0.25, 0], [0.25, 0.5]]\n[[zone]]\n'
        "points = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]\n"
    )
    read = read_zones(tmp_path / "z.toml")
    assert read.masks == (Area("tree", ((0.0, 0.0), (0.25, 0.0), (0.25, 0.5))),)
    assert read.zones[0].name == "zone 1"
    assert zones_of(read.as_dict(), "here") == read


def filmed(path: Path, under: int) -> Path:
    """A street in which something moves on the right, and `under` says what goes on on the left; stored loss-free."""
    street = moving((160, 96), lambda index: (index, 3 * index), 40)
    tree = np.random.default_rng(under).integers(0, 256, street.shape).astype(np.uint8)
    street[:, :, :80] = tree[:, :, :80]
    frames = np.repeat(street[..., None], 3, axis=3)
    return write_video(path, frames, rate=10, size=(160, 96), codec="ffv1", pixels="yuv420p")


def test_detect_scores_the_same_to_the_bit_whatever_moves_under_a_mask(tmp_path: Path) -> None:
    """By the command, the real encoder with its image network, and a model of random weights."""
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    encoder = open_encoder("lite")
    torch.manual_seed(0)
    config = RefineVADConfig(channels=encoder.dim, categories=("fight",), width=8, heads=2)
    signature = Provenance(encoder.identity.as_dict(), SegmentRule(seconds=0.64).as_dict()).signature
    Checkpoint(open_model(config).eval(), "lite", signature, Calibration(0.5, 0.4, 1.0, True, 1.0)).save(
        tmp_path / "run"
    )
    (tmp_path / "zones.toml").write_text("[[mask]]\npoints = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]\n")
    films = [filmed(tmp_path / f"{name}.mkv", seed) for seed, name in enumerate("ab")]
    scores = {}
    for name, more in (("whole", []), ("masked", ["--zones", str(tmp_path / "zones.toml")])):
        out = tmp_path / name
        assert main(["detect", *map(str, films), "--model", str(tmp_path / "run"), "--out", str(out), *more]) == 0
        read = [json.loads((out / f"{film.stem}.json").read_text()) for film in films]
        scores[name] = [[segment["score"] for segment in one["segments"]] for one in read]
        assert ("zones" in read[0]) == bool(more)
    assert scores["masked"][0] == scores["masked"][1]
    assert scores["whole"][0] != scores["whole"][1]
    assert scores["whole"][0] != scores["masked"][0]
    assert "of the picture" in (tmp_path / "masked" / "a.html").read_text()
    detector = Detector.open(tmp_path / "run", zones=tmp_path / "zones.toml")
    one, other = (detector.detect(film) for film in films)
    assert np.array_equal(one.scores, other.scores)  # before they are rounded for a file


def test_what_sees_no_picture_takes_no_mask() -> None:
    with pytest.raises(InputError, match="looks at no picture"):
        EncoderChoice("captions", None, None).looking_at(Zones((LEFT,)))
    choice = EncoderChoice("lite", MeanEncoder(), None)
    assert choice.looking_at(Zones()) is choice
    assert choice.looking_at(Zones((LEFT,))).identity == choice.identity
