"""What everything that scores segments is, RefineVAD (model.py) or another head in its place (contender.py).

Scoring, checkpoints, training and evaluation know this much of a model and nothing more; which one a RUN holds is told
by its configuration alone (model_choice.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.evidence import Prompts, RidgeEvidence
from refinevad.input_ranges import Empty, Ranges
from refinevad.ridge import Ridge

PATHS = ("base", "direct", "refined", "prompts", "video")  # what a logit is the sum of (paths.py)
Objective = Callable[[Any], dict[str, Tensor]]  # a batch's output -> each weighted term of its loss by name


def normal_rows(rows: int, width: int, factor: float = 1.0, divisor: float = 1.0) -> Float[Tensor, "row width"]:
    """Rows to begin training with: `torch.randn(rows, width) * factor / divisor`, to the bit.

    On the meta device they are laid out alone: there randn and a division import torch's compiler, a second of CPU at
    every start.
    """
    empty = torch.empty(rows, width)
    return empty if empty.is_meta else torch.randn(rows, width) * factor / divisor


@runtime_checkable
class ModelConfig(Protocol):
    """A model's options, as a RUN keeps them. All are read alone.

    Attributes:
        head: what the model is called: `RefineVAD`, or the name of another head.
        channels, categories, inputs, merge_runs: what it takes and names (input_ranges.py).
        selected: the channels that it looks at.
        made_for: what an encoder must make for it.
        empty, smoothing, relative_smoothing, video_weight: what is done to a video's curve (RefineVADConfig).
        direct: whether it weighs a whole video by `ModelOutput.video_evidence`; else by the mean of its logits.
        k_divisor: of top-k, where it is the model's option rather than its training's; None: it is not, or not given.
        fitted: whether it is fitted in one go; else it is trained, epoch by epoch.
        compares_videos: whether its loss compares the videos of a batch, which then cannot be split among processes.
        layers_each: how many layers each stack of them has, as the options say it.
        own_paths: the paths that its logits come by, of `PATHS`, and what each is called.
    """

    @property
    def head(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def categories(self) -> tuple[str, ...]: ...
    @property
    def inputs(self) -> Ranges: ...
    @property
    def merge_runs(self) -> bool: ...
    @property
    def selected(self) -> list[int]: ...
    @property
    def made_for(self) -> Ranges: ...
    @property
    def empty(self) -> Empty: ...
    @property
    def smoothing(self) -> int: ...
    @property
    def relative_smoothing(self) -> float: ...
    @property
    def video_weight(self) -> float: ...
    @property
    def direct(self) -> bool: ...
    @property
    def k_divisor(self) -> object: ...
    @property
    def fitted(self) -> bool: ...
    @property
    def compares_videos(self) -> bool: ...
    @property
    def layers_each(self) -> tuple[object, ...]: ...
    @property
    def own_paths(self) -> dict[str, str]: ...

    def as_dict(self) -> dict[str, Any]:
        """As JSON keeps it; `model_choice.open_config` reads it back."""
        ...


@runtime_checkable
class ModelOutput(Protocol):
    """What one pass over padded videos yields, by the names that scoring knows. Padded segments hold 0.

    Attributes:
        logits: anomaly logit of each segment.
        share_logits: logits of a segment's share among the categories.
        presence: probability that a category occurs in the video.
        shift_ratio: r_t of MoTAR; 0 where there is none.
        video_evidence: log-odds that the video holds any category; 0 of a model without evidence of its own (`direct`).
    """

    @property
    def logits(self) -> Float[Tensor, "video segment"]: ...
    @property
    def share_logits(self) -> Float[Tensor, "video segment category"]: ...
    @property
    def presence(self) -> Float[Tensor, "video category"]: ...
    @property
    def shift_ratio(self) -> Float[Tensor, "video segment"]: ...
    @property
    def video_evidence(self) -> Float[Tensor, "video"]: ...


class SegmentModel(nn.Module, ABC):
    """Segments of videos in, a score for each out. What a checkpoint keeps of it is its configuration and state dict.

    A video scores the same alone, padded, and beside any neighbour; in training BatchNorm may not. The outputs that
    `losses`, `path_logits` and `match_outputs` are handed are those that this model's own `forward` gave.

    Attributes:
        input_mean: of each channel looked at, over the training segments.
        trained_in_windows: whether its output can be put together from windows (training/windowed.py).
    """

    config: ModelConfig
    input_mean: Tensor
    trained_in_windows = False

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        labels: Float[Tensor, "video category"] | None = None,
    ) -> ModelOutput:
        """Score padded videos; `mask` is true on real segments, of which each video needs at least one.

        `labels` are used in training alone, by models that see them.
        """

    @abstractmethod
    def fit_statistics(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        prompts: Prompts | None = None,
    ) -> None:
        """Take from training videos what is not learnt step by step: means, spreads, and the prompts."""

    @abstractmethod
    def losses(
        self,
        output: Any,
        labels: Float[Tensor, "video category"],
        mask: Bool[Tensor, "video segment"],
        objective: Objective,
    ) -> dict[str, Tensor]:
        """Each weighted term of the loss by name; their sum is minimised.

        `objective`: that of the recipe, for a model whose loss the recipe chooses; a published head has its paper's.
        """

    def path_logits(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], output: Any
    ) -> Float[Tensor, "video segment path"]:
        """The summands of `output.logits`, which is this model's of `x` in eval mode; in the order of `PATHS`, float64.

        `video` is 0: scoring adds it to a whole window (scores.py). By default the head is the one path.
        """
        return torch.stack([output.logits * (name == "refined") for name in PATHS], dim=-1).double()

    @property
    def inverse_penalty(self) -> float:
        """C of a model that is fitted in one go (`ModelConfig.fitted`); 0: the one for its channels."""
        return 0.0

    def take(self, ridge: Ridge) -> None:
        """Take over a ridge fitted to the channels looked at. Raises TypeError of a model that is trained."""
        raise TypeError(f"{self.config.head} is trained, not fitted")

    @property
    def undecided(self) -> float:
        """The logit of a segment of which nothing is known."""
        return 0.0

    @property
    def fitted_path(self) -> RidgeEvidence | None:
        """A path fitted before training and brought to one scale with the others after it; None: it has none."""
        return None

    @property
    def matched(self) -> bool:
        """Whether its paths were brought to one scale (`match_outputs`)."""
        return False

    @property
    def logit_scale(self) -> tuple[float, float] | None:
        """(mean, spread) that its logits are brought to over the training segments; None: they are not."""
        return None

    def match_outputs(self, passes: Iterable[tuple[Any, Bool[Tensor, "video segment"]]]) -> None:
        """Bring its paths to one scale by its outputs of training videos, with their masks; if it has a fitted one."""

    def direct_parameters(self) -> Iterable[nn.Parameter]:
        """Those that have a learning rate of their own: the direct path's."""
        return ()
