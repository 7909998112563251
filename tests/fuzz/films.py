"""Videos: what contains them, and what they are coded in."""

from contextlib import suppress
from pathlib import Path

from fakes import MeanEncoder, always
from fuzz.kind import Example, Read
from fuzz.runs import make_run
from refinevad.timeline import SegmentRule
from videos import write_video

RULE = SegmentRule(seconds=0.4)
_PIECES = {"movflags": "frag_keyframe+empty_moov"}
_CONTAINERS = (
    *(("mp4", "libx264", {}), ("mp4", "libx264", _PIECES), ("mkv", "libx264", {}), ("mov", "mjpeg", {})),
    *(("ts", "libx264", {}), ("avi", "mpeg4", {}), ("mpg", "mpeg2video", {}), ("flv", "libx264", {})),
    *(("webm", "libvpx-vp9", {}), ("wmv", "wmv2", {}), ("3gp", "mpeg4", {})),
)
_STREAMS = (
    *(("h264", "libx264"), ("hevc", "libx265"), ("m2v", "mpeg2video"), ("m4v", "mpeg4"), ("mjpeg", "mjpeg")),
    *(("ivf", "libvpx-vp9"), ("mp4", "libx264"), ("mkv", "libx265")),
)
_QUIET = {"libx265": {"x265-params": "log-level=none"}, "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"}}


def _written(folder: Path, suffix: str, codec: str, options: dict[str, str], sound: bool) -> bytes:
    path = folder / f"whole.{suffix}"
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    write_video(
        path,
        size=(96, 64),
        codec=codec,
        frames=25,
        pixels=pixels,
        sound=sound,
        options=_QUIET.get(codec),
        container_options=options,
    )
    content = path.read_bytes()
    path.unlink()
    return content


def containers(folder: Path) -> list[Example]:
    return [
        (f".{suffix}", _written(folder, suffix, codec, options, sound=suffix in ("mp4", "mkv")))
        for suffix, codec, options in _CONTAINERS
    ]


def bitstreams(folder: Path) -> list[Example]:
    return [(f".{suffix}", _written(folder, suffix, codec, {}, sound=False)) for suffix, codec in _STREAMS]


def watch_and_detect(folder: Path) -> Read:
    """Everything that opens a video: `detect` with its page and its annotated copy, a camera, and an upload."""
    from refinevad.apps.report.annotate import write_annotated
    from refinevad.apps.report.writer import write_detection
    from refinevad.apps.service.probing import _look
    from refinevad.detector import Detector
    from refinevad.errors import InputError

    always().start()
    detector = Detector.open(make_run(folder / "detector", threshold=0.0))

    def read(path: Path, seed: int) -> None:
        for door in (_watch, lambda path: _look(path, 8192 * 8192)):
            with suppress(InputError):  # cameras and uploads take fewer containers than files
                door(path)
        detection = detector.detect(path)
        write_detection(detection, folder / "out", path, stem="page")
        if seed % 4 == 0:
            write_annotated(detection, path, folder / "out" / "annotated.mp4")

    return read


def _watch(path: Path) -> None:
    """The file as a camera's recording, as fast as it comes."""
    import av

    from refinevad.apps.live.capture.preview import PreviewMaker
    from refinevad.apps.live.capture.segment_maker import SegmentMaker
    from refinevad.apps.live.capture.source import Source
    from refinevad.apps.live.settings.addresses import parse_address

    source = Source(parse_address(str(path)), stall_s=5.0, fast=True)
    try:
        maker = SegmentMaker(
            source,
            MeanEncoder.needs,
            RULE,
            hole_s=5.0,
            preview=PreviewMaker(32),
            preview_hz=2.0,
            send=lambda _: None,
        )
        for packet, arrived in source:
            try:
                frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
            except av.error.FFmpegError:
                continue
            for frame in frames:
                maker.push(frame, arrived)
        maker.end()
    finally:
        source.close()
