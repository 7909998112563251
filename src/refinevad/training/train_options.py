"""How a model is trained: what a recipe's `[train]` may say."""

from dataclasses import dataclass
from typing import Any, Literal

from refinevad.datasets.bag import Shortening
from refinevad.errors import InputError
from refinevad.files.options import check_options
from refinevad.scoring.windows import WHOLE, WindowRule
from refinevad.top_k import K_DIVISOR
from refinevad.training.precision import Precision

_AT_LEAST = {
    "seed": 0,
    "epochs": 1,
    "steps": 0,
    "cross_fit": 0,
    "teacher_rate": 0,
    "teacher_inheritance": 0,
    "lambda_pseudo": 0,
    "lambda_naming": 0,
    "batch": 2,
    "learning_rate": 0,
    "weight_decay": 0,
    "limit": 1,
    "window_s": 0,
    "delay_s": 0,
    "lambda_mil": 0,
    "lambda_gmm": 0,
    "lambda_inherit": 0,
    "direct_rate": 0,
    "lambda_category": 0,
    "lambda_posterior": 0,
    "k_divisor": 1,
    "averaging": 0,
    "patience": 1,
    "clip": 1e-9,
}


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained. Recipes state their own; these defaults are starting points, not measured ones.

    Attributes:
        lambda_mil: weight of L_MIL (the paper's 1).
        lambda_gmm, lambda_category: weights of L_GMM and L_cat (the paper's 0.1 and 0.2).
        lambda_posterior: weight of MIL on the per-segment category posterior (ours).
        lambda_inherit: weight of the direct path's loss, by which segments inherit their video's label (ours).
        lambda_pseudo, lambda_naming: weights of what the refined path learns from the direct one's surest segments:
            that something happens, and what (ours).
        teacher_rate: C of the linear model that is the direct path, as a multiple of the ridge control's.
        teacher_inheritance: share of inherited labels in that model's objective; MIL has the rest (linear_mil.py).
        direct_rate: the direct path's learning rate, as a multiple of the others'.
        k_divisor: top-k takes floor(T / k_divisor) + 1 segments.
        steps: at least so many steps, in whole epochs, in place of `epochs`; 0: as `epochs` says. A small set is then
            seen often and a large one seldom.
        cross_fit: validate and calibrate on every labelled video, each scored by one of so many models that never saw
            it, and train the run's own on all of them; 1: train on all, with nothing held out to judge by; 0: on the
            training split, with the validation split held out.
        batch: videos a step, half normal, half anomalous.
        limit, shortening: longest bag in training, and how longer ones are brought there.
        window_s, delay_s: the window rule under which the model is trained, calibrated and used, in seconds; a
            window of 0: whole videos.
        averaging: decay a step of the weights' exponential average that is validated and kept; 0: none.
        keep: the epoch that validates best, or the last one, where validation cannot tell epochs apart. With nothing
            held out, `last` validates no epoch, and `best` chooses among epochs by the training videos.
        patience: epochs without a better validation before it stops; of no concern where the last one is kept.
        clip: largest gradient norm.
        precision: of the model's pass in training (precision.py).
    """

    seed: int = 0
    epochs: int = 30
    steps: int = 0
    cross_fit: int = 0
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 1e-2
    limit: int = 256
    shortening: Shortening = "pool"
    window_s: float = 0.0
    delay_s: float = 0.0
    lambda_mil: float = 1.0
    lambda_gmm: float = 0.1
    lambda_category: float = 0.2
    lambda_posterior: float = 0.2
    lambda_inherit: float = 0.0
    lambda_pseudo: float = 0.0
    lambda_naming: float = 0.0
    teacher_rate: float = 10.0
    teacher_inheritance: float = 0.5
    direct_rate: float = 1.0
    k_divisor: int = K_DIVISOR
    averaging: float = 0.9
    keep: Literal["best", "last"] = "best"
    patience: int = 10
    clip: float = 1.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        """Raises InputError for a choice that does not exist or a number that cannot train."""
        check_options("training", type(self), vars(self), _AT_LEAST)
        if not self.averaging < 1:
            raise InputError(f"training option averaging must be below 1: got {self.averaging}")
        _ = self.rule

    @property
    def rule(self) -> WindowRule:
        """The window rule of training. Raises InputError for lengths no window can have."""
        return WindowRule(self.window_s, self.delay_s) if self.window_s else WHOLE

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainOptions":
        """Raises InputError for a name this version does not know, or a value of another kind."""
        check_options("training", cls, values, _AT_LEAST)
        return cls(**values)
