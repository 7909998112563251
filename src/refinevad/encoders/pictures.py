"""Frames -> what an image network takes: resized by Pillow, cropped, scaled, standardised, as transformers does it.

Written here so that torchvision is not needed and that features do not depend on whether it is installed: transformers'
own processors give other pixels with it than without. The tests hold it against those without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Real, UInt8

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.shown import short

_LARGEST_EDGE = 4096
BILINEAR, BICUBIC = 2, 3  # of PIL.Image.Resampling
Colours = tuple[float, float, float]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
Frames = UInt8[np.ndarray, "frame height width 3"]
Picture = Real[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a frame; of a family, what its processor does where the model's folder says nothing.

    Attributes:
        edge: length of the shorter side after resizing; None: resized to `size`.
        size: (height, width) after resizing, whatever the shape before.
        crop: (height, width) cut from the middle; None: all of it.
        resample: Pillow's filter.
        scale: what 0 to 255 is multiplied by.
        crops: 1, or 10: the middle and the four corners, and all five mirrored.
        unrounded: resized as numbers, not rounded to whole ones after it, as DINOv3 does.
    """

    edge: int | None = 224
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = (224, 224)
    resample: int = BICUBIC
    scale: float = 1 / 255
    mean: Colours = CLIP_MEAN
    std: Colours = CLIP_STD
    crops: int = 1
    unrounded: bool = False

    def told(self, settings: Mapping[str, Any], what: str) -> "Preprocessing":
        """The same as a model's `preprocessor_config.json` has it.

        Raises:
            InputError: it says what is not known here.
        """
        edge, size = self.edge, self.size
        if "size" in settings:
            edge, size = _sizes(settings["size"])
        crop = _sides(settings["crop_size"]) if "crop_size" in settings else self.crop
        if not settings.get("do_center_crop", self.crop is not None):
            crop = None
        resample, scale = settings.get("resample", self.resample), settings.get("rescale_factor", self.scale)
        mean, std = settings.get("image_mean", self.mean), settings.get("image_std", self.std)
        steps = all(settings.get(f"do_{step}", True) is True for step in ("resize", "rescale", "normalize"))
        numbers = type(resample) is int and 0 <= resample <= 5 and is_finite(scale)
        fits = (edge is None) != (size is None) and self._fits(edge, size, crop)
        if not steps or not numbers or not fits or not all(_are_colours(colours) for colours in (mean, std)):
            named = ("size", "crop_size", "resample", "rescale_factor", "image_mean", "image_std")
            said = {name: settings[name] for name in named if name in settings}
            raise InputError(f"this {what}'s preprocessing is not known here: {short(said)}")
        return replace(
            self, edge=edge, size=size, crop=crop, resample=resample, scale=scale, mean=tuple(mean), std=tuple(std)
        )

    @staticmethod
    def _fits(edge: int | None, size: tuple[int, int] | None, crop: tuple[int, int] | None) -> bool:
        whole = (edge, edge) if edge is not None else size
        if whole is None or not all(0 < side <= _LARGEST_EDGE for side in whole if side is not None):
            return False
        # a corner that is cut from less than there is would be black: no known model asks for it
        return crop is None or all(0 < cut <= (side or 0) for cut, side in zip(crop, whole, strict=True))

    def __call__(self, frames: Frames) -> Float32[np.ndarray, "picture 3 side_y side_x"]:
        """Frames as the network wants them; with `crops` 10 ten of each, one behind the other."""
        height, width = frames.shape[1:3]
        if self.edge is not None:
            shorter = min(height, width)
            tall, wide = (int(self.edge * side / shorter) for side in (height, width))  # truncated, as they all do
        else:
            tall, wide = self.size or (height, width)
        pictures = []
        for frame in frames:
            pictures += self._cuts(self._resized(frame, wide, tall))
        # in this order and these types as transformers, so that every bit is the same
        pixels: Float32[np.ndarray, "picture _ _ 3"] = (np.stack(pictures) * self.scale).astype(np.float32)
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def _resized(self, frame: UInt8[np.ndarray, "_ _ 3"], wide: int, tall: int) -> Picture:
        from PIL import Image

        how = Image.Resampling(self.resample)
        if not self.unrounded:
            return np.asarray(Image.fromarray(frame).resize((wide, tall), how))
        planes = [
            Image.fromarray(frame[..., colour].astype(np.float32)).resize((wide, tall), how) for colour in range(3)
        ]
        return np.stack([np.asarray(plane) for plane in planes], axis=-1)

    def _cuts(self, picture: Picture) -> list[Picture]:
        tall, wide = picture.shape[:2]
        high, broad = self.crop or (tall, wide)
        down, right = tall - high, wide - broad
        places = [(down // 2, right // 2)]
        if self.crops == 10:
            places += [(0, 0), (0, right), (down, 0), (down, right)]
        cut = [picture[top : top + high, left : left + broad] for top, left in places]
        return cut if self.crops == 1 else cut + [part[:, ::-1] for part in cut]


def _sizes(size: object) -> tuple[int | None, tuple[int, int] | None]:
    """(shorter side, size) of a setting; (None, None) for what is neither."""
    if type(size) is int:
        return size, None
    if isinstance(size, dict) and set(size) == {"shortest_edge"} and type(size["shortest_edge"]) is int:
        return size["shortest_edge"], None
    return None, _sides(size) if isinstance(size, dict) else None


def _sides(size: object) -> tuple[int, int]:
    if isinstance(size, dict):
        high, wide = size.get("height"), size.get("width", size.get("height"))
        return (high, wide) if type(high) is int and type(wide) is int else (0, 0)
    return (size, size) if type(size) is int else (0, 0)


def _are_colours(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(is_finite(part) for part in value)
