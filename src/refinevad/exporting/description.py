"""model.json: what surrounds an exported graph, from a segment's rule to an event's end (docs/formats.md, Exports)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import refinevad
from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import is_lite
from refinevad.encoders.lite import GRAY_HZ, GRAY_LONG_SIDE, RGB_FRAMES
from refinevad.encoders.motion_descriptors import DESCRIPTORS, GRID_LONG_SIDE, UNIT_LONG_SIDE, UNIT_S
from refinevad.exporting.formats import OPSET
from refinevad.exporting.graph import AXES, INPUT, OUTPUTS
from refinevad.exporting.pictures import PictureGraph
from refinevad.scoring.events import EventRule
from refinevad.scoring.scores import SMOOTHING_LEAST, SMOOTHING_MOST
from refinevad.scoring.windows import MOST_SEGMENTS, OVERLAP
from refinevad.video.stamps import HOLE_S

SCHEMA_VERSION = 1
KIND = "refinevad export"

_LITE_STEPS = (
    f"colour: {RGB_FRAMES} frames of the segment, evenly spaced in time, scaled to the network's size, RGB, 0 to 255",
    f"grey: every n-th frame's luma, n nearest to the rate over {GRAY_HZ} a second, long side {GRAY_LONG_SIDE}; the "
    "last grey frame of the segment before goes in front",
    "cuts: a pair of grey frames whose mean difference towers above the segment's others (encoders/motion.py: "
    "find_cuts); pairs at a cut are not used",
    "flow: dense inverse search of OpenCV (DISOPTICAL_FLOW_PRESET_FAST) between neighbouring grey frames, averaged "
    f"over a grid {GRID_LONG_SIDE} cells long, in pixels of a picture {UNIT_LONG_SIDE:g} long in {UNIT_S} s, less the "
    "field's median",
    f"motion: {DESCRIPTORS} descriptors of each pair (encoders/motion_descriptors.py); over the pairs their mean, "
    "deviation and the mean of the largest fifth",
    "frame_difference: mean absolute grey difference of neighbouring frames, per 1/25 s",
    "appearance and change: the picture graph, where there is one",
)


def describe(
    checkpoint: Checkpoint, form: str, quantised: bool, picture: PictureGraph | None, why_not: str
) -> dict[str, Any]:
    """The content of model.json but for its `files`."""
    config = checkpoint.model.config
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "format": form,
        "opset": None if form == "torchscript" else OPSET,
        "quantised": quantised,
        "refinevad": refinevad.__version__,
        "head": config.head,
        "categories": list(config.categories),
        "segments": _segments(checkpoint),
        "encoder": _encoder(checkpoint, picture, why_not),
        "graph": _graph(checkpoint),
        "standardisation": _standardisation(checkpoint),
        "smoothing": _smoothing(config),
        "window": _window(checkpoint),
        "events": _events(checkpoint),
        "video_score": {"k_divisor": checkpoint.k_divisor},
    }


def _segments(checkpoint: Checkpoint) -> dict[str, Any]:
    return {**checkpoint.segment_rule.as_dict(), "after_hole_s": HOLE_S}


def _encoder(checkpoint: Checkpoint, picture: PictureGraph | None, why_not: str) -> dict[str, Any]:
    identity = checkpoint.signature["encoder"]
    graph = None
    if picture is not None:
        graph = {
            "inputs": {name: list(picture.axes[name]) for name in picture.inputs},
            "outputs": {name: list(axes) for name, axes in picture.axes.items() if name not in picture.inputs},
            "channels": {name: list(span) for name, span in picture.channels.items()},
        }
    steps = _LITE_STEPS if is_lite(checkpoint.encoder) else ()
    return {"word": checkpoint.encoder, **identity, "steps": list(steps), "picture_graph": graph, "why_none": why_not}


def _graph(checkpoint: Checkpoint) -> dict[str, Any]:
    """Names, axes and kinds of the head's input and outputs."""
    config = checkpoint.model.config
    sizes: Mapping[str, int] = {"channel": config.channels, "category": len(config.categories)}

    def axes(name: str) -> Sequence[Any]:
        return [sizes.get(axis, axis) for axis in AXES[name]]

    return {
        "inputs": {INPUT: {"type": "float32", "axes": axes(INPUT)}},
        "outputs": {name: {"type": "float32", "axes": axes(name)} for name in OUTPUTS},
        "windows_at_once": 1 if config.merge_runs else None,
        "reads": [list(span) for span in config.inputs] or [[0, config.channels]],
    }


def _standardisation(checkpoint: Checkpoint) -> dict[str, Any]:
    model = checkpoint.model
    scale: Any = model.input_scale
    return {
        "inside": True,
        "mean": [float(value) for value in model.input_mean],
        "scale": [float(value) for value in scale],
        "clip": float(getattr(model.config, "input_clip", 0.0)),
    }


def _smoothing(config: Any) -> dict[str, Any]:
    return {
        "inside": True,
        "half_width": config.smoothing,
        "relative": config.relative_smoothing,
        "relative_least": SMOOTHING_LEAST,
        "relative_most": SMOOTHING_MOST,
        "video_weight": config.video_weight,
        "merge_runs": config.merge_runs,
    }


def _window(checkpoint: Checkpoint) -> dict[str, Any]:
    rule, live = checkpoint.window, checkpoint.window.live()
    return {
        "window_s": rule.window_s if math.isfinite(rule.window_s) else None,
        "delay_s": rule.delay_s if math.isfinite(rule.delay_s) else None,
        "live_window_s": live.window_s,
        "live_delay_s": live.delay_s,
        "most_segments": MOST_SEGMENTS,
        "overlap": 1 / OVERLAP,
    }


def _events(checkpoint: Checkpoint) -> dict[str, Any]:
    calibration, rule = checkpoint.calibration, EventRule.of(checkpoint.calibration)
    return {
        "threshold": rule.threshold,
        "low_threshold": rule.low_threshold,
        "min_s": rule.min_s,
        "merge_gap_s": rule.merge_gap_s,
        "alerts_per_hour": calibration.alerts_per_hour,
        "certified": calibration.certified,
    }
