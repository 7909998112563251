"""The contract of a video encoder: which frames it needs, and one vector a segment."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.encoders.words import Words, no_words
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.zones import Zones

__all__ = ["Clip", "Encoder", "EncoderIdentity", "FrameNeeds"]


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes features comparable: two encoders with equal digests give equal vectors."""

    name: str
    weights_sha256: str
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def digest(self) -> str:
        """Short hexadecimal digest over name, weights and preprocessing."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]


class Encoder(ABC):
    """A frozen encoder. A segment's vector depends on its clip alone, so online and offline agree."""

    name: str
    dim: int
    needs: FrameNeeds
    parts: dict[str, tuple[int, int]]
    portable = False  # whether it can be pickled to another process at little cost, and opens itself anew there

    @property
    @abstractmethod
    def identity(self) -> EncoderIdentity: ...

    @abstractmethod
    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """One float32 vector for each clip."""

    def words(self, sentences: list[str]) -> Words:
        """Sentences in the space of its vectors. Raises InputError where it was not trained with words."""
        raise no_words(self.name)

    def reading(self, spans: Sequence[tuple[int, int]]) -> "Encoder":
        """This encoder for somebody who reads these channels [first, last) alone (none: all); others may then be 0.

        Its vectors are not to be stored: they carry the whole encoder's identity.
        """
        return self

    def looking_at(self, zones: Zones) -> "Encoder":
        """This encoder with its frames grey where the picture does not count; it shares what is opened with this one.

        Its identity is the same: a model takes its vectors as those of a scene in which nothing moves there.
        """
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other.needs = replace(self.needs, zones=zones)
        return other
