"""CLIP image features, one vector a segment: `clip:<hub id or folder>`.

Radford et al., ICML 2021; the paper's encoder is `openai/clip-vit-large-patch14`. A segment's vector is the
mean of the L2-normalised image embeddings of its frames. The preprocessing is CLIP's own (shortest edge by
bicubic PIL resize, centre crop, mean and deviation), written here so that torchvision is not needed; the
tests hold it against transformers' processor.
"""

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.weights import state_sha256
from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_json
from refinevad.files.shown import short
from refinevad.machine.devices import open_device, pinned, sent

_BATCH_FRAMES = 64
_LARGEST_EDGE = 4096
_BICUBIC = 3  # PIL.Image.Resampling.BICUBIC, the filter CLIP was trained with


@dataclass(frozen=True)
class ClipPreprocessing:
    """CLIP's image preprocessing; the defaults are those of every OpenAI checkpoint."""

    shortest_edge: int = 224
    crop: int = 224
    resample: int = _BICUBIC
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "ClipPreprocessing":
        """From a `preprocessor_config.json`; sizes are a number or an object there, by age."""
        size, crop = settings.get("size", 224), settings.get("crop_size", 224)
        edge = size.get("shortest_edge") if isinstance(size, dict) else size
        side = crop.get("height") if isinstance(crop, dict) else crop
        if type(edge) is not int or type(side) is not int or not 0 < side <= edge <= _LARGEST_EDGE:
            raise InputError(
                f"this CLIP's preprocessing is not known here: size {short(size)}, crop_size {short(crop)}"
            )
        resample = settings.get("resample", _BICUBIC)
        mean, std = (settings.get(name, usual) for name, usual in (("image_mean", cls.mean), ("image_std", cls.std)))
        if type(resample) is not int or not all(_are_colours(colours) for colours in (mean, std)):
            raise InputError(f"this CLIP's preprocessing is not known here: {short([resample, mean, std])}")
        return cls(edge, side, resample, tuple(mean), tuple(std))

    def __call__(self, frames: UInt8[np.ndarray, "frame height width 3"]) -> Float32[np.ndarray, "frame 3 side side"]:
        """Frames as the network wants them."""
        from PIL import Image

        height, width = frames.shape[1:3]
        short = min(height, width)
        # Truncated, not rounded, as CLIP does.
        scaled_width, scaled_height = (int(self.shortest_edge * side / short) for side in (width, height))
        top, left = (scaled_height - self.crop) // 2, (scaled_width - self.crop) // 2
        pixels = np.empty((len(frames), self.crop, self.crop, 3), dtype=np.float32)
        for index, frame in enumerate(frames):
            scaled = Image.fromarray(frame).resize((scaled_width, scaled_height), Image.Resampling(self.resample))
            pixels[index] = np.asarray(scaled)[top : top + self.crop, left : left + self.crop]
        pixels /= 255
        pixels -= np.array(self.mean, np.float32)
        pixels /= np.array(self.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _are_colours(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(is_finite(part) for part in value)


class ClipEncoder(Encoder):
    """Frozen CLIP image tower with its projection.

    Args:
        source: hub id or local folder.
        frames: colour frames a segment.
        device: where the network runs, as torch names it; None: CUDA where there is one. There its products are in
            bfloat16, so that vectors differ from a CPU's by its rounding; their identity is the same.

    Raises:
        InputError: transformers or Pillow is missing, there is no CLIP at `source`, or no such device.
    """

    def __init__(self, source: str, frames: int = 1, device: str | None = None) -> None:
        self.source = source
        self.device = open_device(device)
        self._network, self.preprocessing = _load(source)
        self._network.to(self.device)
        self.name = f"clip:{source}"
        self.dim = int(self._network.config.projection_dim)
        self.needs = FrameNeeds(rgb_frames=frames)
        self.parts = {"clip": (0, self.dim)}

    @cached_property
    def identity(self) -> EncoderIdentity:
        settings = asdict(self.preprocessing) | {
            "rgb_frames": self.needs.rgb_frames,
            "segment": "mean of unit vectors",
        }
        return EncoderIdentity("clip", state_sha256(self._network), json.loads(json.dumps(settings)))

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        vectors = np.zeros((len(clips), self.dim), dtype=np.float32)
        if not clips:
            return vectors
        frames = np.concatenate([self.preprocessing(clip.rgb) for clip in clips])
        owner = np.repeat(np.arange(len(clips)), [len(clip.rgb) for clip in clips])
        np.add.at(vectors, owner, self._embed(frames))
        return vectors / np.bincount(owner, minlength=len(clips)).clip(min=1)[:, None].astype(np.float32)

    @torch.inference_mode()
    def _embed(self, pixels: Float32[np.ndarray, "frame 3 side side"]) -> Float32[np.ndarray, "frame channel"]:
        """Unit image embeddings. On a GPU they are fetched when all batches are on their way."""
        parts = []
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            for batch in torch.split(torch.from_numpy(pixels), _BATCH_FRAMES):
                embedding = self._network(pixel_values=sent(pinned(batch, self.device), self.device)).image_embeds
                parts.append(torch.nn.functional.normalize(embedding.float(), dim=1))
        return np.asarray(torch.cat(parts).cpu().numpy())


def _load(source: str) -> tuple[Any, ClipPreprocessing]:
    try:
        from transformers import CLIPVisionModelWithProjection
        from transformers.utils import cached_file

        importlib.import_module("PIL.Image")
    except ImportError as error:
        raise InputError(f"the encoder clip needs {error.name}; pip install 'refinevad[clip]'") from error
    try:
        here = Path(source).is_dir()  # then nothing is asked of the hub
        network = CLIPVisionModelWithProjection.from_pretrained(source, local_files_only=here).eval()
        settings = cached_file(
            source, "preprocessor_config.json", local_files_only=here, _raise_exceptions_for_missing_entries=False
        )
    except (OSError, ValueError) as error:
        raise InputError(f"cannot load CLIP from {source}: {str(error).splitlines()[0]}") from error
    if settings is None:
        return network, ClipPreprocessing()
    return network, ClipPreprocessing.from_settings(read_json(Path(settings)))
