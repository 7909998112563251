"""An address -> packets as they come: opened within bounds, at the camera's pace, noticed when it stalls.

- A live source (RTSP, HTTP without a length, a device) gives packets when they come. Without one for `stall_s` it
  counts as stalled: `SourceLostError`, as at its end or when the connection breaks.
- A recording (a file, or HTTP with a length) is read at its own pace: a packet is given when it is due. With `fast`
  it is given at once. At its end the iteration ends.
- A live source that comes in parts (HLS, DASH) is given at its own pace too: seconds of it arrive at once.
- Where the network is late with what is read at its own pace, all that follows is due so much later (`slips`).
- Other live sources may send seconds at once after a pause, too: a server that gathers them, a network that stalled.
  Who had to wait for a packet is not behind (`waits`); what follows at once is given no faster than `Burst` says.

FFmpeg opens nothing but what `Address.options` allows.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from refinevad.apps.live.capture.reasons import LATE_SHARE, ReasonKind, reason_of, reason_text
from refinevad.apps.live.settings.addresses import Address, is_other_container
from refinevad.errors import InputError, RefineVADError
from refinevad.video.edit_lists import open_film
from refinevad.video.stamps import longest_step_s
from refinevad.video.streams import (
    MOST_STUMBLES,
    is_in_doubt,
    nominal_rate_hz,
    picture_stream,
    stated_rate_hz,
    why_no_picture,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

OPEN_S = 20.0  # FFmpeg looks at up to five seconds of a stream before it counts as open
_UNSTAMPED = frozenset(("mjpeg", "mpjpeg", "h264", "hevc", "m4v", "mpegvideo"))  # formats without time stamps
_IN_PARTS = frozenset(("hls", "dash"))  # live formats whose pictures come seconds at a time
_MISSED_S = 0.5  # a live source's parts that were missed: waiting for them too would keep it as late as it was
_SLIP_S = 0.5  # less is no more than a packet's own unsteadiness
_NAP_S = 0.25
WAITED_S = 0.25  # who waited so long for a packet had taken all that was there
FREE_S, SPEED = 2.5, 2.0  # of a burst so much at once, the rest at twice its pace: more would run over the encoder
_SHARE = 0.75  # of the mean step: how far apart pictures without stamps that came at once are given
_MEAN_FOR_S = 30.0  # so long after a pause the mean step counts
_MOST_PIXELS = 8192 * 8192


class SourceLostError(RefineVADError):
    """A live source cannot be reached, stalled, broke off or ended; worth another attempt. `kind`: reasons.py."""

    kind: ReasonKind = "broken"


class SourceLateError(SourceLostError):
    """A live source was not open in time: it, the network or this machine is slow. Worth more time the next time."""


class Pace:
    """When packets that are there before their time are due; nobody waits through a step longer than `longest_s`."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._first_s: float | None = None  # stream second at which `_began` lies
        self._began = self._last_s = 0.0

    def due(self, stamp_s: float, now: float) -> float:
        """Monotonic second of a packet's decoding stamp; the first is due `now`."""
        if self._first_s is None:
            self._first_s, self._began = stamp_s, now
        elif abs(stamp_s - self._last_s) > self._longest_s:
            self._first_s += stamp_s - self._last_s  # a hole or a bad stamp
        self._last_s = stamp_s
        return self._began + stamp_s - self._first_s

    def slip(self, seconds: float) -> bool:
        """All that follows is due so much later; whether that is worth telling."""
        self._began += seconds
        return seconds > _SLIP_S


class Burst:
    """When packets are due that came at once after a pause: sooner than at their own pace, but not all together.

    Those without stamps are shown when they are given, and so keep a share of their mean step between each other.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._first_s: float | None = None  # stream second of the first packet after the pause, which came at `_began`
        self._began = self._last_s = self._given = self._step_s = 0.0
        self._count = 0

    def waited(self, now: float) -> None:
        """A packet has come that had to be waited for."""
        if self._count > 1:
            self._step_s = (now - self._began) / self._count
        self._first_s, self._began, self._count = None, now, 0

    def due(self, stamp_s: float | None, now: float) -> float:
        """Monotonic second of a packet that is there now; `stamp_s` None: it has no time to go by."""
        if not self._count and self._first_s is None:
            self._began = now
        self._count += 1
        due = now if stamp_s is None else self._by_stamp(stamp_s)
        if stamp_s is None and self._count > 1 and now < self._began + _MEAN_FOR_S:
            due = self._given + _SHARE * self._step_s
        self._given = max(due, now)
        return due

    def _by_stamp(self, stamp_s: float) -> float:
        if self._first_s is None:
            self._first_s = stamp_s
        elif abs(stamp_s - self._last_s) > self._longest_s:
            self._first_s += stamp_s - self._last_s  # a hole or a bad stamp
        self._last_s = stamp_s
        return self._began + max(stamp_s - self._first_s - FREE_S, 0.0) / SPEED


class Source:
    """One connection to an address. `nap(seconds)` sleeps, and may return early.

    Raises:
        InputError: a recording that cannot be read.
        SourceLostError: a live source that is not there now; SourceLateError, where it was not open within `open_s`.
    """

    def __init__(
        self,
        address: Address,
        *,
        stall_s: float,
        open_s: float = OPEN_S,
        fast: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        nap: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address, self._stall_s, self._open_s, self._fast = address, stall_s, open_s, fast
        self._monotonic, self._nap = monotonic, nap
        self.container, self.stream = self._open()
        self.recording = not address.live or (address.scheme.startswith("http") and self._has_length())
        self.rate_hz = stated_rate_hz(self.container, self.stream)
        if not address.live and is_in_doubt(self.container, self.stream):
            self.rate_hz = nominal_rate_hz(self.container, self.stream)  # as video/reading.py has it
            self.container.close()
            self.container, self.stream = self._open()
        self.stream.thread_type, self.stream.codec_context.thread_count = "NONE", 1  # a core each is for the encoder
        context = self.stream.codec_context
        if context.width * context.height > _MOST_PIXELS:
            self.close()
            raise self._refusal(f"{address} is {context.width} x {context.height}: larger than is decoded")
        formats = set(self.container.format.name.split(","))
        self.stamped = self.recording or not _UNSTAMPED & formats
        self._paced = not fast if self.recording else bool(_IN_PARTS & formats)
        self.damaged = self.slips = self.waits = 0

    def _open(self) -> "tuple[InputContainer, VideoStream]":
        import av

        address = self.address
        try:
            looked_up = address.looked_up()  # each time: a name may lead elsewhere by now
        except InputError as error:
            raise _lost(SourceLostError(str(error)), "host") from error
        began = time.monotonic()
        try:
            container = self._container(looked_up)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # without the error itself: it holds the password
            took_s = time.monotonic() - began
            reason = reason_of(error, looked_up, took_s=took_s, open_s=self._open_s)
            if not address.live:
                said = f"not a video that FFmpeg can read: {address} ({reason.text}); copy or convert it again"
                if is_other_container(error):
                    said = f"{address} is in a container that cameras are not read from; convert it to MP4 or MKV"
                raise InputError(said) from None
            late = isinstance(error, av.error.ExitError) or took_s >= LATE_SHARE * self._open_s
            kind = SourceLateError if late else SourceLostError
            raise _lost(kind(f"{address}: {reason.text}"), reason.kind) from None
        stream = picture_stream(container)
        if stream is None:
            what = why_no_picture(container)
            container.close()
            raise self._refusal(f"no video stream in {address} ({what})")
        return container, stream

    def _container(self, address: Address) -> "InputContainer":
        import av

        if address.path is not None:
            return open_film(address.path, address.url, address.options)
        return av.open(
            address.url,
            "r",
            format=address.format,
            container_options=address.options,
            metadata_errors="ignore",
            timeout=(self._open_s, self._stall_s),
        )

    def _has_length(self) -> bool:
        """A length is what a recording has and a broadcast has not; MPEG-TS tells it in bytes alone."""
        return bool(self.container.duration) or (self.container.format.name == "mpegts" and self.container.size > 0)

    def _refusal(self, sentence: str) -> RefineVADError:
        """What a stream cannot be now it may be later; a file stays what it is."""
        return SourceLostError(sentence) if self.address.live else InputError(sentence)

    def close(self) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[tuple["Packet[Any]", float]]:
        """(packet, monotonic second at which it came or was due)."""
        import av

        longest_s = longest_step_s(self.rate_hz)
        pace, stumbles = Pace(longest_s if self.recording else min(longest_s, _MISSED_S)), 0
        burst = None if self.recording or self._paced else Burst(longest_s)
        packets = self.container.demux(self.stream)
        while True:
            asked = self._monotonic()
            try:
                packet = next(packets)
                stumbles = 0
            except StopIteration:
                break
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:
                if not self.recording:
                    raise SourceLostError(f"{self.address}: {reason_text(error)}") from None
                self.damaged += 1
                stumbles += 1
                if stumbles == MOST_STUMBLES:
                    break
                packets = self.container.demux(self.stream)
                continue
            if self._paced and packet.dts is not None and packet.time_base is not None:
                due = pace.due(float(packet.dts * packet.time_base), self._monotonic())
                if self.address.live and asked <= due < (came := self._monotonic()):
                    self.slips += pace.slip(came - due)
                self._wait_until(due)
            elif burst is not None:
                if (came := self._monotonic()) - asked > WAITED_S:
                    self.waits += 1
                    burst.waited(came)
                self._wait_until(burst.due(self._stamp_of(packet), came))
            yield packet, self._monotonic()
        if not self.recording:
            raise SourceLostError(f"{self.address}: the stream ended")

    def _stamp_of(self, packet: "Packet[Any]") -> float | None:
        if not self.stamped or packet.dts is None or packet.time_base is None:
            return None
        return float(packet.dts * packet.time_base)

    def _wait_until(self, due: float) -> None:
        while (rest := due - self._monotonic()) > 0:
            self._nap(min(rest, _NAP_S))


def _lost(error: SourceLostError, kind: ReasonKind) -> SourceLostError:
    error.kind = kind
    return error
