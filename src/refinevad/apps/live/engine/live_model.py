"""RUN folders opened for streams: checkpoint, encoder and window rule, shared by the cameras that name them."""

import hashlib
import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from refinevad.checkpoint import CALIBRATION, CONFIG, WEIGHTS, Checkpoint
from refinevad.encoders.choice import EncoderChoice
from refinevad.files.whole import sha256_file
from refinevad.opened_run import EncoderShelf, OpenedRun
from refinevad.scoring.windows import WindowRule
from refinevad.timeline import SegmentRule
from refinevad.video.zones import Zones


@dataclass(frozen=True)
class LiveModel:
    """A run as streams use it.

    Attributes:
        opened: its model, and the encoder of its pictures.
        digest: tells its files from newer ones.
        rule: window and delay of its scores.
        fingerprint: of weights, categories, window rule and the camera's masks and zones: scores of two models of one
            fingerprint can be compared.
    """

    opened: OpenedRun
    digest: tuple[str, int]
    rule: WindowRule
    fingerprint: str = ""

    @property
    def run(self) -> str:
        """Its folder as it was named."""
        return self.opened.name

    @property
    def checkpoint(self) -> Checkpoint:
        return self.opened.checkpoint

    @property
    def encoder(self) -> EncoderChoice:
        return self.opened.picture_encoder

    @property
    def segment_rule(self) -> SegmentRule:
        return self.checkpoint.segment_rule

    @property
    def categories(self) -> tuple[str, ...]:
        return self.checkpoint.categories

    def at(self, threshold: float | None) -> "LiveModel":
        """The same with another threshold; None: the run's own."""
        return self if threshold is None else replace(self, opened=self.opened.at(threshold))

    def looking_at(self, zones: Zones) -> "LiveModel":
        """The same for a camera with masks and zones: its scores cannot be compared with those without."""
        if not zones:
            return self
        both = hashlib.sha256(f"{self.fingerprint} {zones.digest}".encode()).hexdigest()
        return replace(self, fingerprint=both)


class ModelShelf:
    """Opens each run once, and each encoder once. Safe to share between threads."""

    def __init__(
        self, window_s: float | None = None, delay_s: float | None = None, allow_download: bool = False
    ) -> None:
        """Raises InputError for lengths no window can have; the arguments as in EngineOptions."""
        self._window_s, self._delay_s, self._allow_download = window_s, delay_s, allow_download
        if window_s is not None or delay_s is not None:
            WindowRule().live(window_s, delay_s)
        self._lock = threading.Lock()
        self._models: dict[tuple[str, int], LiveModel] = {}
        self._encoders = EncoderShelf()

    def open(self, run: Path) -> LiveModel:
        """The model of a RUN folder.

        Raises:
            InputError: no finished run, its encoder is not to be had here, or it needs captions.
        """
        with self._lock:
            files = [run / name for name in (WEIGHTS, CONFIG, CALIBRATION)]
            key = (str(run.resolve()), max(file.stat().st_mtime_ns if file.exists() else 0 for file in files))
            if key not in self._models:
                opened = OpenedRun.load(run, self._allow_download, self._encoders)
                _ = opened.picture_encoder  # refused now, and not with the first segment
                rule = opened.checkpoint.window.live(self._window_s, self._delay_s)
                self._models[key] = LiveModel(opened, key, rule, _fingerprint(run, opened.checkpoint, rule))
            return self._models[key]

    def keep(self, used: set[tuple[str, int]]) -> None:
        """Let go of the models that nobody uses any more."""
        with self._lock:
            self._models = {key: model for key, model in self._models.items() if key in used}


def _fingerprint(run: Path, checkpoint: Checkpoint, rule: WindowRule) -> str:
    made_by = [sha256_file(run / WEIGHTS), checkpoint.model.config.as_dict(), rule.window_s, rule.delay_s]
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
