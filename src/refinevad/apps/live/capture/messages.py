"""What a camera's process and the engine say to each other: JSON and plain arrays, never pickle.

The process decodes what comes from outside. Should a crafted stream take it over, then all it can send is a message
of a known kind with numbers of a known kind in it; anything else is refused and the process ended.
"""

import json
import struct
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any, get_type_hints

import numpy as np
from jaxtyping import Shaped

from refinevad.errors import RefineVADError
from refinevad.video.frames import Clip

MOST_BYTES = 256 << 20  # a segment's pixels at full size; more is no message of ours
_ARRAYS = {
    "rgb": ("u1", 4),
    "rgb_times": ("f8", 1),
    "gray": ("u1", 3),
    "gray_times": ("f8", 1),
    "hidden": ("u1", 2),
    "moved": ("f4", 4),
}
_ALL_SEEN = np.zeros((0, 0), np.uint8)  # a clip of which all counts
_NOT_ASKED = np.zeros((0, 0, 0, 0), np.float32)  # a clip without motion vectors
_HEAD = struct.Struct(">I")


class MessageError(RefineVADError):
    """Bytes that are no message."""


@dataclass(frozen=True)
class Opened:
    """The source is open; stream seconds begin anew. `recording`: it has an end, and no pace of its own."""

    width: int
    height: int
    rate_hz: float
    codec: str
    recording: bool


@dataclass(frozen=True)
class Segment:
    """A segment's pixels.

    Attributes:
        frames: decoded frames in it.
        arrived: monotonic second at which its last frame came.
        origin: monotonic second of stream second 0, as far as is known by now (source.py).
    """

    clip: Clip
    frames: int
    arrived: float
    origin: float


@dataclass(frozen=True)
class Picture:
    """A small JPEG of the frame at stream second `time_s`."""

    jpeg: bytes
    time_s: float
    origin: float


@dataclass(frozen=True)
class Look:
    """What can be told of the picture at stream second `time_s` by itself (looks.py).

    Attributes:
        brightness: mean grey level, 0 to 255; contrast: its standard deviation over the picture.
        focus: how much of the contrast lies between neighbouring pixels.
        change: mean absolute step since the look before, in grey levels; 255 at the first.
        likeness: correlation of its edges with those of the view of the last minutes.
    """

    time_s: float
    brightness: float
    contrast: float
    focus: float
    change: float
    likeness: float


@dataclass(frozen=True)
class Gap:
    """Pictures are missing from here on.

    Attributes:
        retry_s: pause before the source is opened again, 0: it goes on at once.
        lasting: what the reason says holds until then.
    """

    reason: str
    retry_s: float
    lasting: bool = False


@dataclass(frozen=True)
class Pulse:
    """What happened since the last pulse, about every second: the process is alive."""

    frames: int
    dropped: int
    damaged: int
    reconnects: int
    width: int
    height: int


@dataclass(frozen=True)
class Recorded:
    """An event's clip is finished, or came to nothing for a reason."""

    event: str
    reason: str


@dataclass(frozen=True)
class Ended:
    """No more will come: the recording is over (no reason) or cannot be read (a reason).

    `notes`: what was found amiss in a recording that is over, in sentences.
    """

    reason: str
    notes: str = ""


@dataclass(frozen=True)
class Aside:
    """What an operator should know of what is not scored; empty: nothing any more."""

    text: str


@dataclass(frozen=True)
class ViewBegun:
    """What is watched on the page begins here: its codec's name for browsers, `avc1.64001f`, and its size.

    `reason`: why it cannot be shown so, where it cannot; no fragment follows then.
    """

    codec: str
    width: int
    height: int
    reason: str


@dataclass(frozen=True)
class Fragment:
    """A piece of fragmented MP4; the first is its head. `keyframe`: a player can begin here, once it has the head."""

    data: bytes
    keyframe: bool


Message = Opened | Segment | Picture | Look | Gap | Pulse | Recorded | Ended | Aside | ViewBegun | Fragment


@dataclass(frozen=True)
class Record:
    """Engine to process: write the clip of an event from stream second `start_s` on to `path`."""

    event: str
    path: str
    start_s: float


@dataclass(frozen=True)
class Finish:
    """Engine to process: the clip of an event reaches to `end_s`, or only to what there is by now."""

    event: str
    end_s: float
    now: bool


@dataclass(frozen=True)
class Stop:
    """Engine to process: finish what is being written, and end."""


@dataclass(frozen=True)
class View:
    """Engine to process: send what is kept as fragmented MP4, from its newest keyframe on; or no more."""

    on: bool


Command = Record | Finish | Stop | View
_MESSAGES = (Opened, Segment, Picture, Look, Gap, Pulse, Recorded, Ended, Aside, ViewBegun, Fragment)
_COMMANDS = (Record, Finish, Stop, View)
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (*_MESSAGES, *_COMMANDS)}


def encode(message: Message | Command) -> bytes:
    """Length of a JSON head, the head, then the arrays' bytes (or a JPEG's)."""
    name = type(message).__name__
    if isinstance(message, Segment):
        clip = message.clip
        values = {"frames": message.frames, "arrived": message.arrived, "origin": message.origin}
        values |= {"start_s": clip.start_s, "end_s": clip.end_s, "lead": clip.lead}
        hidden = _ALL_SEEN if clip.hidden is None else clip.hidden.astype(np.uint8)
        given = {**vars(clip), "hidden": hidden, "moved": _NOT_ASKED if clip.moved is None else clip.moved}
        arrays = [np.ascontiguousarray(given[array]) for array in _ARRAYS]
        head = json.dumps({"kind": name, "shapes": [array.shape for array in arrays], **values}).encode()
        return b"".join([_HEAD.pack(len(head)), head, *(array.tobytes() for array in arrays)])
    if isinstance(message, Picture):
        head = json.dumps({"kind": name, "time_s": message.time_s, "origin": message.origin}).encode()
        return _HEAD.pack(len(head)) + head + message.jpeg
    if isinstance(message, Fragment):
        head = json.dumps({"kind": name, "keyframe": message.keyframe}).encode()
        return _HEAD.pack(len(head)) + head + message.data
    head = json.dumps({"kind": name, **asdict(message)}).encode()
    return _HEAD.pack(len(head)) + head


def decode(data: bytes) -> Message | Command:
    """The message in `data`. Raises MessageError where there is none."""
    try:
        (length,) = _HEAD.unpack_from(data)
        head, body = json.loads(data[_HEAD.size : _HEAD.size + length]), memoryview(data)[_HEAD.size + length :]
        kind = _KINDS[head.pop("kind")]
        if kind is Segment:
            return _segment(head, body)
        if kind is Fragment:
            return Fragment(bytes(body), bool(head["keyframe"]))
        if kind is Picture:
            return Picture(bytes(body), float(head["time_s"]), float(head["origin"]))
        hints = get_type_hints(kind)
        values = {field.name: head[field.name] for field in fields(kind)}
        if any(type(value) is not hints[name] for name, value in values.items()):
            raise MessageError(f"a message of kind {kind.__name__} with values of another type")
        made: Message | Command = kind(**values)
        return made
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise MessageError(f"bytes that are no message ({type(error).__name__})") from error


def _segment(head: dict[str, Any], body: memoryview) -> Segment:
    arrays: dict[str, Shaped[np.ndarray, ...]] = {}
    at = 0
    for (name, (dtype, axes)), shape in zip(_ARRAYS.items(), head["shapes"], strict=True):
        if len(shape) != axes or any(type(size) is not int or size < 0 for size in shape):
            raise MessageError("a segment with arrays of another shape")
        count = prod(shape)
        arrays[name] = np.frombuffer(body, dtype, count, at).reshape(shape)
        at += count * np.dtype(dtype).itemsize
    hidden = arrays.pop("hidden")
    if hidden.size and hidden.shape != arrays["gray"].shape[1:]:
        raise MessageError("a segment whose hidden pixels are another picture's")
    moved = arrays.pop("moved")
    if moved.shape[3] and (len(moved) != len(arrays["gray"]) or moved.shape[3] != 2):
        raise MessageError("a segment with motion of other frames")
    clip = Clip(
        **arrays,
        start_s=float(head["start_s"]),
        end_s=float(head["end_s"]),
        lead=bool(head["lead"]),
        hidden=hidden.astype(bool) if hidden.size else None,
        moved=moved if moved.shape[3] else None,
    )
    return Segment(clip, int(head["frames"]), float(head["arrived"]), float(head["origin"]))
