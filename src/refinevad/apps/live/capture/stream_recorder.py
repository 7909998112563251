"""Packets -> the continuous recording: files of about a minute each, as the stream came, cut at keyframes.

A file is named for when it begins and how long it is, in milliseconds: `1700000000000-60040.mp4`; while it is being
written `1700000000000.part.mp4`. That is in fragments, so that what a killed process leaves can be read to the last
keyframe; when it is finished it is turned into a plain file, in which a player can go anywhere at once.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.live.capture.recorder import KeptPacket
from refinevad.apps.live.disk import too_full

if TYPE_CHECKING:
    from av.container import OutputContainer

PIECE_S = 60.0
PART = ".part.mp4"
LOOK_S = 5.0  # between two looks at the disk
_OPTIONS = {"movflags": "+frag_keyframe+hybrid_fragmented", "flush_packets": "1"}  # to the disk with each keyframe


class StreamRecorder:
    """Writes one stream into a folder. What cannot be written is left out, and the next file is tried.

    Args:
        reserve_mb: with less free nothing is recorded.
        piece_s: a file ends with the first keyframe after so long.
    """

    def __init__(self, folder: Path, reserve_mb: float, piece_s: float = PIECE_S) -> None:
        self._folder, self._reserve_mb, self._piece_s = folder, reserve_mb, piece_s
        self._header: OutputContainer | None = None
        self._container: OutputContainer | None = None
        self._path = folder
        self._first: KeptPacket | None = None
        self._last: KeptPacket | None = None
        self._start_ms, self._looked_s, self._room = 0, float("-inf"), True

    def begin(self, header: "OutputContainer | None") -> None:
        """Other pictures come from here on; `header` describes their stream, None: it goes into no MP4."""
        self.close()
        self._header = header

    def push(self, kept: KeptPacket, wall_s: float) -> None:
        """Take the next packet, shown at Unix second `wall_s`."""
        if self._first is not None and (kept.keyframe and kept.time_s - self._first.time_s >= self._piece_s):
            self.close()
        if self._container is None:
            if self._header is None or not kept.keyframe or not self._has_room(wall_s):
                return
            self._open(kept, wall_s)
        self._mux(kept)

    def close(self) -> None:
        """Finish the file that is being written."""
        import av

        container, first, last = self._container, self._first, self._last
        self._container = self._first = self._last = None
        if container is None or first is None:
            return
        with suppress(av.error.FFmpegError, ValueError, OSError):
            container.close()
        if last is not None:
            step_s = float(last.duration * last.time_base)
            self._finish(max(last.time_s - first.time_s, 0.0) + step_s)

    def _has_room(self, wall_s: float) -> bool:
        if abs(wall_s - self._looked_s) >= LOOK_S:
            self._looked_s, self._room = wall_s, not too_full(self._folder, self._reserve_mb)
        return self._room

    def _open(self, first: KeptPacket, wall_s: float) -> None:
        import av

        assert self._header is not None
        self._start_ms = round(wall_s * 1000)
        self._path = self._folder / f"{self._start_ms}{PART}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            container = av.open(str(self._path), "w", format="mp4", container_options=_OPTIONS)
            stream = container.add_stream_from_template(self._header.streams.video[0], opaque=True)
            stream.time_base = first.time_base
        except (av.error.FFmpegError, ValueError, OSError):
            self._header = None  # nothing more of this stream: each keyframe would fail the same way
            return
        self._container, self._first, self._last = container, first, None

    def _mux(self, kept: KeptPacket) -> None:
        import av

        first = self._first
        if self._container is None or first is None or (self._last is not None and kept.dts <= self._last.dts):
            return
        packet = av.Packet(kept.payload)
        packet.stream, packet.time_base = self._container.streams.video[0], kept.time_base
        packet.pts, packet.dts = max(kept.pts, kept.dts) - first.dts, kept.dts - first.dts
        packet.duration, packet.is_keyframe = kept.duration, kept.keyframe
        try:
            self._container.mux_one(packet)
        except (av.error.FFmpegError, ValueError, OSError):  # the disk is full
            self.close()
            self._room = False
            return
        self._last = kept

    def _finish(self, length_s: float) -> None:
        with suppress(OSError):
            self._path.rename(self._folder / f"{self._start_ms}-{round(length_s * 1000)}.mp4")


def adopt(folder: Path) -> int:
    """Name what a killed process left unfinished by its length, or delete what cannot be read; how many."""
    import av

    left = list(folder.glob(f"*{PART}")) if folder.is_dir() else []
    for path in left:
        length_s = 0.0
        try:
            with av.open(str(path), "r", container_options={"protocol_whitelist": "file"}) as container:
                for packet in container.demux(video=0):
                    if packet.pts is not None and packet.time_base is not None:
                        end = packet.pts + (packet.duration or 0)
                        length_s = max(length_s, float(end * packet.time_base))
        except (av.error.FFmpegError, OSError, ValueError, IndexError):
            length_s = length_s if length_s > 0 else 0.0
        with suppress(OSError):
            start_ms = path.name.removesuffix(PART)
            path.unlink() if length_s == 0 else path.rename(folder / f"{start_ms}-{round(length_s * 1000)}.mp4")
    return len(left)
