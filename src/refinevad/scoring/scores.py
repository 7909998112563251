"""features -> scores: a model's segment scores of a recording or a stream, by one window rule (windows.py)."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from refinevad.machine.devices import pinned, sent
from refinevad.scoring.segment_scores import SegmentScores as SegmentScores
from refinevad.scoring.tokens import merge_runs, opens_run
from refinevad.scoring.windows import MOST_SEGMENTS, WHOLE, Window, Windowing, WindowRule, windows
from refinevad.segment_model import PATHS, ModelOutput, SegmentModel
from refinevad.timeline import Timeline
from refinevad.top_k import top_mean

SMOOTHING_LEAST, SMOOTHING_MOST = 2.0, 40.0  # segments a relative Gaussian is held to


@dataclass(frozen=True)
class Scores:
    """What a model says of one video; all in [0, 1].

    Attributes:
        segments: anomaly score of each segment.
        categories: score of each category at each segment.
        presence: probability that a category occurs in the video (the largest over windows).
        shift_ratio: r_t of MoTAR, how much each segment borrowed.
        paths: what each of `PATHS` adds to each segment's logit (paths.py); they add up to it. None of scores that are
            themselves averages, over crops.
    """

    segments: Float[np.ndarray, "segment"]
    categories: Float[np.ndarray, "segment category"]
    presence: Float[np.ndarray, "category"]
    shift_ratio: Float[np.ndarray, "segment"]
    paths: Float[np.ndarray, "segment path"] | None = None

    @property
    def video(self) -> float:
        """A video's score by the field's k (top_k.py)."""
        return float(top_mean(self.segments))


@dataclass(frozen=True)
class WindowScores:
    """What a window says of its segments, before the sigmoid, so that windows can be blended.

    Attributes:
        rows: each segment's logit, shift ratio r_t, logits of its share among the categories, and what each of `PATHS`
            adds to its logit.
        presence: probability that a category occurs in the window.
    """

    rows: Float[np.ndarray, "segment row"]
    presence: Float[np.ndarray, "category"]


def score(
    model: SegmentModel,
    values: Float[np.ndarray, "segment channel"],
    time_bounds: Float[np.ndarray, "bound"] | None = None,
    rule: WindowRule = WHOLE,
) -> Scores:
    """Score one video's segments under a window rule; one in seconds needs the segments' borders in seconds."""
    tokens = opens_run(values) if model.config.merge_runs else None
    bounds = np.arange(len(values) + 1.0) if time_bounds is None else time_bounds
    blend, rows = Blend(), []
    presence = np.zeros(len(model.config.categories))
    for together in _groups(windows(bounds, rule, tokens)):
        many = score_windows(model, [values[window.start : window.end] for window in together])
        for window, scored in zip(together, many, strict=True):
            rows.append(blend.add(window, scored.rows[window.zone - window.start :]))
            presence = np.maximum(presence, scored.presence)
    whole = np.concatenate([*rows, blend.rest(_width(model))])
    segments, categories = as_scores(whole)
    return Scores(segments, categories, presence, whole[:, 1], whole[:, -len(PATHS) :])


def score_timeline(
    model: SegmentModel,
    values: Float[np.ndarray, "segment channel"],
    timeline: Timeline,
    rule: WindowRule = WHOLE,
) -> Scores:
    """`score` of segments that lie so: no window in seconds reaches across a hole, as in a stream."""
    if not rule.bounded or timeline.early_ends is None:
        return score(model, values, timeline.time_bounds, rule)
    parts = []
    for first, last in timeline.stretches():
        bounds = np.append(timeline.time_bounds[first:last], timeline.ends_s[last - 1])
        parts.append(score(model, values[first:last], bounds, rule))
    return Scores(
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.categories for part in parts]),
        np.max([part.presence for part in parts], axis=0),
        np.concatenate([part.shift_ratio for part in parts]),
        np.concatenate([part.paths for part in parts if part.paths is not None]),
    )


def _groups(found: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows that go through the model together: no more segments than one window may hold."""
    group: list[Window] = []
    held = 0
    for window in found:
        length = window.end - window.start
        if group and held + length > MOST_SEGMENTS:
            yield group
            group, held = [], 0
        group.append(window)
        held += length
    if group:
        yield group


def score_window(model: SegmentModel, values: Float[np.ndarray, "segment channel"]) -> WindowScores:
    """One pass over the segments of a window, and all that is done to a video's curve, inside the window."""
    return score_windows(model, [values])[0]


def score_windows(model: SegmentModel, many: Sequence[Float[np.ndarray, "_segment channel"]]) -> list[WindowScores]:
    """`score_window` of each, in one pass."""
    if not model.config.merge_runs:
        return [_curve(model, *passed, len(v)) for passed, v in zip(_pass(model, many), many, strict=True)]
    merged = [merge_runs(values) for values in many]
    spoken = [tokens.values for tokens in merged if len(tokens.values)]
    passes = iter(_pass(model, spoken) if spoken else [])
    found = []
    for tokens in merged:
        count = len(model.config.categories)
        rows, presence, video = np.zeros((len(tokens.place), _width(model))), np.zeros(count), 0.0
        if len(tokens.values):  # else there is nothing to go by: undecided everywhere
            of_tokens, presence, video = next(passes)
            rows = tokens.expand(of_tokens, _of_empty(model, of_tokens))
        found.append(_curve(model, rows, presence, video, len(rows)))
    return found


def _width(model: SegmentModel) -> int:
    """Of rows: logit, shift ratio, categories, paths."""
    return 2 + len(model.config.categories) + len(PATHS)


def _of_empty(model: SegmentModel, rows: Float[np.ndarray, "token row"]) -> Float[np.ndarray, "row"]:
    """What segments without a token get."""
    filling = np.asarray(rows.mean(0))
    filling[1] = 0.0
    if model.config.empty == "zero":  # all of the logit is base
        filling[-len(PATHS) :] = 0.0
        filling[0] = filling[-len(PATHS)] = model.undecided
    return filling


def _curve(
    model: SegmentModel,
    rows: Float[np.ndarray, "segment row"],
    presence: Float[np.ndarray, "category"],
    video: float,
    segments: int,
) -> WindowScores:
    """Smooth a window's rows over a share of its length, and weigh in the evidence of the whole."""
    config = model.config
    if config.relative_smoothing:
        sigma = float(np.clip(config.relative_smoothing * segments, SMOOTHING_LEAST, SMOOTHING_MOST))
        smooth = [0, *range(2, rows.shape[1])]
        rows[:, smooth] = gaussian(rows[:, smooth], sigma)
    of_video = config.video_weight * video
    rows[:, 0] += of_video
    rows[:, -1] += of_video
    return WindowScores(rows, presence)


@torch.inference_mode()
def _pass(
    model: SegmentModel, many: Sequence[Float[np.ndarray, "_token channel"]]
) -> list[tuple[Float[np.ndarray, "_token row"], Float[np.ndarray, "category"], float]]:
    """Rows as in WindowScores, presence, and the video's evidence, of each."""
    device = next(model.parameters()).device
    lengths = [len(values) for values in many]
    x = torch.zeros(len(many), max(lengths), many[0].shape[1])
    mask = torch.zeros(len(many), max(lengths), dtype=torch.bool)
    for place, values in enumerate(many):
        x[place, : len(values)] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        mask[place, : len(values)] = True
    x, mask = sent(pinned(x, device), device), sent(pinned(mask, device), device)
    output: ModelOutput = model(x, mask)
    by_path = model.path_logits(x, mask, output)
    parts = [output.logits[..., None], output.shift_ratio[..., None], output.share_logits]
    rows = torch.cat([*(part.double() for part in parts), by_path], dim=-1).cpu().numpy()
    presence = output.presence.double().cpu().numpy()
    if model.config.direct:
        evidence = output.video_evidence.double().cpu().numpy()
    else:
        evidence = np.array([rows[place, :length, 0].mean() for place, length in enumerate(lengths)])
    return [(rows[i, :length], presence[i], float(evidence[i])) for i, length in enumerate(lengths)]


def as_scores(
    rows: Float[np.ndarray, "segment row"],
) -> tuple[Float[np.ndarray, "segment"], Float[np.ndarray, "segment category"]]:
    """(anomaly score, score of each category) of blended rows."""
    scores = 1.0 / (1.0 + np.exp(-rows[:, 0]))
    shares = rows[:, 2 : -len(PATHS)]
    shares = np.exp(shares - shares.max(axis=1, keepdims=True))
    return scores, scores[:, None] * shares / shares.sum(axis=1, keepdims=True)


class Blend:
    """Weighted mean of windows' rows where they overlap; what is final comes out in order."""

    def __init__(self) -> None:
        self._total: Float[np.ndarray, "open row"] | None = None
        self._weight: Float[np.ndarray, "open 1"] | None = None

    def add(self, window: Window, rows: Float[np.ndarray, "zone row"]) -> Float[np.ndarray, "final row"]:
        """Take the rows of a window's zone; return those of segments that are now final."""
        weight = window.weights[:, None]
        total = weight * rows
        if self._total is not None and self._weight is not None:
            total[: len(self._total)] += self._total
            weight[: len(self._weight)] += self._weight
        final = window.final - window.zone
        self._total, self._weight = total[final:], weight[final:]
        return np.asarray(total[:final] / weight[:final])

    def rest(self, width: int) -> Float[np.ndarray, "open row"]:
        """The rows no later window has a say in, when there is none."""
        total, weight = self._total, self._weight
        self._total = self._weight = None
        return np.zeros((0, width)) if total is None or weight is None else np.asarray(total / weight)


class StreamScorer:
    """`score`, segment by segment: the same numbers, each when its window closes. Holds one window at most."""

    def __init__(self, model: SegmentModel, rule: WindowRule) -> None:
        self.model = model
        self._windowing, self._blend = Windowing(rule), Blend()
        self._values: deque[Float[np.ndarray, channel]] = deque()
        self._first = 0  # segment of _values[0]
        self._open: deque[tuple[float, float]] = deque()  # times of segments without a final score

    @property
    def held(self) -> int:
        """Segments in memory."""
        return len(self._values)

    def push(self, values: Float[np.ndarray, "channel"], start_s: float, end_s: float) -> SegmentScores:
        """Take a segment; return those whose scores became final."""
        token = True
        if self.model.config.merge_runs and self._values:
            token = bool(opens_run(np.stack([self._values[-1], values]))[1])
        self._values.append(values)
        self._open.append((start_s, end_s))
        window = self._windowing.push(start_s, end_s, token)
        rows = self._score(window) if window is not None else self._nothing
        while self._first < self._windowing.first:
            self._values.popleft()
            self._first += 1
        return self._finish(rows)

    def flush(self) -> SegmentScores:
        """The rest, when the stream ends."""
        window = self._windowing.flush()
        rows = self._score(window) if window is not None else self._nothing
        return self._finish(np.concatenate([rows, self._blend.rest(rows.shape[1])]))

    @property
    def _nothing(self) -> Float[np.ndarray, "none row"]:
        return np.zeros((0, _width(self.model)))

    def _score(self, window: Window) -> Float[np.ndarray, "final row"]:
        values = np.stack([self._values[place - self._first] for place in range(window.start, window.end)])
        rows = score_window(self.model, values).rows
        return self._blend.add(window, rows[window.zone - window.start :])

    def _finish(self, rows: Float[np.ndarray, "final row"]) -> SegmentScores:
        times = np.array([self._open.popleft() for _ in range(len(rows))]).reshape(-1, 2)
        scores, categories = as_scores(rows)
        return SegmentScores(times[:, 0], times[:, 1], scores, categories)


def gaussian(values: Float[np.ndarray, "segment channel"], sigma: float) -> Float[np.ndarray, "segment channel"]:
    """Gaussian average over time, cut at 4 sigma; the first and last segments stand in for what lies outside."""
    reach = int(4.0 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=1)
