"""An encoder of a user's own: three members, and everything else that an encoder is made of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.errors import InputError


@runtime_checkable
class OwnEncoder(Protocol):
    """What an encoder of your own must have; register it under a name with `refinevad.register_encoder`.

    Attributes:
        needs: which frames of a segment it wants to see.
        identity: what tells its vectors from another's, as JSON holds it: a version, a hash of its weights, sizes. A
            model takes features of an equal identity alone.
    """

    needs: FrameNeeds
    identity: Mapping[str, Any]

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        """One vector a clip, Float[np.ndarray, "segment channel"], as wide for every clip.

        It depends on its clip alone, so that streams and recordings get the same.
        """


class Adapted(Encoder):
    """An own encoder as all others are. How wide its vectors are is known with the first ones."""

    dim = 0
    parts: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - declared so by the base class

    def __init__(self, name: str, own: Any) -> None:
        """Raises InputError where it lacks a member, or its identity is nothing that JSON holds."""
        lacking = [member for member in ("needs", "identity", "encode") if not hasattr(own, member)]
        if lacking:
            raise InputError(f"encoder '{name}' has no {lacking[0]}; it needs the three members of OwnEncoder")
        if not isinstance(own.needs, FrameNeeds) or not isinstance(own.identity, Mapping):
            raise InputError(f"encoder '{name}': needs are FrameNeeds, and its identity is a mapping")
        self.name, self.own, self.needs = name, own, own.needs
        _ = self.identity

    @cached_property
    def identity(self) -> EncoderIdentity:
        """Its own identity under its name. Raises InputError where JSON cannot hold it."""
        try:
            told = json.dumps(dict(self.own.identity), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"the identity of encoder '{self.name}' must be what JSON holds: {error}") from error
        return EncoderIdentity(self.name, hashlib.sha256(told.encode()).hexdigest(), json.loads(told))

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """Its vectors as float32. Raises InputError where they are not one a clip, or not as wide as before."""
        vectors = np.asarray(self.own.encode(clips))
        fits = vectors.ndim == 2 and len(vectors) == len(clips) and vectors.dtype.kind in "fiu" and vectors.shape[1]
        if not fits or self.dim not in (0, vectors.shape[1]):
            wanted = f"({len(clips)}, {self.dim or 'channels'})"
            raise InputError(
                f"encoder '{self.name}' must give numbers of shape {wanted} for {len(clips)} clips; "
                f"got {vectors.dtype} of shape {vectors.shape}"
            )
        if not self.dim:
            self.dim = vectors.shape[1]
            self.parts = {self.name: (0, self.dim)}
        return vectors.astype(np.float32)
