"""MoTAR's shift ratio r_t against the motion in the video."""

from collections.abc import Sequence

import numpy as np

from refinevad.apps.explain.chart import HEIGHT, LEFT, RIGHT, WIDTH, Panel, drawing, span_of, thinned
from refinevad.apps.explain.figure import Figure, panes, signed, strength
from refinevad.apps.explain.inside import FRAME_DIFFERENCE, Explained, Inside
from refinevad.apps.explain.statistic import rank_correlation
from refinevad.detection.wording import clock

_TITLE = "Does the shift follow the motion?"
_DRAWN = 2000  # dots
_CURVE = 400  # knots
_BINS = 12


def gate_figure(explained: Explained) -> Figure:
    """Scatter over segments, the gate's own curve, and one video in which r_t and motion run side by side."""
    config = explained.checkpoint.refinevad.config
    if config.gate in ("fixed", "none"):
        return Figure(
            _TITLE, "", f"This run's gate is '{config.gate}': r_t is the same everywhere, so it follows nothing."
        )
    videos = [video for video in explained.videos if len(video.seen)]
    if not videos:
        return Figure(_TITLE, "", "No test video carries a segment to take in.")
    ratio = np.concatenate([video.shift_ratio for video in videos])
    motion = np.concatenate([video.motion for video in videos])
    overall = rank_correlation(motion, ratio)
    inside = np.array([rank_correlation(video.motion, video.shift_ratio) for video in videos])
    inside = inside[np.isfinite(inside)]
    low, median, high = np.percentile(ratio, (5, 50, 95))
    reach = len(config.selected) / config.folding
    told = _words(explained.motion_name, overall, inside, (low, high), reach)
    example = _example(videos)
    drawn = [
        (
            f"Every segment: {explained.motion_name} and r_t, with the median of each twelfth",
            _scatter(motion, ratio, explained.motion_name),
        ),
        ("The gate itself: r_t for a motion so far from the training mean", _gate(explained, (low, high))),
    ]
    if example is not None:
        own = signed(rank_correlation(example.motion, example.shift_ratio))
        drawn.append(
            (
                f"{example.name}: rank correlation {own}, the most typical of the anomalous videos",
                _in_time(example, explained.motion_name),
            )
        )
    numbers = {
        "motion": explained.motion_name,
        "segments": len(ratio),
        "rank_correlation": overall,
        "rank_correlation_in_video_median": float(np.median(inside)) if len(inside) else None,
        "videos_rising": float((inside > 0).mean()) if len(inside) else None,
        "r_p5": float(low),
        "r_median": float(median),
        "r_p95": float(high),
        "r_min": float(ratio.min()),
        "r_max": float(ratio.max()),
        "channels_a_side": [float(low * reach), float(high * reach)],
    }
    look = (
        "Look for dots that climb from left to right: the more moves, the more a segment borrows from its neighbours."
    )
    return Figure(_TITLE, look, told, panes(*drawn), numbers)


def _words(name: str, overall: float, inside: np.ndarray, span: tuple[float, float], reach: float) -> str:
    channels = f"{span[0] * reach:.1f} to {span[1] * reach:.1f} of at most {reach:.0f} channels from each side"
    used = f"90 % of r_t lies between {span[0]:.3f} and {span[1]:.3f}, that is {channels}"
    if span[1] - span[0] < 0.1:
        used += ": the gate hardly uses its range"
    if not np.isfinite(overall):
        return f"r_t or the {name} does not vary on these videos, so there is no correlation to report. {used}."
    rising = f"the median video has {signed(float(np.median(inside)))}, and " if len(inside) else ""
    share = f"{100 * (inside > 0).mean():.0f} % of videos lie above 0" if len(inside) else ""
    told = (
        f"r_t has {strength(overall)} rank correlation with the {name} over all segments ({signed(overall)})"
        f"{'; ' + rising + share if share else ''}. {used}."
    )
    if overall < -0.1:
        told += " The gate runs against the paper's reading: the more changes, the less is borrowed."
    if name != FRAME_DIFFERENCE:
        told += (
            " These features hold no frame difference, so it is held against the features' own step, which the gate is "
            "computed from: the sign is its own, the strength is not."
        )
    return told


def _scatter(motion: np.ndarray, ratio: np.ndarray, name: str) -> str:
    positive = motion[motion > 0]
    floor = float(np.percentile(positive, 0.5)) if len(positive) else 1e-3
    x = np.log10(np.maximum(motion, floor))
    keep = thinned(len(x), _DRAWN)
    panel = Panel(span_of(x), span_of(ratio), f"{name} (log scale)", "r_t", log=True)
    panel.dots(x[keep], ratio[keep], "var(--curve)")
    # the trend: medians over stretches with equally many segments
    order = np.argsort(x, kind="stable")
    stretches = [stretch for stretch in np.array_split(order, _BINS) if len(stretch)]
    middle = np.array([np.median(x[stretch]) for stretch in stretches])
    panel.curve(middle, np.array([np.median(ratio[stretch]) for stretch in stretches]), "var(--event)", 2.5)
    return drawing(f"Scatter of r_t over {name} for {len(keep)} of {len(x)} segments", [panel])


def _gate(explained: Explained, used: tuple[float, float]) -> str:
    motion, ratio = explained.gate_curve
    panel = Panel((-3.0, 3.0), (0.0, 1.0), "motion (standard deviations of log v_t)", "r_t")
    panel.area(
        np.array([-3.0, 3.0]),
        np.full(2, used[0]),
        np.full(2, used[1]),
        "var(--curve)",
        "90 % of the test segments",
        0.16,
    )
    panel.curve(motion, ratio, "var(--curve)", 2.5)
    return drawing(
        f"The gate's curve: r_t from {ratio.min():.2f} to {ratio.max():.2f} over six standard deviations", [panel]
    )


def _example(videos: Sequence[Inside]) -> Inside | None:
    """The anomalous video whose correlation is nearest to the median of all anomalous ones: typical, not the best."""
    found = [(video, rank_correlation(video.motion, video.shift_ratio)) for video in videos if video.truth]
    found = [(video, value) for video, value in found if np.isfinite(value) and not video.anomalous.all()]
    if not found:
        return None
    middle = float(np.median([value for _, value in found]))
    # of equally typical ones, that with the most to see
    return min(found, key=lambda pair: (round(abs(pair[1] - middle), 3), -len(pair[0].seen)))[0]


def _in_time(video: Inside, name: str) -> str:
    keep = thinned(len(video.seen), _CURVE)
    # each value holds until the next segment that brought something new
    seconds = np.repeat(np.append(video.timeline.time_bounds[video.seen][keep], video.timeline.duration_s), 2)[1:-1]
    half = (HEIGHT - 62) / 2
    panels = []
    for row, (values, title, colour) in enumerate(
        ((video.shift_ratio[keep], "r_t", "var(--curve)"), (video.motion[keep], name, "var(--event)"))
    ):
        box = (LEFT, 10.0 + row * (half + 10), WIDTH - LEFT - RIGHT, half)
        last = row == 1
        panel = Panel(
            (0.0, video.timeline.duration_s),
            span_of(values),
            "time" if last else "",
            title,
            box,
            clock=True,
            x_ticks=last,
        )
        for start, end in video.truth:
            panel.band(start, end, f"true event {clock(start)}–{clock(end)}")
        panel.curve(seconds, np.repeat(values, 2), colour, 1.7)
        panels.append(panel)
    return drawing(f"r_t and {name} over time in {video.name}, the true event shaded", panels)
