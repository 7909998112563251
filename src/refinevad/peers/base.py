"""What every head is: segments of padded videos in, a logit for each out, and the loss its paper trains it with."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.errors import InputError
from refinevad.files.options import check_options
from refinevad.ridge import Ridge
from refinevad.standardising import channel_statistics, standardised

ConfigT = TypeVar("ConfigT", bound="HeadConfig")
_AT_LEAST = {
    "channels": 1,
    "width": 0,
    "hidden": 1,
    "bottleneck": 1,
    "layers": 0,
    "heads": 1,
    "dropout": 0,
    "k_divisor": 1,
    "bag": 1,
    "memory": 1,
    "window": 1,
    "prompts": 0,
    "text_channels": 0,
    "margin": 0,
    "inverse_penalty": 0,
}


@dataclass(frozen=True)
class HeadConfig:
    """Sizes and weights of one head; subclasses add their own, with their paper's values as defaults.

    Attributes:
        channels: numbers a segment.
        categories: names of the anomaly categories, in the order of the labels.
    """

    channels: int
    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises InputError for a choice that does not exist or a size that cannot be built."""
        check_options("head", type(self), vars(self), _AT_LEAST)
        if not self.categories or not all(isinstance(name, str) for name in self.categories):
            raise InputError(f"a head needs the names of its anomaly categories: got {self.categories}")
        values = vars(self)
        if not values.get("dropout", 0) < 1:
            raise InputError(f"head option dropout must be below 1: got {values['dropout']}")
        if "heads" in values and (values["width"] < 1 or values["width"] % values["heads"]):
            raise InputError(f"width {values['width']} does not divide into {values['heads']} heads")

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "categories": list(self.categories)}

    @classmethod
    def from_dict(cls: type[ConfigT], values: dict[str, Any]) -> ConfigT:
        """Raises InputError for a name this head does not know, or a value of another kind."""
        check_options("head", cls, values, _AT_LEAST)
        return cls(**{**values, "categories": tuple(values["categories"])})


@dataclass(frozen=True)
class HeadOutput:
    """What one pass of a head yields. Padded segments hold 0 in both. Subclasses carry what their loss needs.

    Attributes:
        logits: anomaly logit of each segment.
        category_logits: logit of each category in each segment, of heads that name categories.
    """

    logits: Float[Tensor, "video segment"]
    category_logits: Float[Tensor, "video segment category"] | None

    @property
    def scores(self) -> Float[Tensor, "video segment"]:
        """Anomaly score of each segment, in [0, 1]."""
        return torch.sigmoid(self.logits)


OutputT = TypeVar("OutputT", bound=HeadOutput)


class Head(nn.Module, ABC, Generic[OutputT]):
    """A published head. A video scores the same alone, padded, and beside any neighbour; in training BatchNorm may not.

    Papers feed raw features. `fit_statistics` lets every head see what RefineVAD sees: channels of mean 0 and spread 1.
    """

    input_mean: Tensor
    input_scale: Tensor

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(config.channels))
        self.register_buffer("input_scale", torch.ones(config.channels))

    @torch.no_grad()
    def fit_statistics(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> None:
        """Standardise the input from now on with the mean and spread of these videos' real segments."""
        mean, scale = channel_statistics(x, mask, torch.arange(x.shape[-1], device=x.device))
        self.input_mean.copy_(mean)
        self.input_scale.copy_(scale)

    def fit_text(self, embeddings: Float[Tensor, "class channel"]) -> None:
        """Take embeddings of the classes, normal first. A head that reads no text does nothing."""

    def take(self, ridge: Ridge) -> None:
        """Take over a fitted ridge. Raises TypeError of a head that is trained."""
        raise TypeError(f"{type(self).__name__} is trained, not fitted")

    def forward(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> OutputT:
        """Score padded videos; `mask` is true on real segments, of which each video needs at least one."""
        real = mask[..., None]
        # where, not a product: what lies in the padding may be infinite
        standard = torch.where(real, standardised(x, self.input_mean, self.input_scale), torch.zeros_like(x))
        return self.score(standard, mask)

    @abstractmethod
    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> OutputT:
        """The head itself; `x` is 0 where padded."""

    @abstractmethod
    def loss(
        self, output: OutputT, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """Each weighted term by name; their sum is minimised.

        `labels` are 1 for each anomaly category a video holds; a row of zeros is a normal video. A term that compares
        normal with anomalous videos is 0 where a batch has only one kind.
        """


def is_anomalous(labels: Float[Tensor, "video category"]) -> Bool[Tensor, "video"]:
    """Which videos hold any anomaly."""
    return labels.sum(-1) > 0
