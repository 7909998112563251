"""A look at a camera before it is added, in a process of its own: its picture and figures, or why there are none.

As a program, `python -m refinevad.apps.service.camera_probe`: it reads the address as JSON from stdin, because
arguments can be read by every user of the machine, and prints one JSON object, {"seen": ...} or {"kind", "error"}.
"""

import base64
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.source import Source, SourceLostError
from refinevad.apps.live.settings.addresses import Address
from refinevad.errors import InputError

OPEN_S, LOOK_S, MOST_S = 12.0, 2.0, 40.0  # for opening it, for its first seconds, and for all of it
_STALL_S = 8.0
_LONG_SIDE = 640
_MOST_MEMORY_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Seen:
    """What a camera sends.

    Attributes:
        rate_hz: pictures a second that came; kbit_s: of their packets.
        recording: it has an end.
        picture: JPEG, base64.
    """

    codec: str
    width: int
    height: int
    rate_hz: float
    kbit_s: float
    recording: bool
    picture: str


@dataclass(frozen=True)
class NotSeen:
    """Why there is no picture: a kind of capture/reasons.py, and a sentence without credentials."""

    kind: str
    error: str


def probe_camera(address: Address, timeout_s: float = MOST_S) -> Seen | NotSeen:
    """Open an address and look at it. What it answers with is decoded in a process that is killed after `timeout_s`."""
    fields = {**asdict(address), "ca_file": str(address.ca_file) if address.ca_file else None}
    command = [sys.executable, "-m", "refinevad.apps.service.camera_probe"]
    try:
        done = subprocess.run(command, input=json.dumps(fields), capture_output=True, text=True, timeout=timeout_s)
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return NotSeen("timeout", f"{address}: no picture came within {timeout_s:.0f} s")
    except json.JSONDecodeError:
        return NotSeen("broken", f"{address}: what it sends cannot be decoded: its reader crashed")
    return Seen(**answer["seen"]) if "seen" in answer else NotSeen(answer["kind"], answer["error"])


def look(address: Address) -> Seen:
    """Open an address, decode its first picture, and count what comes for a while.

    Raises:
        SourceLostError, InputError: as Source; or no picture can be decoded.
    """
    source = Source(address, stall_s=_STALL_S, open_s=OPEN_S)
    try:
        context = source.stream.codec_context
        picture, count, size, began = "", 0, 0, time.monotonic()
        stamps: list[float] = []
        for packet, _ in source:
            now = time.monotonic()
            if picture and now - began > LOOK_S:
                break
            if now - began > _STALL_S:
                raise SourceLostError(f"{address}: no picture could be decoded within {_STALL_S:.0f} s")
            count, size = count + 1, size + packet.size
            if source.stamped and packet.dts is not None and packet.time_base is not None:
                stamps.append(float(packet.dts * packet.time_base))
            picture = picture or _first_picture(packet)
        # by its own clock, where it has one: servers send what they had gathered at once
        lasted = max(stamps) - min(stamps) if stamps else time.monotonic() - began
        enough = lasted > LOOK_S / 4
        rate_hz = (count - bool(stamps)) / lasted if enough and not source.recording else source.rate_hz
        lasted = lasted if enough else max(count / rate_hz, 0.04)
        if not picture:
            raise InputError(f"{address}: no picture of it can be decoded")
        figures = round(rate_hz, 2), round(size * 8 / lasted / 1000, 1)
        return Seen(context.name, context.width, context.height, *figures, source.recording, picture)
    finally:
        source.close()


def _first_picture(packet: Any) -> str:
    import av

    try:
        frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except av.error.FFmpegError:
        return ""
    return base64.b64encode(PreviewMaker(_LONG_SIDE).jpeg(frames[0])).decode() if frames else ""


def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    fields = json.load(sys.stdin)
    fields["ca_file"] = Path(fields["ca_file"]) if fields["ca_file"] else None
    try:
        print(json.dumps({"seen": asdict(look(Address(**fields)))}))
    except SourceLostError as error:
        print(json.dumps({"kind": error.kind, "error": str(error)}))
    except InputError as error:
        print(json.dumps({"kind": "file", "error": str(error)}))


if __name__ == "__main__":
    main()
