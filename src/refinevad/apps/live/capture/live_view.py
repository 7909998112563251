"""Packets -> fragmented MP4 for the page, from what is read anyway: nothing is decoded, nothing encoded anew.

Made only while somebody watches. It begins with the newest keyframe that is held, so that there is a picture at once.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from refinevad.apps.live.capture.messages import Fragment, ViewBegun
from refinevad.apps.live.capture.recorder import KeptPacket

if TYPE_CHECKING:
    from av.container import OutputContainer

FLUENT = frozenset(("h264",))  # what browsers play as it comes
_OPTIONS = {"movflags": "+empty_moov+default_base_moof+frag_every_frame+omit_tfhd_offset", "avioflags": "direct"}
_MOST_BYTES = 16 << 20  # of one fragment: more is no picture


class _Pipe:
    """What the muxer writes, taken out piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


class LiveView:
    """One stream on its way to the page. `send` takes `ViewBegun` once, then `Fragment`s."""

    def __init__(self, send: Callable[[ViewBegun | Fragment], None]) -> None:
        self._send = send
        self._pipe = _Pipe()
        self._container: OutputContainer | None = None
        self._first: KeptPacket | None = None
        self._last_dts = 0
        self._keyframe = False  # whether the fragment that the muxer holds back begins with one

    def begin(self, header: "OutputContainer | None", codec: str, held: Sequence[KeptPacket]) -> None:
        """Other pictures from here on; `header` describes their stream, None: it does not go into MP4."""
        import av

        self.close()
        if header is None or codec not in FLUENT or not held:
            why = "no picture has come yet" if codec in FLUENT else f"browsers do not play {codec} as it comes"
            self._send(ViewBegun("", 0, 0, why))
            return
        self._pipe = _Pipe()
        try:
            container = av.open(self._pipe, "w", format="mp4", container_options=_OPTIONS)
            stream = container.add_stream_from_template(header.streams.video[0], opaque=True)
            stream.time_base = held[0].time_base
            container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            self._send(ViewBegun("", 0, 0, f"the stream does not go into MP4 ({error})"))
            return
        self._container, self._first, self._last_dts = container, held[0], held[0].dts - 1
        head = self._pipe.take()
        context = header.streams.video[0].codec_context
        self._send(ViewBegun(avc_name(head), context.width, context.height, ""))
        self._send(Fragment(head, False))
        for packet in held:
            self.push(packet)

    def push(self, kept: KeptPacket) -> None:
        """Take the next packet of the stream."""
        import av

        if self._container is None or self._first is None or kept.dts <= self._last_dts:
            return
        self._last_dts = kept.dts
        first, stream = self._first, self._container.streams.video[0]
        packet = av.Packet(kept.payload)
        packet.stream, packet.time_base = stream, kept.time_base
        packet.pts, packet.dts = max(kept.pts, kept.dts) - first.dts, kept.dts - first.dts
        packet.duration, packet.is_keyframe = kept.duration, kept.keyframe
        try:
            self._container.mux_one(packet)
        except (av.error.FFmpegError, ValueError, OSError):
            self.close()
            self._send(ViewBegun("", 0, 0, "the stream broke off"))
            return
        data, keyframe, self._keyframe = self._pipe.take(), self._keyframe, kept.keyframe
        if data and len(data) <= _MOST_BYTES:
            self._send(Fragment(data, keyframe))

    def close(self) -> None:
        """Nothing more is made."""
        import av

        if self._container is not None:
            with suppress(av.error.FFmpegError, ValueError, OSError):
                self._container.close()
        self._container = self._first = None


def avc_name(head: bytes) -> str:
    """A codec's name as browsers want it, `avc1.64001f`, from an MP4's head; empty where it holds no H.264."""
    at = head.find(b"avcC")
    return f"avc1.{head[at + 5 : at + 8].hex()}" if at >= 0 else ""
