"""Encoders on networks of the transformers library: one protocol, one file a family.

A family says how its network is loaded (`load`) and what it gives for pictures (`embed`); how frames are prepared,
batched and pooled inside a segment is the same for all, and stands here.
"""

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.model_names import NetworkOptions
from refinevad.encoders.pictures import Preprocessing
from refinevad.encoders.text_side import TextSide
from refinevad.encoders.weights import state_sha256
from refinevad.encoders.words import Words, no_words
from refinevad.machine.devices import open_device, pinned, sent

_BATCH_PICTURES = 64


class PictureEncoder(Encoder):
    """A frozen image network: each of a segment's frames is looked at by itself, and their vectors are pooled.

    Args:
        source: hub id or local folder.
        options: frames, pooling and crops.
        device: where the network runs, as torch names it; None: CUDA where there is one. There its products are in
            bfloat16, so that vectors differ from a CPU's by its rounding; their identity is the same.

    Raises:
        InputError: transformers or Pillow is missing, there is no such network at `source`, or no such device.
    """

    kind: ClassVar[str]
    two_sided: ClassVar[str] = ""  # the class of the whole model, where it was trained with words
    unit: ClassVar[bool] = True  # whether a frame's vector is brought to length 1: for networks trained by likeness

    def __init__(self, source: str, options: NetworkOptions | None = None, device: str | None = None) -> None:
        self.source, self.options = source, options or NetworkOptions()
        self.device = open_device(device)
        network, preprocessing = self.load()
        self.network = network.to(self.device)
        self.preprocessing = replace(preprocessing, crops=self.options.crops)
        self.name = f"{self.kind}:{source}"
        self.width = self.measure()
        self.dim = self.width * len(self.options.pool)
        self.needs = FrameNeeds(rgb_frames=self.frames())
        names = [self.kind if pool == "mean" else f"{self.kind}_{pool}" for pool in self.options.pool]
        self.parts = {name: (place * self.width, (place + 1) * self.width) for place, name in enumerate(names)}

    @abstractmethod
    def load(self) -> tuple[Any, Preprocessing]:
        """The network and how its frames are prepared. Raises InputError where there is none."""

    @abstractmethod
    def measure(self) -> int:
        """How wide a frame's vector is."""

    @abstractmethod
    def embed(self, pixels: Tensor) -> Tensor:
        """Vectors (picture, channel) of pictures (picture, 3, height, width) on the device."""

    def frames(self) -> int:
        """How many frames of a segment are looked at."""
        return self.options.frames or 1

    @cached_property
    def _text(self) -> TextSide:
        return TextSide(self.two_sided, self.source, self.name)

    def words(self, sentences: list[str]) -> Words:
        """Sentences beside its pictures. Raises InputError without a text side, or with other pooling than the mean."""
        if not self.two_sided or self.options.pool != ("mean",):
            raise no_words(self.name)
        return self._text.read(sentences)

    @cached_property
    def identity(self) -> EncoderIdentity:
        pool = "-".join(self.options.pool)
        told = asdict(self.preprocessing) | {
            "rgb_frames": self.needs.rgb_frames,
            "segment": f"{pool} of {'unit ' if self.unit else ''}vectors",
        }
        return EncoderIdentity(self.kind, state_sha256(self.network), json.loads(json.dumps(told)))

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """One vector a clip; zeros for one without a frame."""
        vectors = np.zeros((len(clips), self.dim), dtype=np.float32)
        seen = [(place, clip.rgb) for place, clip in enumerate(clips) if len(clip.rgb)]
        if not seen:
            return vectors
        found = self._embedded(np.concatenate([self.preprocessing(rgb) for _, rgb in seen]))
        found = found.reshape(-1, self.preprocessing.crops, self.width).mean(axis=1)
        start = 0
        for place, rgb in seen:
            own = found[start : start + len(rgb)]
            vectors[place] = np.concatenate([getattr(own, pool)(axis=0) for pool in self.options.pool])
            start += len(rgb)
        return vectors

    @torch.inference_mode()
    def _embedded(self, pixels: Float32[np.ndarray, "picture 3 height width"]) -> Float[np.ndarray, "picture channel"]:
        """Vectors of pictures. On a GPU they are fetched when all batches are on their way."""
        parts = []
        with reduced(self.device):
            for batch in torch.split(torch.from_numpy(pixels), _BATCH_PICTURES):
                found = self.embed(sent(pinned(batch, self.device), self.device)).float()
                parts.append(torch.nn.functional.normalize(found, dim=1) if self.unit else found)
        return np.asarray(torch.cat(parts).cpu().numpy())


def reduced(device: torch.device) -> torch.autocast:
    """Products in bfloat16 on a GPU; on a CPU as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
