"""A stretch of a recording, or a clip that browsers play, as one MP4: made in a process of its own, sent as it is made.

As a program, `python -m refinevad.apps.service.stretching`: it reads {"files": [[path, Unix second]...], "start",
"end", "encode"} from stdin and writes a line of JSON, {} or {"error": ...}, and the MP4 behind it to stdout. What
cameras sent is demuxed and decoded there alone. Holes are closed up: a player would stand still in them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from refinevad.errors import InputError
from refinevad.files.whole import atomic_write

PIECE_BYTES = 262_144
_MOST_MEMORY_BYTES = 4_000_000_000
_LONG_SIDE = 1280  # of what is encoded anew
MOST_CLIP_S, MOST_ENCODING_S, MOST_PLAYABLE_BYTES = 4000.0, 300.0, 500_000_000
_OPTIONS = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}


class Stretch:
    """One that is being made. Iterating gives its bytes; `close` ends the process, whatever has come of it."""

    def __init__(self, files: Sequence[tuple[Path, float]], start: float, end: float, encode: bool = False) -> None:
        """Raises InputError where nothing can be made of it."""
        command = [sys.executable, "-m", "refinevad.apps.service.stretching"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"files": [(str(path), at) for path, at in files], "start": start, "end": end, "encode": encode}
        self._process.stdin.write(json.dumps(asked).encode())
        self._process.stdin.close()
        self._out: IO[bytes] = self._process.stdout
        line = self._out.readline()
        answer = json.loads(line) if line else {"error": "its reader crashed"}
        if "error" in answer:
            self.close()
            raise InputError(answer["error"])

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._out.read(PIECE_BYTES):
            yield piece

    @property
    def failed(self) -> bool:
        """Whether the process broke off, once all that came has been read."""
        return self._process.wait() != 0

    def close(self) -> None:
        self._process.kill()
        self._out.close()
        self._process.wait()


def make_playable(clip: Path, target: Path) -> None:
    """A clip as H.264 that browsers play, at most 1280 pixels a side, whole or absent.

    Raises:
        InputError: it cannot be decoded, becomes too large, takes too long, or the disk takes nothing.
    """
    made = Stretch([(clip, 0.0)], 0.0, MOST_CLIP_S, encode=True)
    until, size = time.monotonic() + MOST_ENCODING_S, 0
    try:
        with atomic_write(target) as partial, partial.open("wb") as file:
            for piece in made:
                size += len(piece)
                if size > MOST_PLAYABLE_BYTES or time.monotonic() > until:
                    raise InputError("the clip is too long to be made playable; download it")
                file.write(piece)
        if made.failed:
            target.unlink(missing_ok=True)
            raise InputError("the clip cannot be decoded to its end; download it")
    finally:
        made.close()


def _look_of(stream: Any) -> tuple[object, ...]:
    context = stream.codec_context
    return context.name, context.width, context.height, context.extradata


def _packets(files: Sequence[tuple[str, float]], start: float, end: float) -> Iterator[tuple[Any, Any]]:
    """Each packet with its stream, from the keyframe at or before `start` to `end`."""
    import av

    for path, at in files:
        try:
            container = av.open(path, "r", container_options={"protocol_whitelist": "file"})
        except (av.error.FFmpegError, OSError):  # retention was quicker
            continue
        with container:
            stream: Any = container.streams.video[0]
            first = stream.start_time or 0
            if start > at:
                container.seek(first + int((start - at) / stream.time_base), stream=stream)
            for packet in container.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                if at + float((packet.dts - first) * stream.time_base) >= end:
                    break
                yield packet, stream


def copy(files: Sequence[tuple[str, float]], start: float, end: float, out: IO[bytes]) -> None:
    """As it came. Raises InputError where there is nothing, or the stream becomes another on the way."""
    import av

    target: Any = None
    look: tuple[object, ...] = ()
    at, last_dts, offset, source = 0, -1, 0, None
    for packet, stream in _packets(files, start, end):
        if target is None:
            out.write(b"{}\n")
            target = av.open(out, "w", format="mp4", container_options=_OPTIONS)
            made = target.add_stream_from_template(stream, opaque=True)
            made.time_base, look = stream.time_base, _look_of(stream)
        if source is not stream:
            if _look_of(stream) != look:
                break  # the camera's pictures are others from here on; a file holds one kind
            source, offset = stream, at - packet.dts
        length = packet.duration or 0
        dts = packet.dts + offset
        if dts <= last_dts:
            continue
        packet.pts, packet.dts = max(packet.pts, packet.dts) + offset, dts
        packet.stream, last_dts, at = made, dts, dts + length
        target.mux_one(packet)
    if target is None:
        raise InputError("nothing is recorded of this stretch")
    target.close()


def encode(files: Sequence[tuple[str, float]], start: float, end: float, out: IO[bytes]) -> None:
    """As H.264, no larger than 1280 pixels a side. Raises InputError where nothing can be decoded."""
    import av

    target: Any = None
    clock = Fraction(1, 90_000)
    last = -1
    for packet, stream in _packets(files, start, end):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if target is None:
                scale = min(1.0, _LONG_SIDE / max(frame.width, frame.height))
                width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
                out.write(b"{}\n")
                target = av.open(out, "w", format="mp4", container_options=_OPTIONS)
                made = target.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "25", "g": "50"})
                made.width, made.height, made.pix_fmt = width, height, "yuv420p"
                made.codec_context.time_base = made.time_base = clock
                made.codec_context.thread_count = 1
            now = int(frame.pts * stream.time_base / clock) if frame.pts is not None else last + 3600
            if now <= last:
                continue
            small = frame.reformat(width=width, height=height, format="yuv420p")
            small.pts, small.time_base, last = now, clock, now
            target.mux(made.encode(small))
    if target is None:
        raise InputError("no picture of it can be decoded")
    target.mux(made.encode(None))
    target.close()


def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    asked = json.load(sys.stdin)
    make = encode if asked["encode"] else copy
    try:
        make(asked["files"], asked["start"], asked["end"], sys.stdout.buffer)
    except InputError as error:
        print(json.dumps({"error": str(error)}))
    except BrokenPipeError:
        return


if __name__ == "__main__":
    main()
