"""DINOv2 and DINOv3 image features, one vector a segment: `dino:<hub id or folder>`.

Oquab et al., 2023; Simeoni et al., 2025. Trained without words: there is no text side. A segment's vector is the mean
over its frames of the class token behind the last normalisation.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor

from refinevad.encoders import hub
from refinevad.encoders.networks import PictureEncoder
from refinevad.encoders.pictures import BILINEAR, IMAGENET_MEAN, IMAGENET_STD, Preprocessing

DINOV2 = Preprocessing(edge=256, crop=(224, 224), mean=IMAGENET_MEAN, std=IMAGENET_STD)
DINOV3 = replace(DINOV2, edge=None, size=(224, 224), crop=None, resample=BILINEAR, unrounded=True)
NETWORKS = {
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
}


class DinoEncoder(PictureEncoder):
    """Frozen DINO image network."""

    kind = "dino"
    unit = False

    def load(self) -> tuple[Any, Preprocessing]:
        library = hub.transformers("dino")
        family = hub.require_kind(self.source, "dino", NETWORKS)
        network = hub.pretrained(getattr(library, NETWORKS[family]), self.source, "DINO")
        usual = DINOV3 if family == "dinov3_vit" else DINOV2
        return network, usual.told(hub.picture_settings(self.source), "DINO")

    def measure(self) -> int:
        return int(self.network.config.hidden_size)

    def embed(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.network(pixel_values=pixels).pooler_output
        return found
