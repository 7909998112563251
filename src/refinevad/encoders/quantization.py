"""An exported network in 8-bit integers: made on this machine from its float weights, calibrated on drawn pictures.

Nothing is downloaded and no footage is needed: the ranges of the activations come from dead leaves, discs that hide
each other, whose sizes follow a power law as in photographs (Lee, Mumford, Huang, "Occlusion models for natural
images", IJCV 2001). Weights have one scale a channel, activations one a tensor. ONNX Runtime and OpenVINO both run it.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import UInt8

from refinevad.encoders.inference import require
from refinevad.files.whole import atomic_write

CALIBRATION = 1  # raise it when the pictures or the settings change: older features are then refused
FRAMES, _BATCH = 48, 4
# The stem and the first depthwise convolutions stay float: with them cosine similarity to the float network's middle
# features was 0.85 on real footage, without 0.98, at no cost in time
_FLOAT_DEPTHWISE = 3


def dead_leaves(side: int, seed: int, leaves: int = 220) -> UInt8[np.ndarray, "side side 3"]:
    """Discs in front of each other: radii by r^-3 from 2 % to half the side, uniform colours, light noise."""
    rng = np.random.default_rng(seed)
    least, most = 0.02 * side, 0.5 * side
    share = rng.random(leaves)
    radii = 1 / np.sqrt((1 - share) / least**2 + share / most**2)
    middles = rng.random((leaves, 2)) * side
    contrast, light = rng.uniform(0.2, 1.0), rng.uniform(60.0, 190.0)
    colours = light + contrast * rng.uniform(-128.0, 128.0, (leaves, 3))
    picture = np.full((side, side, 3), light)
    rows, columns = np.mgrid[:side, :side]
    for (row, column), radius, colour in zip(middles, radii, colours, strict=True):
        picture[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = colour
    return np.clip(picture + rng.normal(0, rng.uniform(0, 8), picture.shape), 0, 255).round().astype(np.uint8)


def ensure_quantised(source: Path, side: int) -> Path:
    """Path of `source` in 8-bit integers, written beside it on the first call, which takes some seconds.

    Raises:
        InputError: a package is missing, or the folder cannot be written.
    """
    path = source.with_name(f"{source.stem}-int8-c{CALIBRATION}.onnx")
    if path.exists():
        return path
    quantization = require("onnxruntime.quantization", "'refinevad[video]'")
    with atomic_write(path) as partial, TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        quiet = logging.getLogger()
        level = quiet.level
        quiet.setLevel(logging.ERROR)  # it recommends steps that are done here
        try:
            _fold(source, folded)
            quantization.quantize_static(
                str(folded),
                str(partial),
                _reader(quantization.CalibrationDataReader, side),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Add"],
                nodes_to_exclude=_kept_in_float(folded),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                reduce_range=True,  # 7 bits: AVX2 adds pairs of 8-bit products in 16 bits, and saturates
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        finally:
            quiet.setLevel(level)
    return path


def _fold(source: Path, target: Path) -> None:
    """Constants folded and padding taken into the convolutions, so that nothing stands between two of them."""
    runtime = require("onnxruntime", "'refinevad[video]'")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    runtime.InferenceSession(str(source), sess_options=options, providers=["CPUExecutionProvider"])


def _kept_in_float(path: Path) -> list[str]:
    nodes = [
        node for node in require("onnx", "'refinevad[video]'").load(str(path)).graph.node if node.op_type == "Conv"
    ]
    depthwise = [node.name for node in nodes if any(a.name == "group" and a.i > 1 for a in node.attribute)]
    return [nodes[0].name, *depthwise[:_FLOAT_DEPTHWISE]]


def _reader(base: Any, side: int) -> Any:
    """ONNX Runtime's interface to calibration frames: batches, one a call, then None."""

    class Reader(base):
        def __init__(self) -> None:
            self.batches = _batches(side)

        def get_next(self) -> dict[str, UInt8[np.ndarray, "frame side side 3"]] | None:
            return next(self.batches, None)

    return Reader()


def _batches(side: int) -> Iterator[dict[str, UInt8[np.ndarray, "frame side side 3"]]]:
    for first in range(0, FRAMES, _BATCH):
        yield {"frames": np.stack([dead_leaves(side, seed) for seed in range(first, first + _BATCH)])}
