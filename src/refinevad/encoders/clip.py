"""CLIP image features, one vector a segment: `clip:<hub id or folder>`.

Radford et al., ICML 2021; the paper's encoder is `openai/clip-vit-large-patch14`. A segment's vector is the mean of the
L2-normalised image embeddings of its frames.
"""

from typing import Any

from torch import Tensor

from refinevad.encoders import hub
from refinevad.encoders.networks import PictureEncoder
from refinevad.encoders.pictures import Preprocessing

CLIP = Preprocessing()  # of every checkpoint by OpenAI


class ClipEncoder(PictureEncoder):
    """Frozen CLIP image tower with its projection."""

    kind = "clip"
    two_sided = "CLIPModel"

    def load(self) -> tuple[Any, Preprocessing]:
        library = hub.transformers("clip", "clip")
        network = hub.pretrained(library.CLIPVisionModelWithProjection, self.source, "CLIP")
        return network, CLIP.told(hub.picture_settings(self.source), "CLIP")

    def measure(self) -> int:
        return int(self.network.config.projection_dim)

    def embed(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.network(pixel_values=pixels).image_embeds
        return found
