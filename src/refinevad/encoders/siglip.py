"""SigLIP and SigLIP 2 image features, one vector a segment: `siglip:<hub id or folder>`.

Zhai et al., ICCV 2023; Tschannen et al., 2025 (its checkpoints of a fixed size; those of free size, `naflex`, are
refused). A segment's vector is the mean of the L2-normalised image embeddings of its frames.
"""

from typing import Any

from torch import Tensor

from refinevad.encoders import hub
from refinevad.encoders.networks import PictureEncoder
from refinevad.encoders.pictures import HALF, Preprocessing

SIGLIP = Preprocessing(edge=None, size=(224, 224), crop=None, mean=HALF, std=HALF)


class SiglipEncoder(PictureEncoder):
    """Frozen SigLIP image tower with its attention pooling."""

    kind = "siglip"
    two_sided = "SiglipModel"

    def load(self) -> tuple[Any, Preprocessing]:
        library = hub.transformers("siglip")
        hub.require_kind(self.source, "siglip", ("siglip", "siglip_vision_model"))
        network = hub.pretrained(library.SiglipVisionModel, self.source, "SigLIP")
        return network, SIGLIP.told(hub.picture_settings(self.source), "SigLIP")

    def measure(self) -> int:
        return int(self.network.config.hidden_size)

    def embed(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.network(pixel_values=pixels).pooler_output
        return found
