"""A graph written as ONNX, OpenVINO or TorchScript; each the same bytes from the same weights."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import jaxtyping
import torch
from torch import Tensor, nn

from refinevad.encoders.inference import require
from refinevad.errors import InputError

FORMATS = ("onnx", "openvino", "torchscript")
OPSET = 17
_SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
_CANNOT = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)


def file_of(stem: str, form: str) -> str:
    """The file that programs open; OpenVINO's weights lie beside it in `<stem>.bin`."""
    return f"{stem}{_SUFFIX[form]}"


def write_graph(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    axes: Mapping[str, Sequence[str]],
    inputs: Sequence[str],
    form: str,
    path: Path,
    what: str,
) -> None:
    """Write a graph, whose names of inputs and outputs are those of `axes`, in order.

    Args:
        example: what the graph is traced with; axes whose names are in `DYNAMIC` may have any length afterwards.
        axes: the name of each axis of each input and output.
        what: the graph's name in sentences.

    Raises:
        InputError: it cannot be written in this form, or a package is missing.
    """
    if form == "torchscript":
        with tracing(what, form):
            traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(traced, str(path))
        return
    onnx = path if form == "onnx" else path.with_suffix(".onnx")
    _write_onnx(graph, example, axes, inputs, onnx, what)
    if form == "openvino":
        to_openvino(onnx, path, what)
        onnx.unlink()


DYNAMIC = ("window", "segment", "frame", "step", "picture", "clip")


def _write_onnx(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    axes: Mapping[str, Sequence[str]],
    inputs: Sequence[str],
    path: Path,
    what: str,
) -> None:
    require("onnx", "'refinevad[video]'")
    dynamic = {
        name: {place: axis for place, axis in enumerate(names) if axis in DYNAMIC} for name, names in axes.items()
    }
    with tracing(what, "onnx"):
        torch.onnx.export(
            graph,
            example,
            str(path),
            input_names=list(inputs),
            output_names=[name for name in axes if name not in inputs],
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,  # the newer exporter needs one more dependency
        )


def to_openvino(onnx: Path, path: Path, what: str) -> None:
    """The same graph as OpenVINO keeps it. Raises InputError where OpenVINO is missing or does not know it."""
    try:
        openvino: Any = require("openvino", "'refinevad[openvino]'")
    except InputError as error:
        raise InputError(f"exporting to openvino needs it: {error}") from error
    try:
        model = openvino.convert_model(str(onnx))
        for place, node in enumerate(model.get_ordered_ops()):
            if node.get_type_name() not in ("Parameter", "Result"):
                # by place: its own are counted on from whatever was converted before
                node.set_friendly_name(f"{node.get_type_name()}_{place}")
        openvino.save_model(model, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        raise InputError(f"{what} cannot be exported to openvino: {_first_line(error)}") from error


@contextmanager
def tracing(what: str, form: str) -> Iterator[None]:
    """Without remarks, and without the checks of shapes that a development tool may have switched on.

    Raises:
        InputError: the exporter knows some operation of the graph not.
    """
    checked = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)  # sizes are graph nodes here, not numbers
    exporter: Any = torch.onnx
    for name, symbol in _SYMBOLS.items():
        exporter.register_custom_op_symbolic(name, symbol, OPSET)
    try:
        # the exporter prints the whole graph where it fails
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # of constants it took, which the tests of parity look after
            yield
    except _CANNOT as error:
        raise InputError(f"{what} cannot be exported to {form}: {_first_line(error)}") from error
    finally:
        for name in _SYMBOLS:
            exporter.unregister_custom_op_symbolic(name, OPSET)
        jaxtyping.config.update("jaxtyping_disable", checked)


def _transposed(graph: Any, value: Any) -> Any:
    rank = value.type().dim()
    return graph.op("Transpose", value, perm_i=[*range(rank - 2), rank - 1, rank - 2])


@torch.onnx.symbolic_helper.parse_args("v", "is", "i")
def _log_sum_exp(graph: Any, value: Any, axes: list[int], keep: int) -> Any:
    """In parts: OpenVINO reads ONNX's own as one over all axes."""
    most = graph.op("ReduceMax", value, axes_i=axes, keepdims_i=1)
    axis = graph.op("Constant", value_t=torch.tensor(axes))
    total = graph.op("ReduceSum", graph.op("Exp", graph.op("Sub", value, most)), axis, keepdims_i=1)
    found = graph.op("Add", graph.op("Log", total), most)
    return found if keep else graph.op("Squeeze", found, axis)


# what the exporter does not know, or says in a way that not every program reads
_SYMBOLS = {"aten::mT": _transposed, "aten::logsumexp": _log_sum_exp}


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
