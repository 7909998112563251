"""A graph written as ONNX, OpenVINO or TorchScript; each the same bytes from the same weights."""

import importlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from refinevad.errors import InputError

Array = Shaped[np.ndarray, "..."]
Run = Callable[[Mapping[str, Array]], dict[str, Array]]
FORMATS = ("onnx", "openvino", "torchscript")
OPSET = 17
_SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
_CANNOT = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)


def package(module: str, extra: str) -> Any:
    """An installed package. Raises InputError that says what to install otherwise."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise InputError(f"exports need the Python package {name}; pip install 'refinevad[{extra}]'") from error


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
    package("onnx", "video")
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
    openvino = package("openvino", "openvino")
    try:
        model = openvino.convert_model(str(onnx))
        for place, node in enumerate(model.get_ordered_ops()):
            if node.get_type_name() not in ("Parameter", "Result"):
                # by place: its own are counted on from whatever was converted before
                node.set_friendly_name(f"{node.get_type_name()}_{place}")
        openvino.save_model(model, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        raise InputError(f"{what} cannot be exported to openvino: {_first_line(error)}") from error


def open_graph(path: Path, form: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """What runs a graph that was written: every input by its name in, every output by its name out.

    Raises:
        InputError: the package that runs this form is missing.
    """
    if form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch tells of another form that is to come
            traced: Any = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

        def run(given: Mapping[str, Array]) -> dict[str, Array]:
            found = traced(*(torch.from_numpy(given[name]) for name in inputs))
            parts = found if isinstance(found, tuple) else (found,)
            return dict(zip(outputs, (part.numpy() for part in parts), strict=True))

        return run
    if form == "openvino":
        openvino = package("openvino", "openvino")
        # its default on processors that know bfloat16 would be less exact
        compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

        def infer(given: Mapping[str, Array]) -> dict[str, Array]:
            found = compiled(dict(given))
            return {name: np.array(found[name]) for name in outputs}

        return infer
    runtime = package("onnxruntime", "video")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session: Any = runtime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    return lambda given: dict(zip(outputs, session.run(list(outputs), dict(given)), strict=True))


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
