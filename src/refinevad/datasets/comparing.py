"""Two folders of features of the same videos -> what differs: segments, order, crops, length of vectors, scale.

For whoever reproduces features that others published: the same network on the same frames gives a cosine near 1 in
every segment, and each usual mistake leaves a trace of its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.datasets.crop_axis import crop_axis
from refinevad.datasets.npy import open_npy
from refinevad.errors import InputError
from refinevad.features.store import load_features

SAME, NEAR = 0.999, 0.95  # cosines: rounding and decoders apart; a like network, or other frames
_SHIFTS = range(-3, 4)
_CLEAR = 0.02  # by how much another order must be likelier before it is told
_LIKE = 0.5  # and how alike segments must be in it, their common mean aside
_CROP = re.compile(r"(?P<video>.+)__(?P<crop>\d{1,2})")
Crops = Float[np.ndarray, "_ _ _"]  # crop, segment, channel
Rows = Float[np.ndarray, "_ _"]  # segment, channel


@dataclass(frozen=True)
class Compared:
    """Two sets of features of one video.

    Attributes:
        cosines: of each segment that both have, as they lie; of several crops those of the first.
        differences: a sentence for each thing that differs; none where they are alike.
    """

    video: str
    cosines: Float[np.ndarray, "segment"]
    differences: tuple[str, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.cosines)) if len(self.cosines) else float("nan")


def compare_folders(ours: Path, theirs: Path) -> tuple[list[Compared], dict[str, str]]:
    """The videos that both folders have, and a sentence for each file that the other lacks.

    Raises:
        InputError: a folder without features, no video in both, or a file that cannot be read.
    """
    first, second = _videos(ours), _videos(theirs)
    both = sorted(set(first) & set(second))
    if not both:
        raise InputError(
            f"no video is in both {ours} ({next(iter(first))}, ...) and {theirs} ({next(iter(second))}, ...): "
            "files of one video must have one name"
        )
    alone = {name: f"only in {ours}" for name in first if name not in second}
    alone |= {name: f"only in {theirs}" for name in second if name not in first}
    return [compare(name, _read(first[name]), _read(second[name])) for name in both], alone


def compare(video: str, ours: Crops, theirs: Crops) -> Compared:
    """What differs between two sets of features of one video."""
    if ours.shape[2] != theirs.shape[2]:
        width = (
            f"ours have {ours.shape[2]} channels, theirs {theirs.shape[2]}: another network, or another of its layers"
        )
        return Compared(video, np.zeros(0), (width,))
    told: list[str] = []
    if len(ours) != len(theirs):
        told.append(f"ours have {len(ours)} crops, theirs {len(theirs)}")
    ours, resampled = _as_long(ours, theirs.shape[1])
    told += resampled
    order = [*_order_of_crops(ours, theirs), *_order_of_segments(ours[0], theirs[0])]
    told += [*order, *_lengths(ours[0], theirs[0])]
    cosines = _cosines(ours[0], theirs[0])
    if not order and len(cosines) and float(np.median(cosines)) < NEAR:
        told.append("neither order nor scale tells why: another network, other frames, or another preprocessing")
    elif not order and len(cosines) and float(np.median(cosines)) < SAME:
        told.append("near, and not the same: another decoder or resizing, or other frames of a segment")
    return Compared(video, cosines, tuple(told))


def _as_long(ours: Crops, segments: int) -> tuple[Crops, list[str]]:
    """Ours brought to their number of segments where that is far from ours, as means over equal stretches."""
    own = ours.shape[1]
    if own == segments:
        return ours, []
    told = [f"ours have {own} segments, theirs {segments}"]
    if abs(own - segments) <= len(_SHIFTS) // 2 or own < segments:
        return ours, told
    borders = np.linspace(0, own, segments + 1).astype(int)
    pieces = [ours[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(borders.tolist())]
    return np.stack(pieces, axis=1), [f"{told[0]}: ours are compared as means over {segments} equal stretches"]


def _order_of_crops(ours: Crops, theirs: Crops) -> list[str]:
    """Whether each of our crops is likest to another one of theirs."""
    if len(ours) == 1 or len(theirs) == 1:
        return []
    likeness = np.array([[_cosines(_centred(one), _centred(other)).mean() for other in theirs] for one in ours])
    likest = likeness.argmax(axis=1)
    own = np.array([likeness[place, min(place, len(theirs) - 1)] for place in range(len(ours))])
    moved = [place for place in range(len(ours)) if likeness[place].max() > max(own[place] + _CLEAR, _LIKE)]
    if not moved:
        return []
    pairs = ", ".join(f"our crop {place} is their {likest[place]}" for place in moved)
    return [f"crops lie in another order: {pairs}"]


def _order_of_segments(ours: Rows, theirs: Rows) -> list[str]:
    """Whether they are likest when moved, or turned round."""
    one, other = _centred(ours), _centred(theirs)
    by_shift = {shift: float(_moved(one, other, shift).mean()) for shift in _SHIFTS if len(one) > abs(shift) + 1}
    if not by_shift:
        return []
    best = max(by_shift, key=lambda shift: by_shift[shift])
    backwards = float(_cosines(one, other[::-1]).mean()) if len(one) == len(other) else -1.0
    if backwards > max(*by_shift.values(), _LIKE - _CLEAR) + _CLEAR:
        return ["segments lie backwards"]
    if best and by_shift[best] > max(by_shift[0] + _CLEAR, _LIKE):
        way = "later" if best > 0 else "earlier"
        return [f"theirs are off by {abs(best)} segment{'s' * (abs(best) > 1)}: what we have at t they have {way}"]
    return []


def _lengths(ours: Rows, theirs: Rows) -> list[str]:
    """Whether vectors of one are of length 1, or all longer by the same factor."""
    one, other = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    unit = [bool(np.abs(length - 1).max(initial=0) < 1e-2) for length in (one, other)]
    if unit[0] != unit[1]:
        whose = ("ours", "theirs") if unit[0] else ("theirs", "ours")
        return [f"{whose[0]} are brought to length 1, {whose[1]} are not"]
    together = min(len(one), len(other))
    ratio = other[:together] / np.maximum(one[:together], 1e-12)
    middle = float(np.median(ratio))
    if abs(middle - 1) > 0.02:
        return [f"theirs are {middle:.3g} times as long as ours"]
    return []


def _moved(one: Rows, other: Rows, shift: int) -> Float[np.ndarray, "_"]:
    return _cosines(one[max(0, -shift) :], other[max(0, shift) :])


def _cosines(one: Rows, other: Rows) -> Float[np.ndarray, "_"]:
    """Of as many segments as both have; 0 where one is without content."""
    together = min(len(one), len(other))
    a, b = one[:together].astype(np.float64), other[:together].astype(np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(length, 1e-12))


def _centred(rows: Rows) -> Rows:
    """Unit vectors less their mean: what tells neighbouring segments apart."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit - unit.mean(axis=0))


def _videos(folder: Path) -> dict[str, list[Path]]:
    """The files of each video, its crops in their order."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of features")
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted([*folder.rglob("*.npy"), *folder.rglob("*.safetensors")]):
        crop = _CROP.fullmatch(path.stem)
        name, number = (crop["video"], int(crop["crop"])) if crop else (path.stem, 0)
        found.setdefault(name, []).append((number, path))
    if not found:
        raise InputError(f"{folder} holds no features: .npy of others, or .safetensors by refinevad extract")
    for name, files in found.items():
        if len({number for number, _ in files}) < len(files):
            raise InputError(f"{folder} has several files of {name}: {', '.join(str(path) for _, path in files)}")
    return {name: [path for _, path in sorted(files)] for name, files in found.items()}


def _read(files: Sequence[Path]) -> Crops:
    """Crops of one video, cut to the shortest."""
    read = [load_features(path).values if path.suffix == ".safetensors" else open_npy(path) for path in files]
    if len(read) == 1 and read[0].ndim == 3:
        return np.moveaxis(np.asarray(read[0], np.float32), crop_axis([read[0].shape]), 0)
    if any(array.ndim != 2 for array in read) or len({array.shape[1] for array in read}) > 1:
        raise InputError(f"{files[0]} holds features of shape {read[0].shape}: expected (segments, channels)")
    shortest = min(len(array) for array in read)
    return np.stack([np.asarray(array[:shortest], np.float32) for array in read])
