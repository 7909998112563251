"""The default encoder: EfficientNet-Lite for what is there, optical flow for how it moves. CPU, offline.

One segment's vector, part by part (`LiteEncoder.parts`):

- `motion_mean`, `motion_deviation`, `motion_peak`: 59 descriptors of each pair of grey frames, and over the pairs
  their mean, standard deviation and the mean of the largest fifth (`motion.py`);
- `frame_difference`: one channel, the trivial control: mean absolute grey difference;
- `change`: how far EfficientNet's middle features move inside the segment where they move most. Those still see
  limbs; the last ones see scenes, and their change tells the camera more than the event;
- `appearance`: pooled EfficientNet features, averaged over the segment's colour frames.

Which parts earn their place on real footage: benchmarks/lite_parts.py.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from refinevad.encoders import motion
from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.efficientnet import EfficientNet
from refinevad.encoders.efficientnet_weights import MIDDLE_DIM, PIXEL_MEAN, PIXEL_SCALE, POOLED_DIM, VARIANTS
from refinevad.encoders.motion_descriptors import DESCRIPTORS
from refinevad.encoders.quantization import CALIBRATION
from refinevad.machine.cores import call_all, usable_cores

RGB_FRAMES = 2
NAMES = {"efficientnet-lite0": "lite", "efficientnet-lite2": "lite2"}  # network -> name of the encoder
GRAY_LONG_SIDE = 160
GRAY_HZ = 12.5  # sources of 25 and 30 frames a second both give every second frame
CHANGE_CELLS = 10  # of 14 x 14: a person in a corner counts as much as one in front
_MOTION = frozenset({"motion_mean", "motion_deviation", "motion_peak"})  # one computation makes them all
_VERSION = 1  # raise it when a segment's vector changes: older features are then refused (tests/lite_golden.py)


class LiteEncoder(Encoder):
    """Appearance and motion of one segment.

    Args:
        variant: image network, a name in `efficientnet.VARIANTS`.
        threads: that `encode` shares its clips among; None: as many as there are cores to use.
        backend: what runs the network, a name in `efficientnet.BACKENDS`.

    Raises:
        InputError: unknown variant or backend, or a package is missing.
    """

    portable = True

    def __init__(self, variant: str = "efficientnet-lite0", threads: int | None = None, backend: str = "") -> None:
        self.variant, self.backend = variant, backend
        self.threads = threads or usable_cores()
        self.name = ":".join(filter(None, (NAMES.get(variant, "lite"), backend)))
        self.parts = _ranges(
            {
                "motion_mean": DESCRIPTORS,
                "motion_deviation": DESCRIPTORS,
                "motion_peak": DESCRIPTORS,
                "frame_difference": 1,
                "change": MIDDLE_DIM.get(variant, 0),
                "appearance": POOLED_DIM,
            }
        )
        self.dim = max(end for _, end in self.parts.values())
        side = VARIANTS[variant].side if variant in VARIANTS else 0
        self.needs = FrameNeeds(
            rgb_frames=RGB_FRAMES, rgb_size=(side, side), gray_long_side=GRAY_LONG_SIDE, gray_hz=GRAY_HZ
        )
        self._made = frozenset(self.parts)
        self._opened: list[EfficientNet] = []  # shared with the narrower ones that `reading` gives

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": [], "threads": 1}  # who sends it has a process a core

    @property
    def network(self) -> EfficientNet:
        """The image network; opened when first needed."""
        if not self._opened:
            self._opened.append(EfficientNet(self.variant, backend=self.backend))
        return self._opened[0]

    def reading(self, spans: Sequence[tuple[int, int]]) -> "LiteEncoder":
        """The same encoder without what only serves channels that nobody reads.

        That may be the image network, its last quarter, or the frame difference. What is read is equal to the bit.
        """
        read = frozenset(
            name
            for name, (start, end) in self.parts.items()
            if any(first < end and start < last for first, last in spans)
        )
        if not spans or "appearance" in read:
            return self
        narrower = LiteEncoder.__new__(LiteEncoder)
        narrower.__dict__ |= self.__dict__  # the network with it, which no copy has
        narrower._made = read | _MOTION
        if "change" not in read:
            narrower.needs = replace(self.needs, rgb_frames=0)
            narrower.threads = 1  # without the network, threads wait for the interpreter's lock more than they work
        return narrower

    @cached_property
    def identity(self) -> EncoderIdentity:
        preprocessing = {
            "version": _VERSION,
            "network": self.variant,
            "pixel_mean": PIXEL_MEAN,
            "pixel_scale": PIXEL_SCALE,
            "rgb_frames": RGB_FRAMES,
            "rgb_size": list(self.needs.rgb_size or ()),
            "gray_long_side": GRAY_LONG_SIDE,
            "gray_hz": GRAY_HZ,
            "parts": {name: list(span) for name, span in self.parts.items()},
        }
        if self.backend:
            preprocessing |= {"backend": self.backend, "calibration": CALIBRATION if "int8" in self.backend else 0}
        return EncoderIdentity(self.name, self.network.weights_sha256, preprocessing)

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """One float32 vector a clip; parts lie where `parts` says."""
        vectors = np.zeros((len(clips), self.dim), dtype=np.float32)
        shares = max(1, math.ceil(len(clips) / self.threads))  # small pictures: the more in one call, the cheaper each
        work = [
            partial(self._follow, clips[start : start + shares], vectors[start : start + shares])
            for start in range(0, len(clips), shares)
        ]
        if "change" in self._made:
            _ = self.network  # opened once, before threads want it
            look = [partial(self._look, clip, vector) for clip, vector in zip(clips, vectors, strict=True)]
            work = [*look, *work]
        call_all(work, self.threads)
        return vectors

    def _look(self, clip: Clip, vector: Float[np.ndarray, "channel"]) -> None:
        """What the image network sees."""
        if not len(clip.rgb):
            return
        if "appearance" in self._made:
            pooled, middle = self.network.features(clip.rgb)
            self._fill(vector, "appearance", pooled.mean(axis=0))
        else:
            middle = self.network.middle(clip.rgb)
        self._fill(vector, "change", appearance_change(middle, ~_cut_between(clip)))

    def _follow(self, clips: Sequence[Clip], vectors: Float[np.ndarray, "segment channel"]) -> None:
        """How things move."""
        segments = [
            motion.GraySegment(clip.gray, clip.gray_times, motion.find_cuts(clip.gray), clip.hidden) for clip in clips
        ]
        vectors[:, : motion.DIM] = motion.motion_of(segments)
        if "frame_difference" not in self._made:
            return
        for segment, vector in zip(segments, vectors, strict=True):
            difference = motion.frame_difference(segment.gray, segment.times, segment.cuts)
            self._fill(vector, "frame_difference", difference)

    def _fill(self, vector: Float[np.ndarray, "channel"], part: str, values: Float[np.ndarray, "part"] | float) -> None:
        start, end = self.parts[part]
        vector[start:end] = values


def appearance_change(
    maps: Float[np.ndarray, "frame channel row column"], usable: Bool[np.ndarray, "step"]
) -> Float[np.ndarray, "channel"]:
    """Absolute step from frame to frame, mean over the cells where a channel moves most, mean over usable steps.

    Zero without a usable step.
    """
    if not usable.any():
        return np.zeros(maps.shape[1], dtype=np.float32)
    steps = np.abs(np.diff(maps, axis=0))[usable]
    flat = steps.reshape(*steps.shape[:2], -1)
    if flat.shape[-1] > CHANGE_CELLS:
        flat = np.partition(flat, -CHANGE_CELLS, axis=-1)[..., -CHANGE_CELLS:]
    cells = np.sort(flat, axis=-1)  # in a fixed order: float sums depend on it
    return np.asarray(cells.mean(axis=(0, 2)))


def _cut_between(clip: Clip) -> Bool[np.ndarray, "step"]:
    """For each pair of neighbouring colour frames: whether the grey frames show a cut between them."""
    cuts = motion.find_cuts(clip.gray)
    before, after = clip.gray_times[:-1][cuts], clip.gray_times[1:][cuts]
    steps = zip(clip.rgb_times[:-1], clip.rgb_times[1:], strict=True)
    return np.array([bool(((after > start) & (before < end)).any()) for start, end in steps], dtype=bool)


def _ranges(sizes: dict[str, int]) -> dict[str, tuple[int, int]]:
    ranges, start = {}, 0
    for name, size in sizes.items():
        ranges[name] = (start, start + size)
        start += size
    return ranges
