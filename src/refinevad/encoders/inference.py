"""An exported network, opened for use: by ONNX Runtime, or by OpenVINO where that is installed. One thread a call.

Several threads may call at once: who has many frames shares them out (`cores.call_all`), which keeps every core busy
over the small layers too, and makes a frame's numbers independent of how many threads there are.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from refinevad.errors import InputError

Frames = UInt8[np.ndarray, "frame height width 3"]
Run = Callable[[Frames], list[Float[np.ndarray, "frame ..."]]]


def open_onnxruntime(path: Path, outputs: Sequence[str], threads: int = 1) -> Run:
    """Raises InputError where ONNX Runtime is not installed."""
    runtime = require("onnxruntime", "'refinevad[video]'")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session: Any = runtime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    return lambda frames: list(session.run(list(outputs), {"frames": frames}))


def open_openvino(path: Path, outputs: Sequence[str], threads: int = 1) -> Run:
    """The same file, compiled for this processor. Raises InputError where OpenVINO is not installed."""
    openvino = require("openvino", "'refinevad[openvino]'")
    # its default on processors that know bfloat16 would be less exact than the name says
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    compiled: Any = openvino.Core().compile_model(str(path), "CPU", options)

    def run(frames: Frames) -> list[Float[np.ndarray, "frame ..."]]:
        found = compiled.create_infer_request().infer({"frames": frames})
        return [np.array(found[name]) for name in outputs]  # its own memory goes back to OpenVINO

    return run


def require(module: str, source: str) -> ModuleType:
    """An installed package; InputError that says what to install otherwise."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.replace("_", "-")
        raise InputError(f"the lite encoders need the Python package {package}; pip install {source}") from error
