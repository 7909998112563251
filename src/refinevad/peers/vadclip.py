"""Wu et al.: VadCLIP (AAAI 2024, arXiv 2308.11681), from its temporal adapter on; the text encoder is not part of it.

Temporal adapter: a Transformer layer whose attention stays within a window, then a graph layer with one weight over
two adjacencies, softmax of thresholded cosine similarity and softmax of -|i - j| / sigma; residuals around both; a
linear layer. C-branch: feed-forward with a skip, linear, sigmoid: the anomaly confidence A. A-branch: cosines between
segments and class embeddings, normal among them, make the alignment map. The class embeddings are shifted by the
anomaly-focus visual prompt, Norm(A^T X), through a feed-forward layer with a skip.

Loss: cross-entropy of the top-k confidence + MIL-Align (each class's top-k mean similarity, softmax at 0.07, cross-
entropy) + lambda x the positive cosines between the normal and each abnormal class embedding. lambda is 0.1 on
UCF-Crime and 1e-4 on XD-Violence, the window 8 and 64; sigma 1, 20 context tokens, width 512. The paper trains with
AdamW at 1e-5 (UCF-Crime) or 2e-5 (XD-Violence), 64 videos a batch.
Free choices where it is silent, or where we differ:
- class embeddings are given as a tensor (`fit_text`), normal life first, by whatever text encoder made them; where
  there is none (`text_channels` 0) they are learnt from noise
- the paper's context tokens go through CLIP's text encoder with the class name; here, after the encoder, each class
  embedding attends to 20 learnt context vectors and adds the answer
- "overlapping windows": each segment sees those at most window / 2 away
- weak similarities (cosine below 0.7, after Wu et al. 2020) are left out of the softmax; a segment always sees itself
- both graph answers are concatenated before the one weight (2 d to d), GELU after it
- one local layer of 8 heads; features of other width, and texts, are first projected to `width`
- several labels share the target of MIL-Align equally
- the segment's score is A (`branch = "classifier"`) or the alignment's 1 - p(normal) (`"alignment"`): the paper reports
  the better of both on the test set, here it is an option
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.errors import InputError
from refinevad.evidence import labels_as_targets
from refinevad.peers.attention import TransformerBlock
from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.selection import cross_entropy_of, mean_over, top_segments
from refinevad.segment_model import normal_rows
from refinevad.top_k import K_DIVISOR, bag_sizes

WEAK = 0.7  # cosine below which two segments are not neighbours
SIGMA = 1.0  # segments: range of the distance adjacency, the paper's


@dataclass(frozen=True)
class VadCLIPConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    width, heads, dropout, window: of the temporal adapter.
    text_channels: size of the class embeddings that `fit_text` will be given; 0: they are learnt.
    prompts: learnt context vectors for given class embeddings.
    temperature: of the alignment.
    contrast: weight of the term that keeps normal apart.
    branch: which branch gives the segment's score.
    """

    width: int = 512
    heads: int = 8
    dropout: float = 0.1
    window: int = 8
    text_channels: int = 0
    prompts: int = 20
    temperature: float = 0.07
    k_divisor: int = K_DIVISOR
    contrast: float = 0.1
    branch: Literal["classifier", "alignment"] = "classifier"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise InputError(f"head option temperature must be above 0: got {self.temperature}")


@dataclass(frozen=True)
class VadCLIPOutput(HeadOutput):
    """What both branches say.

    Attributes:
        confidence: logit of A.
        alignment: cosine of each segment with each class, normal first; 0 where padded.
        classes: class embeddings before the visual prompt, normal first.
    """

    confidence: Float[Tensor, "video segment"]
    alignment: Float[Tensor, "video segment class"]
    classes: Float[Tensor, "class width"]


class GraphLayer(nn.Module):
    """A graph convolution over time with one weight, neighbours by similarity and by distance."""

    def __init__(self, width: int, sigma: float = SIGMA) -> None:
        super().__init__()
        self.sigma = sigma
        self.weight = nn.Linear(2 * width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "video segment width"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        place = torch.arange(x.shape[1], device=x.device)
        apart = (place[:, None] - place[None, :]).abs()
        unit = F.normalize(x, dim=-1)
        likeness = unit @ unit.mT
        # padded segments see themselves too: a row with no neighbour has no softmax
        neighbours = ((likeness > WEAK) & mask[:, None, :]) | (apart == 0)
        similar = likeness.masked_fill(~neighbours, float("-inf")).softmax(-1)
        distance = (-apart.to(x.dtype) / self.sigma).expand_as(likeness)
        near = distance.masked_fill(~mask[:, None, :], float("-inf")).softmax(-1)
        answer: Tensor = x + F.gelu(self.weight(torch.cat([similar @ x, near @ x], dim=-1)))
        return answer


class FeedForward(nn.Module):
    """The Transformer's feed-forward layer, with GELU."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Float[Tensor, "*shape width"]) -> Float[Tensor, "*shape width"]:
        answer: Tensor = self.layers(x)
        return answer


class ClassEmbeddings(nn.Module):
    """Embeddings of normal life and of each category: given and prompted, or learnt."""

    text: Tensor

    def __init__(self, config: VadCLIPConfig) -> None:
        super().__init__()
        classes, width = len(config.categories) + 1, config.width
        self.given = config.text_channels > 0
        if not self.given:
            self.learnt = nn.Parameter(normal_rows(classes, width, divisor=width**0.5))
            return
        self.register_buffer("text", torch.zeros(classes, config.text_channels))
        same = config.text_channels == width
        self.project = nn.Identity() if same else nn.Linear(config.text_channels, width, bias=False)
        self.context = nn.Parameter(normal_rows(config.prompts, width, factor=0.02))

    def forward(self) -> Float[Tensor, "class width"]:
        if not self.given:
            learnt: Tensor = self.learnt
            return learnt
        classes: Tensor = self.project(self.text)
        if not len(self.context):
            return classes
        attention = (classes @ self.context.T / classes.shape[-1] ** 0.5).softmax(-1)
        prompted: Tensor = classes + attention @ self.context
        return prompted


class VadCLIP(Head[VadCLIPOutput]):
    """One branch says whether, the other what."""

    def __init__(self, config: VadCLIPConfig) -> None:
        super().__init__(config)
        self.config = config
        width = config.width
        self.project = nn.Identity() if config.channels == width else nn.Linear(config.channels, width)
        self.local = TransformerBlock(width, config.heads, 4 * width, config.dropout)
        self.graph = GraphLayer(width)
        self.out = nn.Linear(width, width)
        self.refine = FeedForward(width, config.dropout)
        self.confidence = nn.Linear(width, 1)
        self.classes = ClassEmbeddings(config)
        self.prompt = FeedForward(width, config.dropout)

    @torch.no_grad()
    def fit_text(self, text: Float[Tensor, "class channel"]) -> None:
        """Take the class embeddings, normal life first, then the categories in their order.

        Raises:
            InputError: the head was built to learn them, or they are of another shape.
        """
        if not self.classes.given or text.shape != self.classes.text.shape:
            wanted = tuple(self.classes.text.shape) if self.classes.given else "none (text_channels is 0)"
            raise InputError(f"vadclip got class embeddings of shape {tuple(text.shape)}; it was built for {wanted}")
        self.classes.text.copy_(text)

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> VadCLIPOutput:
        features = self.out(self.graph(self.local(self.project(x), self.visible(mask)), mask))
        features = features * mask[..., None]
        confidence = self.confidence(features + self.refine(features)).squeeze(-1) * mask
        classes = self.classes()
        # the video's anomalous content: segments weighted by confidence, to length 1
        focus = F.normalize((torch.sigmoid(confidence)[..., None] * features).sum(1), dim=-1)
        prompted = classes + self.prompt(classes + focus[:, None, :])
        alignment = F.normalize(features, dim=-1) @ F.normalize(prompted, dim=-1).mT
        similarity = alignment / self.config.temperature
        category_logits = similarity[..., 1:] - similarity[..., :1]
        by_alignment = self.config.branch == "alignment"
        logits = category_logits.logsumexp(-1) * mask if by_alignment else confidence
        return VadCLIPOutput(logits, category_logits, confidence, alignment, classes)

    def visible(self, mask: Bool[Tensor, "video segment"]) -> Bool[Tensor, "video query segment"]:
        """Real segments at most half a window away; and itself, so that padding attends to something."""
        place = torch.arange(mask.shape[1], device=mask.device)
        apart = (place[:, None] - place[None, :]).abs()
        return ((apart <= self.config.window // 2) & mask[:, None, :]) | (apart == 0)

    def loss(
        self, output: VadCLIPOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`mil` on the C-branch, `align` on the A-branch, `contrast` between the class embeddings."""
        anomalous, k = is_anomalous(labels), bag_sizes(mask, self.config.k_divisor)
        video = mean_over(torch.sigmoid(output.confidence), top_segments(output.confidence, mask, k))
        each = [mean_over(similarity, top_segments(similarity, mask, k)) for similarity in output.alignment.unbind(-1)]
        log_p = (torch.stack(each, dim=-1) / self.config.temperature).log_softmax(-1)
        normal, abnormal = output.classes[:1], output.classes[1:]
        return {
            "mil": cross_entropy_of(video, anomalous.to(video.dtype), torch.ones_like(anomalous)),
            "align": -(labels_as_targets(labels) * log_p).sum(-1).mean(),
            "contrast": self.config.contrast * torch.relu(F.cosine_similarity(normal, abnormal)).sum(),
        }
