"""Anyone's predictions, read and laid over the frames of a test set.

Three forms of `video -> numbers`: npz, safetensors, and JSON. A video holds either `(segments, 1 + categories)`
probabilities, the normal one first, or `(segments,)` anomaly scores; the anomaly score of the former is 1 - P(normal).

How scores meet frames (`Expansion`):
- `repeat`: score t lasts over segment t of the truth's timeline (16 frames in the field). A video with too many is
  cut, one with too few goes on with its last score.
- `stretch`: a video of n frames and k scores gives frame i score floor(k i / n) (peers resample to 32 a video).
- `auto`: `stretch` when every video holds a score a frame (its frames, or these filled up to whole segments), or when
  all videos, two or more, hold equally many scores, and not all of them fit; else `repeat`. Where a video has far more
  or far fewer scores than segments, nothing is guessed.
Whatever does not fit is listed in `Alignment.adjusted`, video by video.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from refinevad.datasets.npy import read_npz
from refinevad.errors import InputError
from refinevad.files.names import hint
from refinevad.files.strict_json import parse_json
from refinevad.judging.metrics import Runs
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import Timeline
from refinevad.video.reading import VIDEO_SUFFIXES

Expansion = Literal["auto", "repeat", "stretch"]
Rule = Literal["cut", "padded", "stretched", "missing", "ignored", "one a frame"]
_FAR_OFF = 16  # scores beyond twice the segments, or the other way round: no slip of a segment or two


@dataclass(frozen=True, eq=False)
class VideoPrediction:
    """One video: anomaly scores, and the probabilities of all columns (normal first) where they are known."""

    scores: Float[np.ndarray, "segment"]
    probabilities: Float[np.ndarray, "segment column"] | None

    @classmethod
    def of(cls, values: Float[np.ndarray, "segment *column"]) -> "VideoPrediction":
        """From scores (one axis) or probabilities (two axes, normal first)."""
        if values.ndim == 1:
            return cls(values, None)
        return cls(1 - values[:, 0], values)


Predictions = Mapping[str, VideoPrediction]


@dataclass(frozen=True)
class Adjustment:
    """A video whose prediction did not fit its truth: how many scores it has, how many fit, and what was done."""

    video: str
    predicted: int
    expected: int
    rule: Rule


@dataclass(frozen=True, eq=False)
class AlignedVideo:
    """A video's truth with a prediction that covers exactly its frames: score t lasts over segment t of the borders."""

    truth: VideoTruth
    prediction: VideoPrediction
    frame_bounds: Int[np.ndarray, "bound"]

    @property
    def runs(self) -> Runs:
        """One run a segment, in frames."""
        return Runs.from_segments(self.prediction.scores, self.frame_bounds, self.truth.anomalous)

    @property
    def time_bounds(self) -> Float[np.ndarray, "bound"]:
        """The segments' borders in seconds, by the truth's timeline."""
        timeline = self.truth.timeline
        if np.array_equal(self.frame_bounds, timeline.frame_bounds):
            return timeline.time_bounds
        return np.asarray(np.interp(self.frame_bounds, timeline.frame_bounds, timeline.time_bounds))


@dataclass(frozen=True)
class Alignment:
    """Videos that can be judged, in the truth's order, and all that had to be adjusted."""

    videos: tuple[AlignedVideo, ...]
    adjusted: tuple[Adjustment, ...]


def read_predictions(path: Path) -> dict[str, VideoPrediction]:
    """Read `.npz` (never unpickling), `.safetensors` or `.json`.

    Raises:
        InputError: unreadable, of another kind, empty, or a video whose numbers are not finite scores or probabilities.
    """
    readers = {".npz": read_npz, ".safetensors": _read_safetensors, ".json": _read_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"predictions must be .npz, .safetensors or .json, not {path.name}")
    if not path.is_file():
        raise InputError(f"predictions not found: {path}")
    arrays = reader(path)
    if not arrays:
        raise InputError(f"{path} holds no video; predictions map a video's name to its scores")
    return {name: _checked(name, values, path) for name, values in arrays.items()}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error})") from error
    except (TypeError, AttributeError) as error:  # of a kind that NumPy has not, such as bfloat16
        raise InputError(f"{path} holds numbers of a kind that is not read here ({error}); save float32") from error


def _read_json(path: Path) -> dict[str, np.ndarray]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object that maps a video's name to its list of scores")
    arrays = {}
    for name, values in content.items():
        try:
            if np.array(values).dtype.kind == "U":
                raise TypeError("text")
            arrays[name] = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: the scores of {name!r} are not a list of numbers, or of equal lists") from error
    return arrays


def _checked(name: str, values: np.ndarray, path: Path) -> VideoPrediction:
    where = f"{path}: {name!r}"
    if values.ndim not in (1, 2) or not len(values):
        raise InputError(
            f"{where} has shape {values.shape}; expected (segments,) scores or (segments, 1 + categories) probabilities"
        )
    if values.dtype.kind not in "fiub":
        raise InputError(f"{where} holds {values.dtype}, not numbers; save float32")
    if values.ndim == 2 and values.shape[1] < 2:
        raise InputError(f"{where} has a single column; give scores as one axis, or the normal and other columns")
    numbers = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"{where} holds NaN or infinite numbers; repair the predictions first")
    if numbers.ndim == 2 and (numbers.min() < -1e-6 or numbers.max() > 1 + 1e-6):
        raise InputError(f"{where} has numbers outside [0, 1]; give probabilities, not logits")
    return VideoPrediction.of(numbers)


def align(
    predictions: Predictions, truth: Truth, expansion: Expansion = "auto", allow_missing: bool = False
) -> Alignment:
    """Lay each video's prediction over its frames, by the rules in the module's text.

    A prediction is found by the video's name, with or without its suffix.

    Raises:
        InputError: no video in common; a video of the truth without a prediction, unless `allow_missing`;
            another number of columns than the truth has.
    """
    named = {video.name: _find(video.name, predictions) for video in truth.videos}
    found = {name: key for name, key in named.items() if key is not None}
    if not found:
        raise InputError(
            f"predictions and truth share no video: {next(iter(predictions), 'nothing')!r} "
            f"against {truth.videos[0].name!r}"
        )
    _refuse_shared(found)
    taken = set(found.values())
    absent = [name for name, key in named.items() if key is None]
    if absent and not allow_missing:
        others = [key for key in predictions if key not in taken]
        raise InputError(
            f"{len(absent)} of {len(named)} videos have no prediction, {absent[0]!r} first{hint(absent[0], others)}; "
            "predict them, or allow missing ones"
        )
    by_frame = expansion == "auto" and _one_a_frame(predictions, truth, found)
    stretch = by_frame or expansion == "stretch" or (expansion == "auto" and _fixed_length(predictions, truth, found))
    videos, adjusted = [], []
    for video in truth.videos:
        if video.name not in found:
            adjusted.append(Adjustment(video.name, 0, video.timeline.segments, "missing"))
            continue
        prediction = predictions[found[video.name]]
        given = len(prediction.scores)
        _check_columns(video.name, prediction, truth)
        if by_frame:
            prediction = _taken(prediction, np.arange(video.timeline.frames))
        elif not stretch and expansion == "auto":
            _refuse_far_off(video, prediction)
        aligned, rule = _stretched(video, prediction) if stretch else _repeated(video, prediction)
        rule = "one a frame" if by_frame else rule
        videos.append(aligned)
        if rule is not None:
            adjusted.append(Adjustment(video.name, given, video.timeline.segments, rule))
    adjusted += [Adjustment(k, len(p.scores), 0, "ignored") for k, p in predictions.items() if k not in taken]
    return Alignment(tuple(videos), tuple(adjusted))


def _find(name: str, predictions: Predictions) -> str | None:
    path = Path(name)
    bare = str(path.with_suffix("")) if path.suffix.lower() in VIDEO_SUFFIXES else name
    return next((key for key in (name, bare, f"{name}.mp4") if key in predictions), None)


def _refuse_shared(found: Mapping[str, str]) -> None:
    """Refuse one prediction for two videos, whose names differ in the suffix alone."""
    users: dict[str, str] = {}
    for name, key in found.items():
        if key in users:
            raise InputError(f"{users[key]!r} and {name!r} both have the prediction {key!r}; name one for each")
        users[key] = name


def _one_a_frame(predictions: Predictions, truth: Truth, found: Mapping[str, str]) -> bool:
    """Whether every video holds a score for each frame, where that is not a score for each segment."""
    pairs = [(len(predictions[found[v.name]].scores), v.timeline) for v in truth.videos if v.name in found]
    whole = all(count in (timeline.frames, _filled_up(timeline)) for count, timeline in pairs)
    return whole and any(count != timeline.segments for count, timeline in pairs)


def _filled_up(timeline: Timeline) -> int:
    """Frames, were the last segment as long as the longest."""
    return timeline.segments * int(np.diff(timeline.frame_bounds).max(initial=0))


def _refuse_far_off(video: VideoTruth, prediction: VideoPrediction) -> None:
    count, segments, frames = len(prediction.scores), video.timeline.segments, video.timeline.frames
    if count > 2 * segments + _FAR_OFF or segments > 2 * count + _FAR_OFF:
        raise InputError(
            f"{video.name!r} has {count} scores for {segments} segments and {frames} frames: neither one a segment nor "
            "one a frame; say how they lie with --expand, or what a segment is with --segment-frames"
        )


def _check_columns(name: str, prediction: VideoPrediction, truth: Truth) -> None:
    probabilities = prediction.probabilities
    if probabilities is not None and probabilities.shape[1] != len(truth.columns):
        raise InputError(
            f"{name!r} is predicted with {probabilities.shape[1]} columns, the truth has {len(truth.columns)}: "
            f"{', '.join(truth.columns)}"
        )


def _fixed_length(predictions: Predictions, truth: Truth, found: Mapping[str, str]) -> bool:
    """Whether every video was resampled to one length that is not the truth's."""
    counts = {len(predictions[key].scores) for key in found.values()}
    fits = all(
        len(predictions[found[video.name]].scores) == video.timeline.segments
        for video in truth.videos
        if video.name in found
    )
    return len(found) > 1 and len(counts) == 1 and not fits


def _repeated(video: VideoTruth, prediction: VideoPrediction) -> tuple[AlignedVideo, Rule | None]:
    given, wanted = len(prediction.scores), video.timeline.segments
    place = np.minimum(np.arange(wanted), given - 1)
    rule: Rule | None = None if given == wanted else "cut" if given > wanted else "padded"
    return AlignedVideo(video, _taken(prediction, place), video.timeline.frame_bounds), rule


def _stretched(video: VideoTruth, prediction: VideoPrediction) -> tuple[AlignedVideo, Rule | None]:
    """Score j of k lasts over the frames i with floor(k i / n) = j, so from ceil(j n / k) on."""
    count, frames = len(prediction.scores), video.timeline.frames
    bounds = -(-np.arange(count + 1, dtype=np.int64) * frames // count)
    lasting = np.flatnonzero(np.diff(bounds))  # with fewer frames than scores some last over none
    rule: Rule | None = None if np.array_equal(bounds, video.timeline.frame_bounds) else "stretched"
    return AlignedVideo(video, _taken(prediction, lasting), np.append(bounds[lasting], frames)), rule


def _taken(prediction: VideoPrediction, place: Int[np.ndarray, "segment"]) -> VideoPrediction:
    rows = None if prediction.probabilities is None else prediction.probabilities[place]
    return VideoPrediction(prediction.scores[place], rows)
