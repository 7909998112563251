"""EfficientNet-Lite in torch: the slow oracle of `EfficientNet`, and what is exported for it."""

import warnings
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8

from refinevad.encoders.efficientnet_weights import OUTPUTS, PIXEL_MEAN, PIXEL_SCALE, Variant, source_of, weights_path
from refinevad.encoders.inference import require
from refinevad.files.whole import atomic_write


class FeatureNetwork(torch.nn.Module):
    """The eager network's two outputs."""

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
    library = require("efficientnet_lite_pytorch", source_of("efficientnet_lite_pytorch"))
    network = library.EfficientNet.from_name(variant.network)
    network.load_state_dict(torch.load(weights_path(variant), map_location="cpu", weights_only=True))
    return FeatureNetwork(network).eval()


def export(variant: Variant, path: Path) -> None:
    """Write the network as ONNX.

    Raises:
        InputError: a package is not installed, or `path` cannot be written.
    """
    example = torch.zeros((1, variant.side, variant.side, 3), dtype=torch.uint8)
    with atomic_write(path) as partial, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its retirement at length
        torch.onnx.export(
            load_eager(variant),
            (example,),
            str(partial),
            input_names=["frames"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "frame"} for name in ("frames", *OUTPUTS)},
            opset_version=17,
            dynamo=False,  # the newer exporter needs one more dependency
        )
