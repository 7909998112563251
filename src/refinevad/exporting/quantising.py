"""A head in 8-bit integers: its larger matrices stored so, one scale a column, and multiplied so.

The direct path's numbers stay as they are: they are few, and a rounded one shows in every score.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from refinevad.errors import InputError
from refinevad.exporting.formats import package

_LEAST_WEIGHTS = 256  # of a matrix worth rounding
_DIRECT = "/evidence/"  # in the names of the direct path's nodes


def quantise(source: Path, target: Path, what: str) -> None:
    """Write an ONNX graph with its larger matrices in 8 bits.

    Raises:
        InputError: ONNX Runtime is missing, or there is no such matrix.
    """
    onnx = package("onnx", "video")
    tools = package("onnxruntime.quantization", "video")
    shape = package("onnxruntime.quantization.shape_inference", "video")
    with _quiet(), TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        shape.quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
        chosen = _large_products(onnx.load(str(folded)).graph)
        if not chosen:
            raise InputError(
                f"{what} has no matrix of {_LEAST_WEIGHTS} numbers to be rounded to 8 bits; leave --quantise out"
            )
        tools.quantize_dynamic(
            str(folded),
            str(target),
            nodes_to_quantize=chosen,
            per_channel=True,
            reduce_range=True,  # 7 bits: AVX2 adds pairs of 8-bit products in 16 bits, and saturates
            weight_type=tools.QuantType.QInt8,
        )


def _large_products(graph: Any) -> list[str]:
    """Names of the products with a fixed matrix, but for the direct path's."""
    sizes = {one.name: tuple(one.dims) for one in graph.initializer}
    found = []
    for node in graph.node:
        size = sizes.get(node.input[1], ()) if node.op_type in ("MatMul", "Gemm") else ()
        if len(size) == 2 and size[0] * size[1] >= _LEAST_WEIGHTS and _DIRECT not in node.name:
            found.append(node.name)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's recommendations."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
