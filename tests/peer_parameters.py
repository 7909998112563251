"""Trainable numbers of each head at its paper's feature size, beside the published count, where one was found."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from refinevad.peers.choice import open_head

UCF_CRIME_CATEGORIES = 13


@dataclass(frozen=True)
class PublishedCount:
    """A head's size as published.

    Attributes:
        channels: of the features the paper uses.
        millions: parameters; none where no paper that could be read states them.
        source: who states them.
    """

    channels: int
    millions: float | None
    source: str


PUBLISHED: Mapping[str, PublishedCount] = {
    "sultani": PublishedCount(4096, None, "not stated (C3D)"),
    "rtfm": PublishedCount(
        2048, 24.72, "arXiv 2310.05330, from memory; its abstract agrees: its 0.14 M are 0.56 % of RTFM (I3D)"
    ),
    "ur_dmu": PublishedCount(1024, None, "not stated (I3D)"),
    "bn_wvad": PublishedCount(1024, None, "not stated (I3D)"),
    "vadclip": PublishedCount(512, None, "not stated (CLIP ViT-B/16)"),
    "transformer_mil": PublishedCount(512, None, "no paper (CLIP ViT-B/16's size)"),
}


@dataclass(frozen=True)
class ParameterCount:
    """Ours beside the published."""

    head: str
    ours: int
    published: PublishedCount


def trainable(module: nn.Module) -> int:
    """How many numbers training moves."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def parameter_counts() -> list[ParameterCount]:
    """Every head with its defaults, at its paper's feature size and UCF-Crime's 13 categories."""
    categories = tuple(f"category {i}" for i in range(UCF_CRIME_CATEGORIES))
    counts = []
    for name, published in PUBLISHED.items():
        # VadCLIP gets its class embeddings from CLIP's text encoder
        options = {"text_channels": published.channels} if name == "vadclip" else {}
        counts.append(
            ParameterCount(name, trainable(open_head(name, published.channels, categories, **options)), published)
        )
    return counts
