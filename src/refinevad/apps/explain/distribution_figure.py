"""How r_t and the scores are spread over the test segments."""

import numpy as np

from refinevad.apps.explain.chart import Panel, drawing, span_of
from refinevad.apps.explain.figure import Figure, panes, swatches
from refinevad.apps.explain.inside import Explained
from refinevad.apps.explain.statistic import ranks

_TITLE = "How scores and shift ratios are spread"
_BINS = 40


def distribution_figure(explained: Explained) -> Figure:
    """Histogram of r_t; scores of segments in normal videos, beside events, and in events."""
    groups = score_groups(explained)
    told, numbers = _words(groups, explained.checkpoint.calibration.threshold)
    drawn = []
    seen = [video.shift_ratio for video in explained.videos if len(video.seen)]
    if seen:
        ratio = np.concatenate(seen)
        numbers |= {"r_mean": float(ratio.mean()), "r_deviation": float(ratio.std())}
        told += f" r_t is {ratio.mean():.2f} ± {ratio.std():.3f} (mean, standard deviation)."
        drawn.append(("r_t of every segment, over the part of 0 to 1 it uses", _ratio(ratio)))
    colours = {"normal videos": "var(--muted)", "beside events": "var(--curve)", "in events": "var(--event)"}
    scores = _scores({name: values for name, values in groups.items() if len(values)}, colours, explained)
    drawn.insert(0, ("Scores of segments, each kind to its own total", scores + swatches(colours)))
    look = "Look for the orange of events to stand to the right of the others, and for the threshold to part them."
    return Figure(_TITLE, look, told, panes(*drawn), numbers)


def score_groups(explained: Explained) -> dict[str, np.ndarray]:
    """Scores of all test segments by where they lie."""
    groups: dict[str, list[np.ndarray]] = {"normal videos": [], "beside events": [], "in events": []}
    for video in explained.videos:
        inside = video.anomalous
        groups["beside events" if video.labels else "normal videos"].append(video.scores.segments[~inside])
        groups["in events"].append(video.scores.segments[inside])
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in groups.items()}


def higher(a: np.ndarray, b: np.ndarray) -> float:
    """Probability that a value of `a` exceeds one of `b`, ties for half (Mann-Whitney); nan without both."""
    if not len(a) or not len(b):
        return float("nan")
    together = ranks(np.concatenate([a, b]))
    return float((together[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def _words(groups: dict[str, np.ndarray], threshold: float) -> tuple[str, dict[str, float | None]]:
    events = groups["in events"]
    numbers: dict[str, float | None] = {"threshold": threshold}
    if not len(events):
        return "No true event lies in these videos, so there is nothing to hold the scores against.", numbers
    pieces = []
    for name in ("normal videos", "beside events"):
        if len(groups[name]):
            numbers[f"above_{name.replace(' ', '_')}"] = value = higher(events, groups[name])
            where = "of a normal video" if name == "normal videos" else "beside an event"
            pieces.append(f"one {where} {100 * value:.0f} % of the time")
    above = {name: float((values > threshold).mean()) for name, values in groups.items() if len(values)}
    numbers |= {f"over_threshold_{name.replace(' ', '_')}": value for name, value in above.items()}
    told = (
        f"A segment in an event outscores {' and '.join(pieces)} (50 % is chance)"
        if pieces
        else "Every segment lies in an event"
    )
    places = {
        "normal videos": "of segments in normal videos",
        "beside events": "beside events",
        "in events": "in events",
    }
    shares = ", ".join(f"{100 * value:.1f} % {places[name]}" for name, value in above.items())
    return f"{told}. Above the threshold of {threshold:.2f} lie {shares}.", numbers


def _scores(groups: dict[str, np.ndarray], colours: dict[str, str], explained: Explained) -> str:
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    heights = {name: np.histogram(values, edges)[0] / len(values) for name, values in groups.items()}
    top = max((float(values.max()) for values in heights.values()), default=1.0)
    panel = Panel((0.0, 1.0), (0.0, 1.08 * top), "score", "share of segments")
    for name, values in heights.items():
        panel.histogram(edges, values, colours[name])
    threshold = explained.checkpoint.calibration.threshold
    panel.rule("var(--event)", x=threshold, told=f"threshold {threshold:.3f}")
    return drawing("Histogram of segment scores: normal videos, beside events, in events", [panel])


def _ratio(ratio: np.ndarray) -> str:
    low, high = span_of(ratio)
    edges = np.linspace(max(low, 0.0), min(high, 1.0), _BINS + 1)
    heights = np.histogram(ratio, edges)[0] / len(ratio)
    panel = Panel((float(edges[0]), float(edges[-1])), (0.0, 1.08 * float(heights.max())), "r_t", "share of segments")
    panel.histogram(edges, heights, "var(--curve)", 0.3)
    return drawing(f"Histogram of r_t over {len(ratio)} segments", [panel])
