"""A RUN folder ready to score: its model, the encoder of its features, and that the two go together."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike

from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import EncoderChoice, is_foreign, open_encoder, require_at_hand
from refinevad.errors import InputError
from refinevad.features.store import Provenance, require_same_signature
from refinevad.input_ranges import Ranges
from refinevad.machine.devices import open_device
from refinevad.shipped.names import find_run, shipped_name
from refinevad.video.zones import Zones


class EncoderShelf:
    """Opens each encoder once, and narrows it once for all that read the same channels, so that they share its calls.

    Safe to share between threads. `open_one`: what opens an encoder by its word.
    """

    def __init__(self, open_one: Callable[[str], EncoderChoice] = open_encoder) -> None:
        self._open_one, self._lock = open_one, threading.Lock()
        self._whole: dict[str, EncoderChoice] = {}
        self._narrowed: dict[tuple[str, Ranges], EncoderChoice] = {}

    def reading(self, spec: str, spans: Ranges) -> EncoderChoice:
        """The encoder for a model that reads these channels alone. Raises InputError as `open_encoder` does."""
        with self._lock:
            if spec not in self._whole:
                self._whole[spec] = self._open_one(spec)
            return self._narrowed.setdefault((spec, spans), self._whole[spec].reading(spans))


@dataclass(frozen=True)
class OpenedRun:
    """A trained run as everything that scores uses it: recordings, streams, cameras.

    Attributes:
        checkpoint: the model with its thresholds and what it was trained on.
        encoder: of its features; reads no more of a video than the model looks at. None: features are given, not made.
        name: the run's folder as it was named, or the name of a model that ships.

    Raises:
        InputError: the encoder is another one than the model was trained on.
    """

    checkpoint: Checkpoint
    encoder: EncoderChoice | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.encoder is not None:
            found = Provenance(self.encoder.identity.as_dict(), self.checkpoint.segment_rule.as_dict())
            what = f"encoder '{self.encoder.spec}' as installed here"
            require_same_signature(self.checkpoint.signature, found, what)

    @classmethod
    def of(cls, checkpoint: Checkpoint, encoder: EncoderChoice | None, name: str = "") -> "OpenedRun":
        """Of parts at hand; the encoder is narrowed to what the model reads. Raises InputError as the class does."""
        narrow = None if encoder is None else encoder.reading(checkpoint.model.config.made_for)
        return cls(checkpoint, narrow, name)

    @classmethod
    def load(
        cls, run: str | PathLike[str] | None, allow_download: bool = False, encoders: EncoderShelf | None = None
    ) -> "OpenedRun":
        """Of a RUN folder. Its model is on the CPU.

        Args:
            run: what `refinevad train` left, or the name of a model that ships; None: the default one of these.
            allow_download: an encoder that the run names may be fetched from a model hub.
            encoders: the encoders that runs opened before share; None: its own.

        Raises:
            InputError: no finished run, or its encoder is not to be had here or is another one here.
        """
        folder = find_run(run)
        name = shipped_name(folder) or str(folder)
        checkpoint = Checkpoint.load(folder)
        if is_foreign(checkpoint.encoder):
            return cls(checkpoint, None, name)
        require_at_hand(checkpoint.encoder, allow_download, f"run {name}")
        shelf = encoders or EncoderShelf()
        return cls(checkpoint, shelf.reading(checkpoint.encoder, checkpoint.model.config.made_for), name)

    @property
    def video_encoder(self) -> EncoderChoice:
        """The encoder. Raises InputError where this run scores features alone."""
        if self.encoder is None:
            raise InputError(
                f"run {self.name or '(unnamed)'} has no encoder here, as its features were made elsewhere "
                f"('{self.checkpoint.encoder}'): give it features, not pictures"
            )
        return self.encoder

    @property
    def picture_encoder(self) -> EncoderChoice:
        """The encoder, which pictures are enough for. Raises InputError where there is none, or it needs captions."""
        encoder = self.video_encoder
        if encoder.beyond_pictures:
            raise InputError(
                f"encoder '{encoder.spec}' needs {encoder.beyond_pictures}, which frames and cameras do not have; "
                "choose another run"
            )
        return encoder

    def at(self, threshold: float | None) -> "OpenedRun":
        """The same with the threshold moved (`Calibration.at`); None: as it is. Raises InputError beyond [0, 1]."""
        return self if threshold is None else replace(self, checkpoint=self.checkpoint.at(threshold))

    def on(self, device: str | None) -> "OpenedRun":
        """The same with its model moved to a device by its name. Raises InputError as `open_device` does."""
        self.checkpoint.model.to(open_device(device))
        return self

    def looking_at(self, zones: Zones) -> "OpenedRun":
        """The same where masks and zones say which parts of a picture count. Raises InputError as the encoder does."""
        return replace(self, encoder=self.video_encoder.looking_at(zones)) if zones else self
