"""RefineVAD's options: every choice of the architecture that a recipe's `[model]` can make."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from refinevad.errors import InputError
from refinevad.files.options import check_options
from refinevad.input_ranges import Empty, InputRanges, as_ranges

Gate = Literal["hard", "soft", "fixed", "none"]
Topology = Literal["segments", "broadcast", "single", "film", "none"]
Weights = Literal["soft", "hard"]
Positions = Literal["relative", "none"]

# below folding 2 the two borrowed parts would overlap; colder than 1e-3, a softmax of p in [0, 1] is one-hot
_AT_LEAST = {
    "channels": 1,
    "width": 2,
    "folding": 2,
    "gate_temperature": 1e-6,
    "layers": 0,
    "heads": 1,
    "dropout": 0,
    "category_temperature": 1e-3,
    "smoothing": 0,
    "direct_smoothing": 0,
    "refined_smoothing": 0,
    "input_clip": 0,
    "relative_smoothing": 0,
    "shift_layers": 0,
}


@dataclass(frozen=True)
class RefineVADConfig(InputRanges):
    """Every choice of the architecture. Recipes state their own; these defaults are starting points, not measured ones.

    Attributes:
        channels: D, numbers a segment.
        categories: names of the C anomaly categories, in the order of the logits.
        inputs: channel ranges [first, last) the model looks at, such as the motion part alone; none: all of them.
        width: d, of the Transformer, the prototypes and the head.
        gate: how the shift ratio r_t selects channels; `none` leaves MoTAR's shift out.
        folding: K; at most D / K channels are borrowed from each side.
        gate_temperature: softness of `soft` in channels; towards 0 it becomes `hard`.
        shift_layers: 0: the shift borrows raw channels, before the projection (the paper's). n: it borrows features
            of n layers behind the projection, each a shift, a linear map and a residual (ours).
        layers, heads, positions: the light Transformer.
        dropout: on the inputs of both paths, and between layers.
        topology: how the category mixture enters the segments; `none` leaves CORE's injection out.
        weights: `soft` mixture over categories, or the single most present one (`hard`).
        category_temperature: of the softmax that makes w from p.
        label_injection: add the true categories' prototypes in training (v + e_y), as the paper does. Off: the head
            learns to read them, and misses them at test (docs/results/ablation.md).
        segment_posterior: whether category scores follow a per-segment category posterior, learnt by MIL; without
            it they are score_t * w_c.
        smoothing: half-width in segments of the average over time of the logits, in training too; 0: none.
        direct: add the evidence a segment carries by itself (ours; evidence.py).
        direct_smoothing, refined_smoothing: half-width in segments of an average over time of one path's logits alone,
            before `smoothing`: the refined path has its neighbours from MoTAR. They do not apply with `merge_runs`.
        ridge: the direct path is a linear model, fitted before training and kept; after training both paths are
            brought to one scale (`match_paths`), and `head_weight` is the refined path's share of their average.
        head_weight, centre_head: share of the refined head in the score (1 in training: multiple-instance learning
            leaves it too sure of itself), and whether its mean over the video is taken off, so that it says when and
            the direct path says whether.
        prompt_owner: category of each written prompt (C: normal life); none: no prompts.
        input_clip: standardised inputs are clipped to +- this; 0: not.
        merge_runs: equal neighbouring segments become one, empty ones are left out; for features that are constant
            over stretches, as captions are.
        empty: what the segments left out score as logits: 0 (with `ridge`, an average training segment's), or the
            mean of the video's tokens.
        relative_smoothing: standard deviation of a Gaussian over the final logits, as a share of the video's length,
            held to [2, 40] segments; 0: none.
        video_weight: share in each segment's score of the whole video's evidence: the direct path's, without it the
            mean logit.
    """

    channels: int
    categories: tuple[str, ...]
    inputs: tuple[tuple[int, int], ...] = ()
    width: int = 128
    gate: Gate = "soft"
    folding: int = 4
    gate_temperature: float = 4.0
    shift_layers: int = 0
    layers: int = 1
    heads: int = 4
    dropout: float = 0.2
    positions: Positions = "relative"
    topology: Topology = "segments"
    weights: Weights = "soft"
    category_temperature: float = 0.2
    label_injection: bool = False
    segment_posterior: bool = True
    smoothing: int = 0
    direct: bool = False
    direct_smoothing: int = 0
    refined_smoothing: int = 0
    ridge: bool = False
    head_weight: float = 1.0
    centre_head: bool = False
    prompt_owner: tuple[int, ...] = ()
    input_clip: float = 0.0
    merge_runs: bool = False
    empty: Empty = "zero"
    relative_smoothing: float = 0.0
    video_weight: float = 0.0
    head: ClassVar[str] = "RefineVAD"
    k_divisor: ClassVar[None] = None  # an option of its training
    fitted: ClassVar[bool] = False
    compares_videos: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises InputError for a choice that does not exist or a size that cannot be built."""
        check_options("model", type(self), vars(self), _AT_LEAST)
        if not self.categories or not all(isinstance(name, str) for name in self.categories):
            raise InputError(f"a model needs the names of its anomaly categories: got {self.categories}")
        if not self.dropout < 1:
            raise InputError(f"model option dropout must be below 1: got {self.dropout}")
        self.check_inputs()
        if self.ridge and (not self.direct or not 0 <= self.head_weight <= 1):
            raise InputError("model option ridge is a kind of direct path: set direct, and head_weight from 0 to 1")
        if self.width % self.heads:
            raise InputError(f"width {self.width} does not divide into {self.heads} heads")

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "categories": list(self.categories),
            "inputs": [list(span) for span in self.inputs],
            "prompt_owner": list(self.prompt_owner),
        }

    @property
    def half_widths(self) -> tuple[int, int]:
        """(`direct_smoothing`, `refined_smoothing`); 0 with `merge_runs`, where neighbours may lie minutes apart."""
        return (0, 0) if self.merge_runs else (self.direct_smoothing, self.refined_smoothing)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RefineVADConfig":
        """Raises InputError for a name this version does not know, or a value of another kind."""
        check_options("model", cls, values, _AT_LEAST)
        return cls(
            **{
                **values,
                "categories": tuple(values["categories"]),
                "inputs": as_ranges(values.get("inputs", ())),
                "prompt_owner": tuple(values.get("prompt_owner", ())),
            }
        )

    @property
    def layers_each(self) -> tuple[int, ...]:
        return (self.layers, self.shift_layers)

    @property
    def own_paths(self) -> dict[str, str]:
        parts = [name for name, there in (("MoTAR", self.gate != "none"), ("CORE", self.topology != "none")) if there]
        counts = {
            "direct": self.direct and not (self.ridge and self.head_weight == 1),
            "refined": self.head_weight != 0,
            "prompts": bool(self.prompt_owner),
        }
        names = {"direct": "direct path", "refined": " + ".join(parts) or "refined path", "prompts": "written prompts"}
        return {name: told for name, told in names.items() if counts[name]}
