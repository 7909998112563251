"""A detection as a picture of matplotlib, which is no dependency of refinevad."""

from typing import Any

import numpy as np

from refinevad.detection.curve import drawn_curve
from refinevad.detection.findings import Findings
from refinevad.errors import InputError

_CURVE, _EVENT = "#2563a6", "#c2410c"  # as in the reports


def draw(detection: Findings, axes: Any = None) -> Any:
    """`Detection.plot`. Raises InputError where matplotlib is not installed."""
    if axes is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise InputError(f"a plot needs matplotlib ({error}); pip install matplotlib") from error
        _, axes = pyplot.subplots(figsize=(9, 2.6), layout="constrained")
    none = np.zeros((detection.timeline.segments, 0))
    curve = drawn_curve(detection.timeline, detection.scores, none)
    axes.plot(curve.x, curve.y, color=_CURVE, linewidth=1.2)
    axes.axhline(detection.threshold, color=_EVENT, linewidth=1, linestyle="--")
    for event in detection.events:
        axes.axvspan(event.start_s, event.end_s, color=_EVENT, alpha=0.15, linewidth=0)
        axes.annotate(
            event.category,
            (event.start_s, 1.0),
            xytext=(2, -2),
            textcoords="offset points",
            va="top",
            fontsize="small",
            color=_EVENT,
        )
    axes.set(xlim=(0, max(detection.duration_s, 1e-6)), ylim=(0, 1), xlabel="seconds", ylabel="score")
    axes.set_title(detection.video, fontsize="medium", loc="left")
    return axes
