"""RUN folders opened for streams: checkpoint, encoder and window rule, shared by the cameras that name them."""

import hashlib
import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from refinevad.checkpoint import CALIBRATION, CONFIG, WEIGHTS, Checkpoint
from refinevad.encoders.choice import EncoderChoice, open_encoder, require_at_hand
from refinevad.errors import InputError
from refinevad.features import Provenance, require_same_signature
from refinevad.files import sha256_file
from refinevad.input_ranges import Ranges
from refinevad.timeline import SegmentRule
from refinevad.windows import WindowRule

DEFAULT_WINDOW_S, DEFAULT_DELAY_S = 60.0, 5.0  # for runs trained on whole videos


@dataclass(frozen=True)
class LiveModel:
    """A run as streams use it.

    Attributes:
        run: its folder as it was named.
        digest: tells its files from newer ones.
        fingerprint: of weights, categories and window rule: scores of two models of one fingerprint can be compared.
    """

    run: str
    digest: tuple[str, int]
    checkpoint: Checkpoint
    encoder: EncoderChoice
    rule: WindowRule
    fingerprint: str = ""

    @property
    def segment_rule(self) -> SegmentRule:
        return SegmentRule(**self.checkpoint.signature["rule"])

    @property
    def categories(self) -> tuple[str, ...]:
        return self.checkpoint.model.config.categories

    def at(self, threshold: float | None) -> "LiveModel":
        """The same with another threshold; None: the run's own."""
        return self if threshold is None else replace(self, checkpoint=self.checkpoint.at(threshold))


class ModelShelf:
    """Opens each run once, and each encoder once. Safe to share between threads."""

    def __init__(
        self, window_s: float | None = None, delay_s: float | None = None, allow_download: bool = False
    ) -> None:
        """Raises InputError for lengths no window can have; the arguments as in EngineOptions."""
        self._window_s, self._delay_s, self._allow_download = window_s, delay_s, allow_download
        if window_s is not None or delay_s is not None:
            self._rule(WindowRule())
        self._lock = threading.Lock()
        self._models: dict[tuple[str, int], LiveModel] = {}
        self._encoders: dict[str, EncoderChoice] = {}
        self._narrowed: dict[tuple[str, Ranges], EncoderChoice] = {}

    def open(self, run: Path) -> LiveModel:
        """The model of a RUN folder.

        Raises:
            InputError: no finished run, its encoder is not to be had here, or it needs captions.
        """
        with self._lock:
            files = [run / name for name in (WEIGHTS, CONFIG, CALIBRATION)]
            key = (str(run.resolve()), max(file.stat().st_mtime_ns if file.exists() else 0 for file in files))
            if key not in self._models:
                checkpoint = Checkpoint.load(run)
                require_at_hand(checkpoint.encoder, self._allow_download, f"run {run}")
                encoder = self._encoder(checkpoint.encoder)
                here = Provenance(encoder.identity.as_dict(), dict(checkpoint.signature["rule"]))
                require_same_signature(checkpoint.signature, here, f"encoder '{checkpoint.encoder}' as installed here")
                narrow = self._narrow(encoder, checkpoint.model.config.made_for)
                rule = self._rule(checkpoint.window)
                self._models[key] = LiveModel(
                    str(run), key, checkpoint, narrow, rule, _fingerprint(run, checkpoint, rule)
                )
            return self._models[key]

    def keep(self, used: set[tuple[str, int]]) -> None:
        """Let go of the models that nobody uses any more."""
        with self._lock:
            self._models = {key: model for key, model in self._models.items() if key in used}

    def _encoder(self, spec: str) -> EncoderChoice:
        if spec not in self._encoders:
            encoder = open_encoder(spec)
            if encoder.text is not None or encoder.vision is None:
                raise InputError(
                    f"encoder '{spec}' needs captions, which live pictures do not have; choose another run"
                )
            self._encoders[spec] = encoder
        return self._encoders[spec]

    def _narrow(self, encoder: EncoderChoice, spans: Ranges) -> EncoderChoice:
        """For a model that reads these channels alone; one for all that read the same, so that they share its calls."""
        return self._narrowed.setdefault((encoder.spec, spans), encoder.reading(spans))

    def _rule(self, trained: WindowRule) -> WindowRule:
        window_s = self._window_s or (trained.window_s if trained.bounded else DEFAULT_WINDOW_S)
        if self._delay_s is not None:
            return WindowRule(window_s, self._delay_s)
        return WindowRule(window_s, min(trained.delay_s if trained.bounded else DEFAULT_DELAY_S, window_s))


def _fingerprint(run: Path, checkpoint: Checkpoint, rule: WindowRule) -> str:
    made_by = [sha256_file(run / WEIGHTS), checkpoint.model.config.as_dict(), rule.window_s, rule.delay_s]
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
