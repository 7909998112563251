"""What Prometheus reads at /metrics. Names begin with refinevad_; counters begin anew with the program."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

import refinevad
from refinevad.apps.live.clock import Clock
from refinevad.apps.live.delivery.courier import Backlog
from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.health import TROUBLES
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, ScoreBatch
from refinevad.apps.service.guesses import Guesses
from refinevad.apps.service.watched_cameras import WatchedCamera

LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_COUNTERS = {
    "frames_in": "Frames that were decoded.",
    "frames_scored": "Frames in segments that were scored.",
    "frames_dropped": "Frames dropped because they came, or waited, too long.",
    "packets_damaged": "Packets that could not be decoded.",
    "segments_scored": "Scores that became final.",
    "reconnects": "Times the source was opened again.",
    "restarts": "Times the camera's process was started again.",
    "events": "Events that began.",
}


class _Cameras:
    """Reads the engine when it is asked, so that nothing is counted twice."""

    def __init__(self, cameras: Callable[[], Sequence[WatchedCamera]]) -> None:
        self._cameras = cameras

    def collect(self) -> Iterator[Metric]:
        cameras: list[CameraStatus] = [watched.status for watched in self._cameras() if not watched.paused]
        up = GaugeMetricFamily("refinevad_camera_up", "1 while pictures come.", labels=["camera"])
        fps = GaugeMetricFamily("refinevad_fps_in", "Frames a second that came lately.", labels=["camera"])
        scored = GaugeMetricFamily("refinevad_fps_scored", "Of these, those that were scored.", labels=["camera"])
        queued = GaugeMetricFamily("refinevad_segments_queued", "Segments that wait.", labels=["camera"])
        score = GaugeMetricFamily("refinevad_score", "Newest score, 0 to 1.", labels=["camera"])
        threshold = GaugeMetricFamily("refinevad_threshold", "Threshold in force.", labels=["camera"])
        on = GaugeMetricFamily(
            "refinevad_above_threshold_seconds", "For how long without a break; 0: it is not.", labels=["camera"]
        )
        quiet = GaugeMetricFamily(
            "refinevad_quiet_hours", "Hours of its own that a camera's threshold is learnt of.", labels=["camera"]
        )
        learning = GaugeMetricFamily(
            "refinevad_learning", "1 while its threshold follows its own hours, 0 once learnt.", labels=["camera"]
        )
        for camera in cameras:
            if camera.learning is not None:
                quiet.add_metric([camera.name], camera.learning.quiet_hours)
                learning.add_metric([camera.name], float(camera.learning.state == "learning"))
            on.add_metric([camera.name], camera.on_s)
            up.add_metric([camera.name], float(camera.state == "live"))
            fps.add_metric([camera.name], camera.fps_in)
            scored.add_metric([camera.name], camera.fps_scored)
            queued.add_metric([camera.name], float(camera.queued))
            threshold.add_metric([camera.name], camera.threshold)
            if camera.score is not None:
                score.add_metric([camera.name], camera.score)
        yield from (up, fps, scored, queued, score, threshold, on, quiet, learning)
        trouble = GaugeMetricFamily(
            "refinevad_camera_trouble", "1 while it is so (docs/live.md, Health).", labels=["camera", "trouble"]
        )
        for camera in cameras:
            names = {one.name for one in camera.health}
            for kind in TROUBLES:
                trouble.add_metric([camera.name, kind], float(kind in names))
        yield trouble
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"refinevad_{name}", text, labels=["camera"])
            for camera in cameras:
                counter.add_metric([camera.name], float(getattr(camera, name)))
            yield counter
        info = GaugeMetricFamily("refinevad_info", "The program.", labels=["version"])
        info.add_metric([refinevad.__version__], 1.0)
        yield info


class _Sinks:
    """What has not been delivered."""

    def __init__(self, backlog: Callable[[], Sequence[Backlog]]) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("refinevad_envelopes_waiting", "Envelopes not yet delivered.", labels=["sink"])
        lost = CounterMetricFamily("refinevad_envelopes_lost", "Envelopes that never will be.", labels=["sink"])
        held = GaugeMetricFamily(
            "refinevad_envelopes_in_memory", "Of those, in memory alone: the disk takes nothing.", labels=["sink"]
        )
        for sink in self._backlog():
            waiting.add_metric([sink.sink], float(sink.waiting))
            lost.add_metric([sink.sink], float(sink.lost))
            held.add_metric([sink.sink], float(sink.held))
        yield from (waiting, lost, held)


class _Ready:
    """Whether events can be kept; the reasons are at /readyz."""

    def __init__(self, troubles: Callable[[], Sequence[str]]) -> None:
        self._troubles = troubles

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("refinevad_troubles", "Reasons why events cannot be kept.", value=len(self._troubles()))


class _Guesses:
    """Tokens that were wrong, and requests that had to wait for it."""

    def __init__(self, guesses: Guesses) -> None:
        self._guesses = guesses

    def collect(self) -> Iterator[Metric]:
        for name, text, count in (
            ("tokens_wrong", "Tokens presented that were wrong.", self._guesses.wrong),
            ("tokens_limited", "Tokens not looked at, because too many from there were wrong.", self._guesses.limited),
        ):
            counter = CounterMetricFamily(f"refinevad_{name}", text)
            counter.add_metric([], float(count))
            yield counter


class Metrics:
    """One service's figures; a Listener of the engine."""

    def __init__(
        self,
        cameras: Callable[[], Sequence[WatchedCamera]],
        backlog: Callable[[], Sequence[Backlog]],
        guesses: Guesses,
        clock: Clock,
        troubles: Callable[[], Sequence[str]] = list,
    ) -> None:
        self._registry, self._clock = CollectorRegistry(), clock
        self._latency = Histogram(
            "refinevad_latency_seconds",
            "From a segment's end on the camera's clock to its final score, the window rule's wait included.",
            ["camera"],
            buckets=LATENCY_S,
            registry=self._registry,
        )
        self._registry.register(_Cameras(cameras))
        self._registry.register(_Sinks(backlog))
        self._registry.register(_Ready(troubles))
        self._registry.register(_Guesses(guesses))

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

    # --- as the engine's listener

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        if added:
            self._latency.labels(camera.name)  # there from the start, at zero
        else:
            self._latency.remove(camera.name)  # what is watched no more is not measured

    def on_scores(self, batch: ScoreBatch) -> None:
        now, latency = self._clock.now(), self._latency.labels(batch.camera)
        for row in batch.rows:
            latency.observe(max(0.0, now - (row.time + row.length_s)))

    def on_event(self, envelope: Envelope) -> None:
        pass  # counted by the engine

    def on_state(self, status: CameraStatus) -> None:
        pass  # read when asked
