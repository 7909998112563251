"""Features of one video, and the store on disk: one safetensors file a video, provenance in its header."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from refinevad.errors import InputError
from refinevad.files.json_files import check_regular
from refinevad.files.remote import RemotePath, here
from refinevad.files.shown import short
from refinevad.files.sorted_header import sort_metadata
from refinevad.files.strict_json import parse_json
from refinevad.files.whole import atomic_write
from refinevad.timeline import UNSTATED_RATE_HZ, SegmentRule, Timeline

FORMAT = "refinevad-features-1"
MOST_BYTES = 64 << 30  # of one video's: a day in ten crops
_MOST_FRAMES_EACH = 1_000_000  # a segment's; no rule makes longer ones
_LONGEST_S = 1e9
_MOST_HEADER_BYTES = 100_000_000  # safetensors' own bound
_STORED = {"F16": np.float16, "F32": np.float32}  # safetensors' names of what `save_features` writes


@dataclass(frozen=True)
class Provenance:
    """Where features come from. A model accepts features whose `encoder` and `rule` equal its own.

    Attributes:
        encoder: the encoder's identity: name, hash of the weights, preprocessing.
        rule: {"frames": n} or {"seconds": s}: what a segment is.
        sampling: which frames of a segment were looked at.
        source: name, size in pixels, rate in Hz, duration in seconds, bytes and modification time of the source; where
            there are any, `notes`: what was found amiss in it, a sentence each.
        parts: named channel ranges [first, last).
        version: refinevad's version that wrote them.
    """

    encoder: Mapping[str, Any]
    rule: Mapping[str, Any]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    version: str = ""

    @property
    def signature(self) -> dict[str, Any]:
        """The part two sets of features must share to be fed to one model."""
        return {"encoder": _plain(self.encoder), "rule": _plain(self.rule)}


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(value)))


@dataclass(frozen=True)
class Features:
    """One vector a segment with its timeline and provenance."""

    values: Float[np.ndarray, "segment channel"]
    timeline: Timeline
    provenance: Provenance

    def part(self, name: str) -> Float[np.ndarray, "segment part_channel"]:
        """The channels of one named part. Raises InputError when these features have no such part."""
        if name not in self.provenance.parts:
            raise InputError(f"these features have no part '{name}'; they have {sorted(self.provenance.parts)}")
        first, last = self.provenance.parts[name]
        return self.values[:, first:last]


def features_of(
    values: np.ndarray,
    signature: Mapping[str, Any],
    rule: SegmentRule,
    name: str = "features",
    rate_hz: float | None = None,
) -> Features:
    """Features of an array that refinevad did not make: of segments of the rule's length, one behind the other.

    Args:
        values: Float[np.ndarray, "segment channel"].
        signature: encoder and rule that they are taken to be of.
        rule: what a segment is.
        name: of the video, for what is said of it.
        rate_hz: its frames a second; None: 25 where the rule is in seconds: then only counts of frames depend on it.

    Raises:
        InputError: another shape, no segment, what is no number, or no rate where the rule counts frames.
    """
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise InputError(
            f"features of {name} must be numbers of shape (segments, channels), at least one of each; "
            f"got {values.dtype} of shape {values.shape}"
        )
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError(f"features of {name} hold NaN or infinite values (first: segment {int(bad.argmax())})")
    if rate_hz is None and rule.frames is not None:
        raise InputError(f"segments of {name} are {rule.frames} frames each: give rate_hz, its frames a second")
    rate_hz = UNSTATED_RATE_HZ if rate_hz is None else rate_hz
    if not 0 < rate_hz < np.inf:
        raise InputError(f"a rate is above 0 frames a second: got {rate_hz} for {name}")
    places = np.arange(len(values) + 1)
    seconds = places * rule.seconds_at(rate_hz)
    timeline = Timeline(np.round(seconds * rate_hz).astype(np.int64), seconds)
    parts = {"all": (0, values.shape[1])}
    source = {"name": name, "rate_hz": float(rate_hz), "duration_s": timeline.duration_s}
    provenance = Provenance(signature["encoder"], signature["rule"], source=source, parts=parts)
    return Features(values.astype(np.float32), timeline, provenance)


def save_features(path: Path, features: Features) -> None:
    """Write features atomically; values are stored as float16 when that loses nothing that matters (|x| < 6e4)."""
    half = np.abs(features.values).max(initial=0.0) < 6e4
    arrays = {
        "values": np.ascontiguousarray(features.values, dtype=np.float16 if half else np.float32),
        "frame_bounds": np.ascontiguousarray(features.timeline.frame_bounds, dtype=np.int64),
        "time_bounds": np.ascontiguousarray(features.timeline.time_bounds, dtype=np.float64),
    }
    if features.timeline.early_ends is not None:
        arrays["early_ends"] = np.ascontiguousarray(features.timeline.early_ends, dtype=np.float64)
    header = {"format": FORMAT, "provenance": json.dumps(asdict(features.provenance), sort_keys=True)}
    with atomic_write(path) as partial:
        save_file(arrays, partial, metadata=header)
        sort_metadata(partial)


class StoredFeatures(Features):
    """A video whose values stay on disk: whoever asks for them reads them, whole and checked, as `load_features`."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for anything but refinevad's features, whole."""
        with _open(path) as file:
            provenance, timeline = _provenance(path, file.metadata()), _timeline(path, file)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "timeline", timeline)
        object.__setattr__(self, "provenance", provenance)

    path: Path

    @property
    def values(self) -> Float[np.ndarray, "segment channel"]:
        """One vector a segment."""
        return load_features(self.path).values


def map_values(path: Path) -> Float[np.ndarray, "segment channel"]:
    """Map stored values into memory as they lie, float16 or float32, unchecked: pages are read when they are used.

    What is written to them stays in memory.

    Raises:
        InputError: missing, or no refinevad features.
    """
    try:
        if path.exists():
            check_regular(path, MOST_BYTES)
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length:,} bytes")
            described = parse_json(file.read(length).decode("utf-8"))["values"]
        begin, end = described["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (begin, end, *described["shape"])):
            raise ValueError("its header says no shape or no place")
        with here(path) as near:
            array = np.memmap(near, _STORED[described["dtype"]], "c", 8 + length + begin, tuple(described["shape"]))
    except FileNotFoundError as error:
        raise InputError(f"features not found: {path}; run refinevad extract first") from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError, InputError) as error:
        raise InputError(f"features {path} cannot be read ({error}); extract them again") from error
    if array.nbytes != end - begin or array.ndim != 2:
        raise InputError(f"features {path} are not whole; extract them again")
    return array


def read_provenance(path: Path) -> Provenance:
    """Read the header alone. Raises InputError for anything but refinevad's features."""
    if isinstance(path, RemotePath):
        return _provenance(path, _remote_metadata(path))
    with _open(path) as file:
        return _provenance(path, file.metadata())


def _remote_metadata(path: RemotePath) -> Mapping[str, str] | None:
    """The header's metadata by its range, without the values behind it."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length:,} bytes")
            found = parse_json(file.read(length).decode("utf-8"))["__metadata__"]
    except FileNotFoundError as error:
        raise InputError(f"features not found: {path}; run refinevad extract first") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"features {path} cannot be read ({error}); extract them again") from error
    return found if isinstance(found, dict) else None


def load_features(path: Path) -> Features:
    """Read one video's features as float32.

    Raises:
        InputError: missing, damaged, not refinevad's features, or with values that are not finite.
    """
    with _open(path) as file:
        provenance = _provenance(path, file.metadata())
        values = _array(path, file, "values", "f").astype(np.float32)
        timeline = _timeline(path, file)
    if values.ndim != 2 or len(values) != timeline.segments:
        raise InputError(
            f"features {path} hold {values.shape} values for {timeline.segments} segments; extract them again"
        )
    if any(last > values.shape[1] for _, last in provenance.parts.values()):
        raise InputError(f"the header of {path} names channels that are not there; extract the features again")
    bad = np.asarray(~np.isfinite(values).all(axis=1))
    if bad.any():
        raise InputError(
            f"features {path} hold NaN or infinite values in {int(bad.sum())} of {len(bad)} segments "
            f"(first: segment {int(bad.argmax())}); extract them again"
        )
    return Features(values, timeline, provenance)


def _open(path: Path) -> Any:
    try:
        if path.exists():
            check_regular(path, MOST_BYTES)
        with here(path) as near:  # a copy that is deleted stays open
            return safe_open(near, framework="numpy")
    except FileNotFoundError as error:
        raise InputError(f"features not found: {path}; run refinevad extract first") from error
    except (SafetensorError, OSError, InputError) as error:
        raise InputError(f"features {path} cannot be read ({error}); extract them again") from error


def _timeline(path: Path, file: Any) -> Timeline:
    frames, times = _array(path, file, "frame_bounds", "i"), _array(path, file, "time_bounds", "f")
    ends = _array(path, file, "early_ends", "f") if "early_ends" in set(file.keys()) else None
    fit = all(bounds.ndim == 1 for bounds in (frames, times, *([] if ends is None else [ends])))
    if not fit or not len(frames) or frames[0] != 0 or (np.diff(frames) > _MOST_FRAMES_EACH).any():
        raise InputError(f"features {path} have segments of no frames or of too many; extract them again")
    for bounds in (times, ends):
        if bounds is not None and not (np.abs(bounds) < _LONGEST_S).all():  # so is NaN
            raise InputError(f"features {path} have segments at no time that a video has; extract them again")
    try:
        return Timeline(frames, times, ends)
    except InputError as error:
        raise InputError(f"features {path}: {error}; extract them again") from error


def _array(path: Path, file: Any, name: str, kind: str) -> Shaped[np.ndarray, "..."]:
    """A stored array of floats (`f`) or whole numbers (`i`). Raises InputError where it is none."""
    try:
        array: Shaped[np.ndarray, ...] = file.get_tensor(name)
    except (SafetensorError, TypeError, AttributeError) as error:  # the last two: of a kind that NumPy has not
        raise InputError(f"features {path} are not whole ({error}); extract them again") from error
    if array.dtype.kind != kind:
        raise InputError(f"features {path} hold {name} as {array.dtype}; extract them again")
    return array


def _provenance(path: Path, metadata: Mapping[str, str] | None) -> Provenance:
    if not metadata or metadata.get("format") != FORMAT:
        raise InputError(f"{path} holds no refinevad features; write them with refinevad extract")
    try:
        fields = parse_json(metadata["provenance"])
        fields["parts"] = {name: _range(*bounds) for name, bounds in fields["parts"].items()}
        if strange := [n for n, value in fields.items() if not isinstance(value, str if n == "version" else dict)]:
            raise ValueError(f"{strange[0]} is {short(fields[strange[0]])}")
        return Provenance(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the header of {path} is damaged ({error}); extract the features again") from error


def _range(first: object, last: object) -> tuple[int, int]:
    """Channels [first, last). Raises ValueError where they are none."""
    if type(first) is not int or type(last) is not int or not 0 <= first <= last:
        raise ValueError(f"channels {short(first)} to {short(last)}")
    return first, last


def require_same_signature(expected: Mapping[str, Any], features: Provenance, what: str) -> None:
    """Refuse features that another encoder or another segment rule made.

    Raises:
        InputError: one sentence that names both sides.
    """
    found = features.signature
    if found["rule"] != _plain(expected["rule"]):
        raise InputError(
            f"{what} has segments of {_words(found['rule'])}, the model was trained on {_words(expected['rule'])}; "
            "extract again with the model's rule"
        )
    ours, theirs = _plain(expected["encoder"]), found["encoder"]
    if ours != theirs:
        differing = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        raise InputError(
            f"{what} was made by encoder '{theirs.get('name')}', the model expects '{ours.get('name')}' "
            f"(they differ in {', '.join(differing)}); extract again with the model's encoder"
        )


def _words(rule: Mapping[str, Any]) -> str:
    return " ".join(f"{value} {unit}" for unit, value in rule.items())
