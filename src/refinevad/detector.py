"""The whole chain offline: video -> features -> scores -> events. The oracle of every faster or streamed path."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import refinevad
from refinevad.checkpoint import Checkpoint
from refinevad.detection.found import Detection
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.features.extraction import extract, extract_frames
from refinevad.features.store import Features, features_of, require_same_signature
from refinevad.features.workers import Workers
from refinevad.files.remote import as_path
from refinevad.input_ranges import Ranges
from refinevad.locating import Peak, locate
from refinevad.machine.devices import open_device
from refinevad.opened_run import OpenedRun
from refinevad.scoring.events import EventRule, find_events
from refinevad.scoring.paths import PathCurves
from refinevad.scoring.scores import score_timeline
from refinevad.scoring.windows import WindowRule
from refinevad.timeline import SegmentRule
from refinevad.top_k import top_mean
from refinevad.video.masks import checked_zones
from refinevad.video.recording import Recording
from refinevad.video.zones import Zones

MOST_LOCATED = 40  # events of a video, those with the highest peaks: each costs some tenths of a second


class Detector:
    """A trained run, ready for videos, which it scores under a window rule: its own, where none is given.

    `Detector.open` opens one from a RUN folder.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        run: str = "",
        encoder: EncoderChoice | None = None,
        window: WindowRule | None = None,
        where: bool = True,
    ) -> None:
        """Of parts at hand. Raises InputError where the encoder is not the model's; None: it scores features alone."""
        self.opened = OpenedRun.of(checkpoint, encoder, run)
        self.window, self.where = window or checkpoint.window, where

    @classmethod
    def open(
        cls,
        run: str | os.PathLike[str] | None = None,
        window: float | WindowRule | None = None,
        delay: float | None = None,
        *,
        threshold: float | None = None,
        device: str | None = None,
        allow_download: bool = False,
        zones: str | os.PathLike[str] | Zones | None = None,
        where: bool = True,
    ) -> "Detector":
        """A run's detector.

        Args:
            run: what `refinevad train` left, or the name of a model that ships (`refinevad models`); None: the default
                one of these.
            window: seconds the model sees at a time, as in a live stream; None: as in training, which for most runs is
                the whole video.
            delay: with a window, seconds a score waits for what comes after it; None: as long as the window.
            threshold: in [0, 1], in place of the calibrated one.
            device: where the model runs, `cpu` or `cuda`; None: CUDA where there is one.
            allow_download: an encoder that the run names may be fetched from a model hub.
            zones: masks and zones of the picture, or their file; None: the whole picture counts.
            where: whether `detect` looks for the place in the picture that an event came from.

        Raises:
            InputError: `run` is no finished run, its encoder is not to be had here, a number cannot be, or zones are
                none.
        """
        if isinstance(window, WindowRule):
            rule: WindowRule | None = window
        elif window is None and delay is not None:
            raise InputError("a delay needs a window: give the window's length in seconds too")
        else:
            rule = None if window is None else WindowRule.of(window, delay)
        open_device(device)  # whether it is there is told before a run is read
        opened = OpenedRun.load(run, allow_download).at(threshold).on(device).looking_at(checked_zones(zones))
        return cls(opened.checkpoint, opened.name, opened.encoder, rule, where)

    @property
    def checkpoint(self) -> Checkpoint:
        """The model with its thresholds."""
        return self.opened.checkpoint

    @property
    def encoder(self) -> EncoderChoice | None:
        """What turns a video into the model's features; None: it scores features alone."""
        return self.opened.encoder

    @property
    def video_encoder(self) -> EncoderChoice:
        """The encoder. Raises InputError where this run scores features alone."""
        return self.opened.video_encoder

    @property
    def made_for(self) -> Ranges:
        """The channels that the model needs; none: all."""
        return self.checkpoint.model.config.made_for

    @property
    def rule(self) -> SegmentRule:
        """What a segment is."""
        return self.checkpoint.segment_rule

    @property
    def run(self) -> str:
        """The run's folder as it was named."""
        return self.opened.name

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the anomalies that the model knows."""
        return self.checkpoint.categories

    def detect(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[int], None] | None = None,
        workers: Workers | None = None,
    ) -> Detection:
        """Analyse one video file.

        Args:
            path: any that FFmpeg reads.
            progress: called with how many frames were done since the last call; a negative number where work is begun
                anew.
            workers: processes that share a long video (features/workers.py); None: this one does it.

        Raises:
            InputError: the video cannot be read.
            RefineVADError: a worker was killed.
        """
        path = as_path(path)
        features = extract(path, self.opened.video_encoder, self.rule, progress, workers=workers)
        return self.located(self.detect_features(features, path.name), path, features)

    def located(self, detection: Detection, path: Path, features: Features) -> Detection:
        """A video file's detection with where its events came from (`Detection.located`), if that is asked for.

        Raises:
            InputError: the video cannot be read any more.
        """
        encoder, events = self.encoder, detection.events
        if not self.where or not events or encoder is None or encoder.vision is None:
            return detection
        line = detection.timeline
        strongest = sorted(range(len(events)), key=lambda place: (-events[place].peak, place))[:MOST_LOCATED]
        peaks = {
            place: int(np.searchsorted(line.time_bounds, events[place].peak_s, "right")) - 1 for place in strongest
        }
        clips = Recording(path, encoder.needs, self.rule).some(set(peaks.values()))
        found = {}
        for place, segment in sorted(peaks.items()):
            if segment in clips:  # else the file has become another one
                peak = Peak.of(clips[segment], features.values, segment, line.stretches())
                found[place] = locate(self.checkpoint.model, encoder, peak)
        return replace(detection, located={place: one for place, one in found.items() if one is not None})

    def detect_frames(
        self, frames: Iterable[tuple[Any, Any]], name: str = "frames", *, rate_hz: float | None = None
    ) -> Detection:
        """Analyse frames that come one after the other, as those of a file are; never more than a few are held.

        Times of the detection are counted from the first frame; its own time is the detection's `start_s`. Frames whose
        times do not rise, jump or leave a hole are treated as a file's are, and told of in the notes.

        Args:
            frames: (time_s, image) in order; an image is RGB, UInt8[np.ndarray, "height width 3"], or a frame as PyAV
                decoded it.
            name: what the detection calls them.
            rate_hz: nominal frames a second; None: as the first few times tell.

        Raises:
            InputError: no frame at all, a time that is no number, an image that is none, or an encoder of captions.
        """
        return self.detect_features(extract_frames(frames, self.opened.picture_encoder, self.rule, name, rate_hz), name)

    def detect_features(
        self, features: Features | np.ndarray, name: str = "features", *, rate_hz: float | None = None
    ) -> Detection:
        """Events of features already made.

        Args:
            features: of one video, as refinevad keeps them, or Float[np.ndarray, "segment channel"]: such as the run
                was trained on, a row for each segment of the run's length, one behind the other.
            name: what the detection calls the video.
            rate_hz: the video's frames a second, for an array; where segments are so many frames it says how long they
                last.

        Raises:
            InputError: they are of another encoder, rule or width, hold no segment or what is no number, or the model
                gives no score for them.
        """
        if isinstance(features, np.ndarray):
            features = features_of(features, self.checkpoint.signature, self.rule, name, rate_hz)
        require_same_signature(self.checkpoint.signature, features.provenance, name)
        channels = self.checkpoint.model.config.channels
        if features.values.shape[1] != channels:
            raise InputError(f"{name} has {features.values.shape[1]} numbers a segment, the model takes {channels}")
        scored = score_timeline(self.checkpoint.model, features.values, features.timeline, self.window)
        if not np.isfinite(scored.segments).all():  # NaN is above no threshold: nothing would be found
            raise InputError(f"the model gives no number for some segments of {name}; check the run's weights")
        calibration, categories = self.checkpoint.calibration, self.categories
        events = find_events(
            scored.segments, scored.categories, categories, features.timeline, EventRule.of(calibration)
        )
        return Detection(
            video=name,
            duration_s=features.timeline.duration_s,
            frames=features.timeline.frames,
            rate_hz=float(features.provenance.source.get("rate_hz", 0.0)),
            timeline=features.timeline,
            scores=scored.segments,
            categories=categories,
            category_scores=scored.categories,
            events=tuple(events),
            threshold=calibration.threshold,
            low_threshold=calibration.low_threshold,
            alerts_per_hour=calibration.alerts_per_hour,
            video_score=float(top_mean(scored.segments, self.checkpoint.k_divisor)),
            model={"run": self.run, "encoder": self.checkpoint.encoder, "version": refinevad.__version__},
            start_s=float(features.provenance.source.get("start_s", 0.0)),
            notes=tuple(features.provenance.source.get("notes", ())),
            paths=PathCurves.of(self.checkpoint.model, scored.paths),
            zones=self.encoder.needs.zones if self.encoder is not None else Zones(),
        )
