"""A published head in RefineVAD's place: the same channels, standardisation, tokens and smoothing, another head.

What is about the features rather than the head is here, so that heads differ in nothing else. A Contender is trained,
saved and scored as RefineVAD is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor

from refinevad.evidence import Prompts
from refinevad.files.options import check_options
from refinevad.input_ranges import Empty, InputRanges, as_ranges
from refinevad.peers.base import HeadOutput
from refinevad.peers.choice import head_classes, open_head
from refinevad.ridge import CLIP, LINEAR, SMOOTHING, Ridge
from refinevad.segment_model import ModelConfig, Objective, SegmentModel
from refinevad.smoothing import smooth
from refinevad.standardising import channel_statistics, standardised

_AT_LEAST = {"channels": 1, "input_clip": 0, "smoothing": 0, "relative_smoothing": 0}


@dataclass(frozen=True)
class ContenderConfig(InputRanges):
    """A head by name, and the options about features that it shares with RefineVAD.

    Attributes:
        head: the head's name.
        options: the head's own options; its paper's defaults where not given.
        video_weight: share of the video's mean logit in each segment's score.
        the others: as in RefineVADConfig.
    """

    channels: int
    categories: tuple[str, ...]
    head: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[tuple[int, int], ...] = ()
    input_clip: float = 0.0
    merge_runs: bool = False
    empty: Empty = "zero"
    smoothing: int = 0
    relative_smoothing: float = 0.0
    video_weight: float = 0.0
    direct: ClassVar[bool] = False  # no path beside the head
    compares_videos: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises InputError for a choice that does not exist; the head's own are checked when it is built."""
        check_options("model", type(self), vars(self), _AT_LEAST)
        self.check_inputs()

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "categories": list(self.categories),
            "options": dict(self.options),
            "inputs": [list(span) for span in self.inputs],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ContenderConfig":
        """Raises InputError for a name this version does not know, or a value of another kind."""
        check_options("model", cls, values, _AT_LEAST)
        inputs = as_ranges(values.get("inputs", ()))
        return cls(**{**values, "categories": tuple(values["categories"]), "inputs": inputs})

    @property
    def fitted(self) -> bool:
        return self.head == LINEAR

    @property
    def k_divisor(self) -> object:
        return self.options.get("k_divisor")

    @property
    def layers_each(self) -> tuple[object, ...]:
        return (self.options.get("layers", 0), self.options.get("shift_layers", 0))

    @property
    def own_paths(self) -> dict[str, str]:
        return {"refined": f"{self.head} head"}


@dataclass(frozen=True)
class ContenderOutput:
    """What one pass yields, by the names scoring knows, and what the head's own loss needs.

    Attributes:
        logits: anomaly logit of each segment, averaged over time as `smoothing` says.
        share_logits: logits of a segment's share among categories; equal where the head names none.
        presence: the largest score of each category in the video.
        shift_ratio, video_evidence: 0 everywhere: what RefineVAD alone has.
        head: the head's output, with the averaged logits.
    """

    logits: Float[Tensor, "video segment"]
    share_logits: Float[Tensor, "video segment category"]
    presence: Float[Tensor, "video category"]
    shift_ratio: Float[Tensor, "video segment"]
    video_evidence: Float[Tensor, "video"]
    head: HeadOutput


class Contender(SegmentModel):
    """Segments of videos in, a score for each out, by a published head."""

    config: ContenderConfig
    selected: Tensor
    input_scale: Tensor

    def __init__(self, config: ContenderConfig) -> None:
        super().__init__()
        self.config = config
        self.head = open_head(config.head, len(config.selected), config.categories, **config.options)
        self.register_buffer("selected", torch.tensor(config.selected), persistent=False)
        self.register_buffer("input_mean", torch.zeros(len(config.selected)))
        self.register_buffer("input_scale", torch.ones(len(config.selected)))

    @torch.no_grad()
    def fit_statistics(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        prompts: Prompts | None = None,
    ) -> None:
        """Set the input's mean and spread from training videos, and the class embeddings of a head that takes text."""
        if prompts is not None:
            owner = torch.tensor(prompts.owner)
            normal = len(self.config.categories)
            of_class = [prompts.vectors[owner == place].mean(0) for place in (normal, *range(normal))]
            self.head.fit_text(F.normalize(torch.stack(of_class), dim=-1))
        mean, scale = channel_statistics(x, mask, self.selected)
        self.input_mean.copy_(mean)
        self.input_scale.copy_(scale)

    def forward(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        labels: Float[Tensor, "video category"] | None = None,
    ) -> ContenderOutput:
        """Score padded videos; `labels` are for models that use them in training, which no published head does."""
        standard = standardised(x[..., self.selected], self.input_mean, self.input_scale, self.config.input_clip)
        output = self.head(torch.where(mask[..., None], standard, torch.zeros_like(standard)), mask)
        half = self.config.smoothing
        logits = smooth(output.logits[..., None], mask, half).squeeze(-1)
        named = output.category_logits
        named = None if named is None else smooth(named, mask, half)
        shares = logits.new_zeros(*mask.shape, len(self.config.categories)) if named is None else named
        scores = torch.sigmoid(logits)[..., None] * shares.softmax(-1) * mask[..., None]
        output = replace(output, logits=logits, category_logits=named)
        nothing = torch.zeros_like(logits)
        return ContenderOutput(logits, shares, scores.amax(1), nothing, nothing[:, 0], output)

    @property
    def inverse_penalty(self) -> float:
        """As its head's option says."""
        return float(self.config.options.get("inverse_penalty", 0.0))

    @torch.no_grad()
    def take(self, ridge: Ridge) -> None:
        """Take over a ridge fitted to the channels looked at."""
        self.head.take(ridge)
        self.input_mean.copy_(torch.from_numpy(ridge.mean))
        self.input_scale.copy_(torch.from_numpy(ridge.scale))

    def losses(
        self,
        output: ContenderOutput,
        labels: Float[Tensor, "video category"],
        mask: Bool[Tensor, "video segment"],
        objective: Objective | None = None,
    ) -> dict[str, Tensor]:
        """The head's own weighted terms by name, as its paper weighs them."""
        return self.head.loss(output.head, labels, mask)


def head_options(name: str) -> set[str]:
    """Names of a head's own options. Raises InputError for a name that is no head."""
    return {field.name for field in fields(head_classes(name)[0])}


def ridge_config(config: ModelConfig) -> ContenderConfig:
    """The ridge control on another model's channels, categories and tokens.

    How far it clips and averages is part of what it is, whatever the other model does. A token of merged runs is not
    averaged with the next, which may lie a minute away; what the other model does to a whole video's curve
    (`relative_smoothing`, `video_weight`), the control does too.
    """
    own = config.options if isinstance(config, ContenderConfig) and config.fitted else {}
    return ContenderConfig(
        channels=config.channels,
        categories=config.categories,
        head=LINEAR,
        options=dict(own),
        inputs=config.inputs,
        input_clip=CLIP,
        merge_runs=config.merge_runs,
        empty=config.empty,
        smoothing=0 if config.merge_runs else SMOOTHING,
        relative_smoothing=config.relative_smoothing,
        video_weight=config.video_weight,
    )
