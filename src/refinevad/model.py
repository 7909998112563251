"""RefineVAD's pass over videos: what a researcher reads first.

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

What serves it has files of its own: options (model_config.py), the Transformer (transformer.py), how the paths' logits
are added (joining.py), what a pass yields (model_output.py). Which line is the paper's and which is our choice:
docs/paper.md. The slow oracle, loop by loop: tests/reference.py.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.evidence import DirectEvidence, PromptPrior, Prompts, RidgeEvidence, masked_mean, presence_logit
from refinevad.joining import average, both_logits, direct_logit, refined_logit, summands
from refinevad.model_config import RefineVADConfig, Topology
from refinevad.model_output import Output
from refinevad.segment_model import Objective, SegmentModel, normal_rows
from refinevad.smoothing import smooth
from refinevad.standardising import channel_statistics, standardised
from refinevad.transformer import EncoderBlock

VARIANCE_FLOOR = 1e-6  # log of a motionless video's variance stays finite
SOFT_TAIL = 18.0  # sigmoid(-18) is 1.5e-8
FIXED_RATIO = 0.5  # `fixed`: TSM's constant shift, and where an untrained gate starts
_VIDEOS_AT_ONCE = 32  # bounds what statistics over hundreds of videos copy


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
        step -= step.mean(dim=-1, keepdim=True)
        squared = step.square() if step.requires_grad else step.square_()
        variance = squared.mean(dim=-1)  # in two passes: Tensor.var takes ten times as long on a CPU
        nothing = torch.zeros_like(x[:, :1, 0])  # of a video of one segment
        first = torch.cat([variance[:, :1] * mask[:, 1:2], nothing], dim=1)[:, :1]
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
        z = self.classify(video).view(h.shape[0], -1, 2) + torch.stack([torch.zeros_like(said), said], dim=-1)
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
            self.evidence = DirectEvidence(len(config.selected), categories, config.dropout)
            # the refined head starts silent, and adds to the direct path what context tells
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.prompts = None
        if config.prompt_owner:
            self.prompts = PromptPrior(len(config.selected), categories, config.prompt_owner)

    def look(self, x: Float[Tensor, "video segment channel"]) -> Float[Tensor, "video segment selected"]:
        """The channels the model looks at; where these are all, no copy."""
        return x[..., self.selected] if self.config.inputs else x

    def standardise(
        self, seen: Float[Tensor, "video segment selected"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment selected"]:
        """The channels looked at, to mean 0 and spread 1 over the training set; 0 where padded."""
        standard = standardised(seen, self.input_mean, self.input_scale, self.config.input_clip)
        return standard.mul_(mask[..., None])

    def forward(
        self,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
        labels: Float[Tensor, "video category"] | None = None,
    ) -> Output:
        """Score padded videos; `mask` is true on real segments, of which each video needs at least one."""
        seen = self.look(x)
        standard = self.standardise(seen, mask)
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
            logits=smooth(logits[..., None], mask, self.config.smoothing).squeeze(-1),
            coarse=coarse,
            category_logits=z,
            mixture=w,
            segment_logits=smooth(segment_logits, mask, self.config.smoothing),
            shift_ratio=ratio,
            embedding=video,
            refined=refined * mask,
            evidence=evidence,
            video_evidence=presence_logit(said) if self.evidence is not None else torch.zeros_like(said[:, 0]),
            config=self.config,
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
            logits = refined  # alone, until both paths are on one scale
            if self.matched:
                direct = direct_logit(evidence, mask, self.config)
                logits = average(direct, refined, self.path_mean, self.path_scale, self.config.head_weight)
            named = smooth(evidence.log_softmax(-1), mask, self.config.half_widths[0])
            categories = named + self.segment_categories(content)
        else:
            logits = logits + direct_logit(evidence, mask, self.config)
            categories = smooth(evidence, mask, self.config.half_widths[0])
        if self.prompts is not None:
            likeness, prior = self.prompts(seen)
            logits = logits + prior
            categories = categories + 0.5 * likeness
        return logits, categories

    def path_logits(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], output: Output
    ) -> Float[Tensor, "video segment path"]:
        """What `_combine` adds up, summand by summand, in the order of `PATHS` (paths.py); float64."""
        matched = (self.path_mean, self.path_scale) if self.matched else None
        return summands(output, mask, matched, None if self.prompts is None else self.prompts(self.look(x))[1])

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
        motion = torch.cat([MoTAR.log_variance(self.standardise(self.look(v), real), real)[real] for v, real in videos])
        self.motar.motion_mean.copy_(motion.mean())
        self.motar.motion_scale.copy_(motion.std(unbiased=False).clamp_min(1e-3))

    @torch.no_grad()
    def match_paths(self, direct: Float[Tensor, "segment"], refined: Float[Tensor, "segment"]) -> None:
        """Bring both paths to one scale, by their logits of training segments; until then the refined one is alone."""
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
    def logit_scale(self) -> tuple[float, float] | None:
        """The refined path's, which the average of both paths is put on."""
        return (float(self.path_mean[1]), float(self.path_scale[1])) if self.matched else None

    @property
    def fitted_path(self) -> RidgeEvidence | None:
        """The direct path, where it is a linear model that is fitted before training."""
        return self.evidence if isinstance(self.evidence, RidgeEvidence) else None

    @torch.no_grad()
    def match_outputs(self, passes: Iterable[tuple[Output, Bool[Tensor, "video segment"]]]) -> None:
        """`match_paths` by outputs of training videos, averaged over time as scores are."""
        self.match_paths(*torch.cat([both_logits(output, mask) for output, mask in passes]).T.contiguous())

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
