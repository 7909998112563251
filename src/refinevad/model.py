"""RefineVAD in one file: what a researcher reads first.

A video is a bag of T segments, one vector a segment. MoTAR lets a segment borrow channels from its neighbours,
the more the more its motion changes, and encodes the result. CORE asks what the video resembles, and writes a soft
mixture of learnable category prototypes back into every segment. A light head scores it. Beside this refined path a
direct path (ours, off in the paper's configuration) scores each segment by itself; both decide together.

    x --MoTAR--> y --light Transformer--> h --CORE(prototypes)--> h' --head--> refined logit --+
    x --direct path: linear, of the segment alone (evidence.py)--------------> direct logit  --+--> a segment's score
    x --written prompts, where the recipe has them---------------------------> prior         --+

Notable here:
- what decides by default: the average of the direct path, a linear model fitted beforehand, and of the refined path,
  which learns from the direct path's surest segments (`ridge`, `shift_layers`; training/losses.py: pseudo_label_loss)
- shift by motion, the gate in three readings: the paper's floor (`hard`), one that learns (`soft`), TSM (`fixed`)
- normal is the absence of every category, never a category of its own: C x (absent, present) logits
- four readings of "CrossAttn(v, x, x)" behind one interface: `segments`, `broadcast`, `single`, `film`
- everything is padding-aware: a video scores the same alone, padded, and beside any neighbour

Which line is the paper's and which is our choice: docs/paper.md. The slow oracle, loop by loop: tests/reference.py.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.errors import InputError
from refinevad.evidence import DirectEvidence, PromptPrior, Prompts, RidgeEvidence, masked_mean, presence_logit
from refinevad.files.options import check_options
from refinevad.input_ranges import Empty, InputRanges, as_ranges
from refinevad.segment_model import Objective, SegmentModel, normal_rows
from refinevad.standardising import channel_statistics, standardised

Gate = Literal["hard", "soft", "fixed", "none"]
Topology = Literal["segments", "broadcast", "single", "film", "none"]
Weights = Literal["soft", "hard"]
Positions = Literal["relative", "none"]

VARIANCE_FLOOR = 1e-6  # log of a motionless video's variance stays finite
SOFT_TAIL = 18.0  # sigmoid(-18) is 1.5e-8
FIXED_RATIO = 0.5  # `fixed`: TSM's constant shift, and where an untrained gate starts
DISTANCE_BUCKETS = 12  # relative positions up to 2**11 segments apart are told apart, by powers of two
LONG = 512  # segments from which writing the table of relative positions costs more than reversing the queries
_VIDEOS_AT_ONCE = 32  # bounds what statistics over hundreds of videos copy
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
        layers, heads, dropout, positions: the light Transformer.
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
        direct_dropout: on the direct path's input.
        ridge: the direct path is a linear model, fitted before training and kept; after training both paths are
            brought to one scale (`match_paths`), and `head_weight` is the refined path's share of their average.
        head_weight, centre_head: share of the refined head in the score (1 in training: multiple-instance learning
            leaves it too sure of itself), and whether its mean over the video is taken off, so that it says when and
            the direct path says whether.
        prompt_owner: category of each written prompt (C: normal life); none: no prompts.
        prompt_weight: share of the prompts' prior in the score.
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
    direct_dropout: float = 0.2
    ridge: bool = False
    head_weight: float = 1.0
    centre_head: bool = False
    prompt_owner: tuple[int, ...] = ()
    prompt_weight: float = 1.0
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

    def build(self) -> "RefineVAD":
        """A fresh model."""
        return RefineVAD(self)

    @property
    def layers_each(self) -> tuple[int, ...]:
        return (self.layers, self.shift_layers)

    @property
    def own_paths(self) -> dict[str, str]:
        parts = [name for name, there in (("MoTAR", self.gate != "none"), ("CORE", self.topology != "none")) if there]
        counts = {
            "direct": self.direct and not (self.ridge and self.head_weight == 1),
            "refined": self.head_weight != 0,
            "prompts": bool(self.prompt_owner) and self.prompt_weight != 0,
        }
        names = {"direct": "direct path", "refined": " + ".join(parts) or "refined path", "prompts": "written prompts"}
        return {name: told for name, told in names.items() if counts[name]}


@dataclass(frozen=True)
class Output:
    """What one pass yields; `logits` before the sigmoid, for stable losses. Padded segments hold 0.

    Attributes:
        logits: anomaly logit of each segment.
        coarse: softmax of the coarse score a_t over time: the pooling weights.
        category_logits: z, (absent, present) for each category of the video.
        mixture: w, the video's soft categories (without the label), summing to 1.
        segment_logits: presence logit of each category in each segment.
        shift_ratio: r_t.
        embedding: the pooled video vector.
        refined: the refined head's own logit, before any average over time.
        evidence: d_t, what each segment says by itself (zeros without the direct path).
        video_evidence: the mean evidence's log-odds that the video holds any category (zeros without it).
    """

    logits: Float[Tensor, "video segment"]
    coarse: Float[Tensor, "video segment"]
    category_logits: Float[Tensor, "video category 2"]
    mixture: Float[Tensor, "video category"]
    segment_logits: Float[Tensor, "video segment category"]
    shift_ratio: Float[Tensor, "video segment"]
    embedding: Float[Tensor, "video width"]
    refined: Float[Tensor, "video segment"]
    evidence: Float[Tensor, "video segment category"]
    video_evidence: Float[Tensor, "video"]
    config: RefineVADConfig

    @property
    def scores(self) -> Float[Tensor, "video segment"]:
        """Anomaly score of each segment, in [0, 1]."""
        return torch.sigmoid(self.logits)

    @property
    def presence(self) -> Float[Tensor, "video category"]:
        """p_c: probability that the category occurs in the video."""
        return self.category_logits.softmax(-1)[..., 1]

    @property
    def share_logits(self) -> Float[Tensor, "video segment category"]:
        """Logits of a segment's share among categories: the video's mixture, or with a per-segment posterior."""
        if not self.config.segment_posterior:
            return self.mixture[:, None, :].clamp_min(1e-6).log().expand_as(self.segment_logits)
        if self.config.direct:
            present = self.category_logits[..., 1] - self.category_logits[..., 0]
            return present[:, None, :] + self.segment_logits
        return self.mixture[:, None, :].clamp_min(1e-6).log() + F.logsigmoid(self.segment_logits)

    @property
    def category_scores(self) -> Float[Tensor, "video segment category"]:
        """Score of each category at each segment: score_t shared out among the categories."""
        return self.scores[..., None] * self.share_logits.softmax(-1)


def neighbours(
    x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
) -> tuple[Float[Tensor, "video segment channel"], Float[Tensor, "video segment channel"]]:
    """x_{t-1} and x_{t+1}; the first and last real segments stand in for what lies outside the video."""
    before = torch.cat([x[:, :1], x[:, :-1]], dim=1)
    after = torch.cat([x[:, 1:], x[:, -1:]], dim=1)
    has_next = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
    return before, torch.where(has_next[..., None], after, x)


class MoTAR(nn.Module):
    """Motion-aware temporal attention and recalibration: shift by motion (steps 1 to 4 of the method)."""

    motion_mean: Tensor
    motion_scale: Tensor

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        self.gate, self.folding, self.temperature = config.gate, config.folding, config.gate_temperature
        hidden = 16
        self.ratio = nn.Sequential(
            nn.Linear(1, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 1)
        )
        # v_t spans decades between cameras: its logarithm is standardised with the training set's statistics
        self.register_buffer("motion_mean", torch.zeros(()))
        self.register_buffer("motion_scale", torch.ones(()))

    @staticmethod
    def log_variance(
        x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment"]:
        """log v_t, v_t = Var over channels of x_t - x_{t-1}; the first segment takes the second's (none: 0 motion)."""
        step = x[:, 1:] - x[:, :-1]
        step = step - step.mean(dim=-1, keepdim=True)
        variance = step.square().mean(dim=-1)  # in two passes: Tensor.var takes ten times as long on a CPU
        first = variance[:, :1] * mask[:, 1:2] if x.shape[1] > 1 else x.new_zeros(len(x), 1)
        return (torch.cat([first, variance], dim=1) + VARIANCE_FLOOR).log()

    def shift_ratio(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment"]:
        """r_t in [0, 1]."""
        if self.gate in ("fixed", "none"):
            return mask.to(x.dtype) * (FIXED_RATIO if self.gate == "fixed" else 0.0)
        motion = (self.log_variance(x, mask) - self.motion_mean) / self.motion_scale
        ratio: Tensor = torch.sigmoid(self.ratio(motion[..., None])).squeeze(-1)
        return ratio * mask

    def forward(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> tuple[Float[Tensor, "video segment channel"], Float[Tensor, "video segment"]]:
        """Return (y, r): channels [0, s) from the segment before, [s, 2s) from the one after, the rest its own."""
        ratio = self.shift_ratio(x, mask)
        if self.gate == "none":
            return x, ratio
        channels = x.shape[-1]
        reach = ratio[..., None] * (channels / self.folding)  # s_t before the floor
        # channel c comes from before where c + 1 <= s_t, and is borrowed at all where c // 2 + 1 <= s_t; with
        # s_t floored that is exactly [0, s) and [0, 2s)
        nearest = min(channels, math.ceil(channels / self.folding + self._softness()))
        touched = min(channels, 2 * nearest)  # from here on every channel is its own
        own = x[..., :touched]
        before, after = neighbours(own, mask)
        rank = torch.arange(touched, device=x.device, dtype=x.dtype)
        first, pair = rank[:nearest] + 1, torch.div(rank, 2, rounding_mode="floor") + 1
        if self.gate == "soft":
            # in place where it can be: writing fresh memory costs more than the arithmetic
            from_before = (reach - first).div_(self.temperature).sigmoid_()
            borrowed = (reach - pair).div_(self.temperature).sigmoid_()
        else:
            whole = reach.floor()
            from_before, borrowed = (first <= whole).to(x.dtype), (pair <= whole).to(x.dtype)
        from_before = F.pad(from_before, (0, touched - nearest))
        y = (before - own).mul_(from_before).add_(own)
        y = y.add_((after - own).mul_(borrowed - from_before))
        return (y if touched == channels else torch.cat([y, x[..., touched:]], dim=-1)), ratio

    def _softness(self) -> float:
        """Channels past s_t in which a soft gate still lets in more than a float32 sees beside 1."""
        return SOFT_TAIL * self.temperature if self.gate == "soft" else 0.0


class ShiftLayer(nn.Module):
    """MoTAR on features (ours): segments borrow from their neighbours, then a linear map, with a residual.

    The motion is that of normalised features, whose variance is of order 1 for any camera, so nothing is standardised.
    """

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.shift = MoTAR(config)
        self.linear = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, h: Float[Tensor, "video segment width"], mask: Bool[Tensor, "video segment"]
    ) -> tuple[Float[Tensor, "video segment width"], Float[Tensor, "video segment"]]:
        """Return (refined features, r_t)."""
        borrowed, ratio = self.shift(self.norm(h) * mask[..., None], mask)
        return h + self.dropout(F.gelu(self.linear(borrowed))), ratio


class RelativePosition(nn.Module):
    """A learnt bias for each head and signed distance, by powers of two, so that any length can be scored."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(heads, 2 * DISTANCE_BUCKETS + 1))

    def forward(self, segments: int) -> Float[Tensor, "head segment segment"]:
        return self.backwards(segments).flip(1)

    def backwards(self, segments: int) -> Float[Tensor, "head segment segment"]:
        """The table with its last row first: a view, since each row is a stretch of one line of 2 T - 1 distances."""
        distance = torch.arange(1 - segments, segments, device=self.bias.device)
        # bit length of |distance|, exact in float64
        power = torch.frexp(distance.abs().double()).exponent.clamp(max=DISTANCE_BUCKETS)
        line = self.bias[:, distance.sign() * power + DISTANCE_BUCKETS]
        return line.unfold(1, segments, 1)


class EncoderBlock(nn.Module):
    """Pre-norm self-attention over all segments of a video, and a feed-forward layer."""

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.position = RelativePosition(config.heads) if config.positions == "relative" else None
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 2 * config.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * config.width, config.width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, h: Float[Tensor, "video segment width"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        videos, segments, width = h.shape
        heads = self.query_key_value(self.attention_norm(h)).view(videos, segments, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = self._attend(query, key, value, mask)
        h = h + self.dropout(self.out(mixed.transpose(1, 2).reshape(videos, segments, width)))
        encoded: Tensor = h + self.dropout(self.feed_forward(h))
        return encoded

    def _attend(
        self,
        query: Float[Tensor, "video head segment part"],
        key: Float[Tensor, "video head segment part"],
        value: Float[Tensor, "video head segment part"],
        mask: Bool[Tensor, "video segment"],
    ) -> Float[Tensor, "video head segment part"]:
        segments, visible = mask.shape[1], mask[:, None, None, :]
        if self.position is None:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        if segments < LONG or torch.is_grad_enabled() or query.device.type != "cpu" or not mask.all():
            bias = self.position(segments)[None].masked_fill(~visible, float("-inf"))
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        # the same numbers without the table, which for a window of 4,096 is 268 MB and slower to write than to use
        bias = self.position.backwards(segments)[None]
        return F.scaled_dot_product_attention(query.flip(2), key, value, attn_mask=bias).flip(2)


class Injection(nn.Module):
    """CORE step 4: write the category mixture into every segment, in one of four readings of CrossAttn(v, x, x).

    `segments`: segments are queries over the C weighted prototypes. `broadcast`: v is the query over segments, and the
    one vector that results is added to all. `single`: v is the only key and value. `film`: v scales and shifts.
    """

    def __init__(self, width: int, topology: Topology) -> None:
        super().__init__()
        self.topology, self.width = topology, width
        self.norm = nn.LayerNorm(width)
        if topology == "film":
            self.scale_shift = nn.Linear(width, 2 * width)
        elif topology != "none":
            self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
            self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self,
        h: Float[Tensor, "video segment width"],
        mask: Bool[Tensor, "video segment"],
        mixture: Float[Tensor, "video category"],
        prototypes: Float[Tensor, "category width"],
    ) -> Float[Tensor, "video segment width"]:
        if self.topology == "none":
            return h
        v = (mixture @ prototypes)[:, None, :]
        if self.topology == "film":
            scale, shift = self.scale_shift(v).chunk(2, dim=-1)
            modulated: Tensor = h * (1 + scale) + shift
            return modulated
        content = self.norm(h)
        if self.topology == "broadcast":
            answer = self._attend(v, content, content, mask[:, None, :])
        elif self.topology == "single":
            answer = self._attend(content, v, v, None)
        else:
            weighted = mixture[..., None] * prototypes
            answer = self._attend(content, weighted, weighted, None)
        refined: Tensor = h + self.out(answer)
        return refined

    def _attend(
        self,
        query: Float[Tensor, "video query width"],
        key: Float[Tensor, "video key width"],
        value: Float[Tensor, "video key width"],
        visible: Bool[Tensor, "video 1 key"] | None,
    ) -> Float[Tensor, "video query width"]:
        return F.scaled_dot_product_attention(self.query(query), self.key(key), self.value(value), attn_mask=visible)


class CORE(nn.Module):
    """Category-oriented refinement: what the video resembles, written back into its segments."""

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        categories = len(config.categories)
        self.weights, self.temperature = config.weights, config.category_temperature
        self.label_injection = config.label_injection
        self.coarse = nn.Linear(config.width, 1)
        self.classify = nn.Sequential(
            nn.LayerNorm(config.width), nn.Dropout(config.dropout), nn.Linear(config.width, 2 * categories)
        )
        self.prototypes = nn.Parameter(normal_rows(categories, config.width, divisor=config.width**0.5))
        self.inject = Injection(config.width, config.topology)

    def mixture(self, presence: Float[Tensor, "video category"]) -> Float[Tensor, "video category"]:
        """w from p: a softmax with temperature, or the most present category alone."""
        if self.weights == "hard":
            return F.one_hot(presence.argmax(-1), presence.shape[-1]).to(presence.dtype)
        return (presence / self.temperature).softmax(-1)

    def forward(
        self,
        h: Float[Tensor, "video segment width"],
        mask: Bool[Tensor, "video segment"],
        labels: Float[Tensor, "video category"] | None,
        said: Float[Tensor, "video category"],
    ) -> tuple[
        Float[Tensor, "video segment width"],
        Float[Tensor, "video segment"],
        Float[Tensor, "video category 2"],
        Float[Tensor, "video category"],
        Float[Tensor, "video width"],
    ]:
        """Return (refined segments, pooling weights, z, w, video vector).

        `labels` (0/1) are used in training only; `said` is added to the presence logits: the segments' mean evidence.
        """
        coarse = self.coarse(h).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(-1)
        video = torch.einsum("vs,vsw->vw", coarse, h)
        z = self.classify(video).view(len(h), -1, 2) + torch.stack([torch.zeros_like(said), said], dim=-1)
        w = self.mixture(z.softmax(-1)[..., 1])
        injected = w
        if labels is not None and self.training and self.label_injection:
            # v + e_y: the mean of the true categories' prototypes; nothing for normal videos
            injected = w + labels / labels.sum(-1, keepdim=True).clamp_min(1.0)
        return self.inject(h, mask, injected, self.prototypes), coarse, z, w, video


class RefineVAD(SegmentModel):
    """Segments of videos in, a score for each out. Standardises its input with the training set's statistics."""

    config: RefineVADConfig
    selected: Tensor
    input_scale: Tensor
    path_mean: Tensor
    path_scale: Tensor
    trained_in_windows = True

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("selected", torch.tensor(config.selected), persistent=False)
        self.register_buffer("input_mean", torch.zeros(len(config.selected)))
        self.register_buffer("input_scale", torch.ones(len(config.selected)))
        # of the direct and of the refined path's logits over the training set (`match_paths`)
        self.register_buffer("path_mean", torch.zeros(2), persistent=config.ridge)
        self.register_buffer("path_scale", torch.ones(2), persistent=config.ridge)
        self.motar = None if config.shift_layers else MoTAR(config)
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(len(config.selected), config.width))
        self.shifts = nn.ModuleList(ShiftLayer(config) for _ in range(config.shift_layers))
        self.encoder = nn.ModuleList(EncoderBlock(config) for _ in range(config.layers))
        self.core = CORE(config)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Sequential(
            nn.Linear(config.width, config.width // 2),
            nn.GELU(),
            nn.Dropout(config.dropout),
            last := nn.Linear(config.width // 2, 1),
        )
        self.segment_categories = nn.Linear(config.width, len(config.categories))
        categories = len(config.categories)
        self.evidence: DirectEvidence | RidgeEvidence | None = None
        if config.ridge:
            self.evidence = RidgeEvidence(len(config.selected), categories)
        elif config.direct:
            self.evidence = DirectEvidence(len(config.selected), categories, config.direct_dropout)
            # the refined head starts silent, and adds to the direct path what context tells
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.prompts = None
        if config.prompt_owner:
            self.prompts = PromptPrior(len(config.selected), categories, config.prompt_owner)

    @torch.no_grad()
    def fit_statistics(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        prompts: Prompts | None = None,
    ) -> None:
        """Set the input's and the motion's mean and spread, and the prompts, from training videos."""
        if self.prompts is not None and prompts is not None:
            self.prompts.fit(prompts, self.look(x), mask)
        mean, scale = channel_statistics(x, mask, self.selected)
        self.input_mean.copy_(mean)
        self.input_scale.copy_(scale)
        if self.motar is None:
            return
        videos = zip(torch.split(x, _VIDEOS_AT_ONCE), torch.split(mask, _VIDEOS_AT_ONCE), strict=True)
        motion = torch.cat([MoTAR.log_variance(self.standardise(v, real), real)[real] for v, real in videos])
        self.motar.motion_mean.copy_(motion.mean())
        self.motar.motion_scale.copy_(motion.std(unbiased=False).clamp_min(1e-3))

    @torch.no_grad()
    def match_paths(self, direct: Float[Tensor, "segment"], refined: Float[Tensor, "segment"]) -> None:
        """Bring both paths to one scale, by their logits of training segments.

        Before it the refined path counts alone.
        """
        for place, logits in enumerate((direct, refined)):
            self.path_mean[place] = logits.mean()
            self.path_scale[place] = logits.std(unbiased=False).clamp_min(1e-6)

    @property
    def gate(self) -> MoTAR:
        """MoTAR, the first of several: whose shift ratio answers to motion."""
        found = self.motar if self.motar is not None else self.shifts[0].shift
        assert isinstance(found, MoTAR)
        return found

    @property
    def undecided(self) -> float:
        """The logit of a segment of which nothing is known: 0, or what an average training segment has."""
        return float(self.path_mean[1])

    @property
    def matched(self) -> bool:
        """Whether `match_paths` was called."""
        return self.config.ridge and bool((self.path_scale != 1).any())

    @property
    def fitted_path(self) -> RidgeEvidence | None:
        """The direct path, where it is a linear model that is fitted before training."""
        return self.evidence if isinstance(self.evidence, RidgeEvidence) else None

    @torch.no_grad()
    def match_outputs(self, passes: Iterable[tuple[Output, Bool[Tensor, "video segment"]]]) -> None:
        """`match_paths` by outputs of training videos, averaged over time as scores are."""
        both = []
        for output, mask in passes:
            direct = direct_logit(output.evidence, mask, self.config)
            refined = smooth(output.refined[..., None], mask, self.config.half_widths[1]).squeeze(-1)
            both.append(smooth(torch.stack([direct, refined], dim=-1), mask, self.config.smoothing)[mask])
        self.match_paths(torch.cat([one[:, 0] for one in both]), torch.cat([one[:, 1] for one in both]))

    def direct_parameters(self) -> Iterable[nn.Parameter]:
        """The direct path's."""
        return self.evidence.parameters() if self.evidence is not None else ()

    def losses(
        self,
        output: Output,
        labels: Float[Tensor, "video category"],
        mask: Bool[Tensor, "video segment"],
        objective: Objective,
    ) -> dict[str, Tensor]:
        """The recipe's objective (training/loop.py, losses.py)."""
        return objective(output)

    def look(self, x: Float[Tensor, "video segment channel"]) -> Float[Tensor, "video segment selected"]:
        """The channels the model looks at; where these are all, no copy."""
        return x[..., self.selected] if self.config.inputs else x

    def standardise(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment selected"]:
        """The channels the model looks at, to mean 0 and spread 1 over the training set; 0 where padded."""
        return self._standard(self.look(x), mask)

    def _standard(
        self, seen: Float[Tensor, "video segment selected"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment selected"]:
        standard = standardised(seen, self.input_mean, self.input_scale, self.config.input_clip)
        return standard * mask[..., None]

    def forward(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        labels: Float[Tensor, "video category"] | None = None,
    ) -> Output:
        """Score padded videos; `mask` is true on real segments, of which each video needs at least one."""
        seen = self.look(x)
        standard = self._standard(seen, mask)
        evidence = standard.new_zeros(*mask.shape, len(self.config.categories))
        if self.evidence is not None:
            evidence = self.evidence(seen if self.config.ridge else standard) * mask[..., None]
        h, ratio = self._refine(standard, mask)
        said = masked_mean(evidence, mask)[:, 0]
        injected, coarse, z, w, video = self.core(h, mask, labels, said)
        content = self.norm(injected)
        refined = self.head(content).squeeze(-1)
        logits, segment_logits = self._combine(seen, mask, content, refined, evidence)
        return Output(
            smooth(logits[..., None], mask, self.config.smoothing).squeeze(-1),
            coarse,
            z,
            w,
            smooth(segment_logits, mask, self.config.smoothing),
            ratio,
            video,
            refined * mask,
            evidence,
            presence_logit(said) if self.evidence is not None else torch.zeros_like(said[:, 0]),
            self.config,
        )

    def _refine(
        self, standard: Float[Tensor, "video segment selected"], mask: Bool[Tensor, "video segment"]
    ) -> tuple[Float[Tensor, "video segment width"], Float[Tensor, "video segment"]]:
        """MoTAR and the light Transformer: (h, r_t), of several shift layers the mean."""
        ratios = []
        if self.motar is not None:
            standard, ratio = self.motar(standard, mask)
            ratios.append(ratio)
        h = self.project(standard)
        if self.shifts:
            h = F.gelu(h)
        for layer in self.shifts:
            h, ratio = layer(h, mask)
            ratios.append(ratio)
        for block in self.encoder:
            h = block(h, mask)
        return h, torch.stack(ratios).mean(0)

    def _combine(
        self,
        seen: Float[Tensor, "video segment selected"],
        mask: Bool[Tensor, "video segment"],
        content: Float[Tensor, "video segment width"],
        refined: Float[Tensor, "video segment"],
        evidence: Float[Tensor, "video segment category"],
    ) -> tuple[Float[Tensor, "video segment"], Float[Tensor, "video segment category"]]:
        """The segment's logit and its category logits: refined head, direct evidence, prompts."""
        refined = refined_logit(refined, mask, self.config)
        logits = refined if self.training else self.config.head_weight * refined
        if self.evidence is None:
            categories = self.segment_categories(content)
        elif self.config.ridge:
            logits = self._average(direct_logit(evidence, mask, self.config), refined)
            named = smooth(evidence.log_softmax(-1), mask, self.config.half_widths[0])
            categories = named + self.segment_categories(content)
        else:
            logits = logits + direct_logit(evidence, mask, self.config)
            categories = smooth(evidence, mask, self.config.half_widths[0])
        if self.prompts is not None:
            likeness, prior = self.prompts(seen)
            logits = logits + self.config.prompt_weight * prior
            categories = categories + 0.5 * self.config.prompt_weight * likeness
        return logits, categories

    def _average(
        self, direct: Float[Tensor, "video segment"], refined: Float[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment"]:
        """Both paths' logits on the refined one's scale, averaged; the refined one alone while nothing is matched."""
        if not self.matched:
            return refined
        of_direct, of_refined = (
            (logits - mean) / scale
            for logits, mean, scale in zip((direct, refined), self.path_mean, self.path_scale, strict=True)
        )
        share = self.config.head_weight
        averaged: Tensor = (1 - share) * of_direct + share * of_refined
        return self.path_mean[1] + self.path_scale[1] * averaged

    def path_logits(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], output: Output
    ) -> Float[Tensor, "video segment path"]:
        """What `_combine` adds up, summand by summand, in the order of `PATHS` (paths.py); float64."""
        config, nothing = self.config, torch.zeros_like(output.refined, dtype=torch.float64)
        refined = refined_logit(output.refined.double(), mask, config)
        direct = direct_logit(output.evidence.double(), mask, config) if self.evidence is not None else nothing
        base, prior = nothing, nothing
        if not config.ridge:
            refined = config.head_weight * refined
        elif self.matched:
            mean, scale, share = self.path_mean.double(), self.path_scale.double(), config.head_weight
            direct = scale[1] * (1 - share) * (direct - mean[0]) / scale[0]
            refined = share * (refined - mean[1])
            base = nothing + mean[1]
        else:  # the refined path counts alone
            direct = nothing
        if self.prompts is not None:
            prior = config.prompt_weight * self.prompts(self.look(x))[1].double()
        return smooth(torch.stack([base, direct, refined, prior, nothing], dim=-1), mask, config.smoothing)


def direct_logit(
    evidence: Float[Tensor, "video segment category"], mask: Bool[Tensor, "video segment"], config: RefineVADConfig
) -> Float[Tensor, "video segment"]:
    """The direct path's logit that any category is there, averaged over time as `direct_smoothing` says."""
    return smooth(presence_logit(evidence)[..., None], mask, config.half_widths[0]).squeeze(-1)


def refined_logit(
    refined: Float[Tensor, "video segment"], mask: Bool[Tensor, "video segment"], config: RefineVADConfig
) -> Float[Tensor, "video segment"]:
    """The refined path's logit as it enters the score: less its mean (`centre_head`), averaged over time."""
    if config.centre_head:
        refined = refined - masked_mean(refined, mask)
    return smooth(refined[..., None], mask, config.half_widths[1]).squeeze(-1)


def smooth(
    values: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], half_width: int
) -> Float[Tensor, "video segment channel"]:
    """Average over [t - half_width, t + half_width], of real segments only; padded ones come out 0."""
    real = mask[..., None].to(values.dtype)
    if half_width == 0:
        return values * real
    size = 2 * half_width + 1
    total = F.avg_pool1d((values * real).mT, size, stride=1, padding=half_width).mT
    count = F.avg_pool1d(real.mT, size, stride=1, padding=half_width).mT
    return total / count.clamp_min(1e-9) * real
