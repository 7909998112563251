"""The direct path's objective: a linear model of single segments, half by inheritance and half by MIL (ours).

Inheritance says that every segment carries its video's label. That is wrong for the quiet segments of an anomalous
video, which therefore blur the model. MIL asks one pooled logit a video, in which high segments weigh more: an
anomalous video needs some, a normal one may have none. By itself MIL follows its own first mistakes. Every video counts
alike, however long it is.

The pooled logit is the log-mean-exp of J. Ramon and L. De Raedt (Multi instance neural networks, ICML workshop 2000)
and P. O. Pinheiro and R. Collobert (CVPR 2015). Unlike a top-k mean it has no kinks at which a solver would halt.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float
from torch import Tensor

INHERITANCE = 0.5  # its share of the objective; MIL has the rest
SHARPNESS = 0.5  # tau as a share of the spread of inheritance's logits: towards 0 the maximum, large the mean
_STEPS = 150  # of the solver, in each of its two rounds: nothing but the penalty decides what is left
_LEAST_TAU = 1e-6


def linear_mil(
    videos: Sequence[Float[np.ndarray, "_segment channel"]],
    anomalous: Sequence[bool],
    inverse_penalty: float,
    inheritance: float = INHERITANCE,
) -> tuple[Float[np.ndarray, "channel"], float]:
    """(w, b) that minimise |w|^2 / 2 + C n sum over videos of (a inherited + (1 - a) MIL); b is not penalised.

    `inherited` is the mean over a video's segments of the cross-entropy with its label, `MIL` the cross-entropy of
    tau log mean exp(z / tau), z its segments' logits; n is the mean number of segments, C the inverse penalty, a
    `inheritance`. Below a = 1 the objective may have more than one minimum: the solver starts from that of a = 1, so
    the answer is always the same. Each video has at least one segment; channels are of spread 1.
    """
    lengths = torch.tensor([len(video) for video in videos])
    values = torch.from_numpy(np.concatenate(videos).astype(np.float64))
    center = values.mean(0)
    values -= center  # once: the solver passes over them many times
    labels = torch.tensor(anomalous, dtype=torch.float64)
    weight = torch.zeros(values.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    rate = inverse_penalty * float(lengths.sum()) / len(lengths)
    _solve(values, lengths, labels, weight, bias, rate, None)
    if inheritance < 1:
        tau = max(SHARPNESS * float((values @ weight.detach()).std(unbiased=False)), _LEAST_TAU)
        _solve(values, lengths, labels, weight, bias, rate, (inheritance, tau))
    found = weight.detach()
    return found.numpy(), float(bias.detach() - center @ found)


def pooled(logits: Float[Tensor, "segment"], of: Tensor, lengths: Tensor, tau: float) -> Float[Tensor, "video"]:
    """tau log mean exp(z / tau) over each video's segments; `of` is each segment's video."""
    highest = torch.full((len(lengths),), float("-inf"), dtype=logits.dtype)
    highest = highest.scatter_reduce(0, of, logits.detach(), "amax")  # so that no exponential overflows
    total = torch.zeros_like(highest).index_add(0, of, ((logits - highest[of]) / tau).exp())
    return highest + tau * (total / lengths).log()


def _solve(
    values: Float[Tensor, "segment channel"],
    lengths: Tensor,
    labels: Float[Tensor, "video"],
    weight: Tensor,
    bias: Tensor,
    rate: float,
    mil: tuple[float, float] | None,
) -> None:
    """Bring weight and bias to a minimum near where they are; `mil`: inheritance's share, and tau."""
    of = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    target, each_weighs = labels[of], 1 / lengths.double()[of]
    share, tau = mil or (1.0, 1.0)
    solver = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe", history_size=10)

    def loss() -> float:
        solver.zero_grad()
        logits = values @ weight + bias
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        of_videos = share * (each * each_weighs).sum()
        if mil is not None:
            whole = pooled(logits, of, lengths, tau)
            of_videos = of_videos + (1 - share) * F.binary_cross_entropy_with_logits(whole, labels, reduction="sum")
        # for each video and unit of rate: the solver's tolerances are absolute
        objective = (of_videos + 0.5 * weight.square().sum() / rate) / len(lengths)
        objective.backward()  # type: ignore[no-untyped-call]
        return float(objective.detach())

    solver.step(loss)  # type: ignore[no-untyped-call]
