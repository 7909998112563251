"""Videos of one command through one pool of processes, which decode while torch and the model are still being loaded.

Loading takes as long as decoding a minute of video. So the pool is opened first, and given the first videos by what
the run's configuration says of its encoder (run_outline.py); once the run is open, and of that encoder, they are kept.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from refinevad.errors import InputError
from refinevad.files.remote import RemotePath
from refinevad.machine.cores import usable_cores
from refinevad.machine.worker_pool import deaths_told
from refinevad.run_outline import RunOutline, outline_of
from refinevad.video.reading import VideoInfo, probe

if TYPE_CHECKING:
    from refinevad.detection.described import Describer
    from refinevad.detection.found import Detection
    from refinevad.detector import Detector
    from refinevad.encoders.base import Encoder
    from refinevad.features.encoding import Encoded
    from refinevad.features.pooled import PooledFiles
    from refinevad.features.workers import RayWorkers, Workers
    from refinevad.machine.ray_pool import OnRay
    from refinevad.timeline import SegmentRule

PAYS_S = 60.0  # of video, together: below, processes take longer to start than they save
# videos whose length is asked for, here and far away; of more the rest is taken to be as long on average
_PROBED, _PROBED_FAR = 1000, 20


class Batch:
    """Videos to be detected in, to be closed, by `with`.

    Args:
        run: the RUN folder; nothing of it is believed before it is opened. None: nothing is foreseen.
        workers: how many processes; None: one a core. With 1, or little video, there are none. Ray: whatever there is.

    Attributes:
        began: seconds of the clock.
    """

    def __init__(self, run: Path | None, videos: Sequence[Path], workers: "int | OnRay | None" = None) -> None:
        self._videos = videos
        self._most = _PROBED_FAR if any(isinstance(video, RemotePath) for video in videos) else _PROBED
        self._known: dict[Path, VideoInfo | None] = {}  # what was asked of a file is not asked again
        self.began = time.time()
        self._hands = workers or usable_cores()
        self._stack = ExitStack()
        self._workers: Workers | RayWorkers | None = None
        self._outline: RunOutline | None = None
        self._files: PooledFiles[Encoded] | None = None
        self._frames: Callable[[int], None] = lambda frames: None
        if not isinstance(self._hands, int) or (self._hands > 1 and self._pays()):
            try:
                self._begin(run)
            except BaseException:
                self._stack.close()
                raise

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def lasts_s(self) -> float:
        """Seconds of all videos, as they state them."""
        lasts = [info.duration_s for info in self._infos if info is not None]
        return sum(lasts) * len(self._videos) / max(len(self._infos), 1)

    def detections(
        self, detector: "Detector | Describer", progress: Callable[[float], object]
    ) -> "Iterator[tuple[int, Detection | InputError]]":
        """(place, detection or what went wrong) of each video, in the order they are done in.

        Args:
            progress: takes seconds of video; a negative number where one is begun anew.

        Raises:
            RefineVADError: a worker was killed.
        """
        frames = sum(info.expected_frames for info in self._infos if info is not None)
        frames = frames * len(self._videos) // max(len(self._infos), 1)
        second = self.lasts_s() / max(frames, 1)

        def done(more: int) -> None:
            progress(more * second)

        self._frames = done
        with deaths_told("reads videos", "run again with --workers 1"):
            yield from self._in_turn(detector) if self._workers is None else self._by_pool(detector)

    def pictures(self, video: Path, detection: "Detection") -> Mapping[int, bytes] | None:
        """Its events' pictures by idle workers; None: they are to be taken by whoever writes the report."""
        many = len(detection.events) > 1 and not detection.notes
        if not many or self._workers is None or self._files is None or self._files.running:
            return None
        from refinevad.apps.report.keyframes import chosen_events, extract_keyframes

        places = chosen_events(detection.events)
        share = -(-len(places) // self._workers.count)
        groups = [places[at : at + share] for at in range(0, len(places), share)]
        calls: list[tuple[list[int], Future[dict[int, bytes]]]] = [
            (group, self._workers.submit(extract_keyframes, video, [detection.events[n] for n in group]))
            for group in groups
        ]
        with deaths_told(f"takes pictures of {video}", "run again with --workers 1"):
            return {group[place]: jpeg for group, call in calls for place, jpeg in call.result().items()}

    @cached_property
    def _infos(self) -> list[VideoInfo | None]:
        """What the first videos say of themselves."""
        return [self._info(video) for video in self._videos[: self._most]]

    def _pays(self) -> bool:
        left_s = PAYS_S
        for video in islice(self._videos, self._most):
            info = self._info(video)
            left_s -= 0.0 if info is None else info.duration_s or PAYS_S
            if left_s <= 0:
                return True
        return False

    def _begin(self, run: Path | None) -> None:
        """Start the processes, and give them the first videos."""
        from refinevad.features.workers import open_workers

        self._workers = open_workers(self._hands)
        self._stack.callback(self._workers.close)
        self._outline = None if run is None else outline_of(run)
        if self._outline is None:
            return
        from refinevad.encoders.choice import is_lite, open_encoder

        if is_lite(self._outline.encoder):  # which is here or nowhere; others wait until the run was checked
            encoder = open_encoder(self._outline.encoder).reading(self._outline.made_for).vision
            if encoder is not None:
                self._give(encoder, self._outline.rule)

    def _give(self, encoder: "Encoder", rule: "SegmentRule") -> None:
        assert self._workers is not None

        def progress(frames: int) -> None:
            self._frames(frames)  # which nobody watches before the run is open

        files = self._workers.encode_all(self._videos, encoder, rule, progress)
        self._files = self._stack.enter_context(files)
        files.fill()

    def _by_pool(self, detector: "Detector | Describer") -> "Iterator[tuple[int, Detection | InputError]]":
        from refinevad.features.extraction import as_features

        encoder, made_for = detector.video_encoder, detector.made_for
        if encoder.vision is None or not encoder.vision.portable:
            if not isinstance(self._hands, int):
                raise InputError(f"encoder '{encoder.spec}' stays in one process, and Ray has many; leave --ray")
            yield from self._in_turn(detector)
            return
        opened = RunOutline(encoder.spec, detector.rule, tuple(made_for))
        if self._files is None or self._outline != opened:
            if self._files is not None:
                self._files.close()
            self._give(encoder.vision, detector.rule)
        assert self._files is not None
        for place, found in self._files:
            video = self._videos[place]
            try:
                if isinstance(found, InputError):
                    raise found
                assert found is not None
                features = as_features(video, found, encoder, detector.rule)
                yield place, detector.located(detector.detect_features(features, video.name), video, features)
            except InputError as error:
                yield place, error

    def _in_turn(self, detector: "Detector | Describer") -> "Iterator[tuple[int, Detection | InputError]]":
        for place, video in enumerate(self._videos):
            try:
                yield place, detector.detect(video, self._frames)
            except InputError as error:
                yield place, error

    def _info(self, video: Path) -> VideoInfo | None:
        if video not in self._known:
            try:
                self._known[video] = probe(video)
            except InputError:  # told when its turn comes
                self._known[video] = None
        return self._known[video]
