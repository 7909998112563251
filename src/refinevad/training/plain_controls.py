"""Trained controls without context: a linear model on video means, and a per-segment network with top-k MIL.

The first never sees a segment by itself: it learns which videos, and what it says of when is what single segments
share with whole videos. Smoothed, and with the video's mean weighed in, it is a frontier that any head has to clear.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float
from torch import nn

from refinevad.datasets.bag import Bag
from refinevad.standardising import LEAST_SCALE, standardised
from refinevad.training.bags import balanced_batches, collate
from refinevad.training.losses import top_k_mean

INVERSE_PENALTY = 10.0  # C of the logistic regression
# half-width of the average over segments, and the weight of the video's mean logit, which is 1 as it stands
READINGS = {
    "linear on video means": (0, 1.0),
    "linear on video means, smoothed 5, video 1.5": (5, 1.5),
    "linear on video means, smoothed 15, video 1": (15, 1.0),
}
MLP = "MLP with top-k MIL"
MLP_WIDTH, MLP_EPOCHS, MLP_RATE, MLP_DROPOUT = 128, 20, 1e-3, 0.3


def linear_on_means(
    training: Sequence[Float[np.ndarray, "_segment channel"]],
    anomalous: Sequence[bool],
    tested: Sequence[Float[np.ndarray, "_segment channel"]],
    readings: Mapping[str, tuple[int, float]] = READINGS,
) -> Mapping[str, list[Float[np.ndarray, "_segment"]]]:
    """Curves of each reading of a logistic regression on the training videos' means, applied to tested segments."""
    weight, bias = logistic_regression(np.stack([video.mean(0, dtype=np.float64) for video in training]), anomalous)
    logits = [video.astype(np.float64) @ weight + bias for video in tested]
    return {
        name: [_sigmoid(average(video, half) + (weight_of_mean - 1) * video.mean()) for video in logits]
        for name, (half, weight_of_mean) in readings.items()
    }


def logistic_regression(
    x: Float[np.ndarray, "video channel"], positive: Sequence[bool], inverse_penalty: float = INVERSE_PENALTY
) -> tuple[Float[np.ndarray, "channel"], float]:
    """(w, b) that minimise |w|^2 / 2 + C sum of log losses; b is not penalised."""
    values, target = torch.from_numpy(np.asarray(x, dtype=np.float64)), torch.tensor(positive, dtype=torch.float64)
    center = values.mean(0)
    values = values - center  # once: the solver passes over them many times
    weight = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=2000, tolerance_grad=1e-7, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        solver.zero_grad()
        logits = values @ weight + bias
        total = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        objective = inverse_penalty * total + 0.5 * weight.square().sum()
        objective.backward()  # type: ignore[no-untyped-call]
        return float(objective.detach())

    solver.step(loss)  # type: ignore[no-untyped-call]
    found = weight.detach()
    return found.numpy(), float(bias.detach() - center @ found)


def mlp_with_mil(
    training: Sequence[Bag], tested: Sequence[Float[np.ndarray, "_segment channel"]], limit: int, seed: int = 0
) -> list[Float[np.ndarray, "_segment"]]:
    """Segment scores of a small network on single segments, trained by cross-entropy of its top-k mean logit."""
    torch.manual_seed(seed)
    sample = np.concatenate([bag.values for bag in training])
    mean = torch.from_numpy(sample.mean(0, dtype=np.float64).astype(np.float32))
    scale = torch.from_numpy(sample.std(0, dtype=np.float64).astype(np.float32)).clamp_min(LEAST_SCALE)
    model = nn.Sequential(
        nn.Linear(sample.shape[1], MLP_WIDTH), nn.ReLU(), nn.Dropout(MLP_DROPOUT), nn.Linear(MLP_WIDTH, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=MLP_RATE)
    for epoch in range(MLP_EPOCHS):
        for chosen in balanced_batches(training, 64, seed, epoch):
            batch = collate([training[i] for i in chosen], limit)
            logits = model(standardised(batch.values, mean, scale)).squeeze(-1)
            target = (batch.labels.sum(-1) > 0).float()
            loss = F.binary_cross_entropy_with_logits(top_k_mean(logits, batch.mask), target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return [
            torch.sigmoid(model(standardised(torch.from_numpy(video), mean, scale)).squeeze(-1)).double().numpy()
            for video in tested
        ]


def average(values: Float[np.ndarray, "segment"], half_width: int) -> Float[np.ndarray, "segment"]:
    """Mean over [t - half_width, t + half_width], of what there is."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, last = np.maximum(place - half_width, 0), np.minimum(place + half_width + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first))


def _sigmoid(values: Float[np.ndarray, "segment"]) -> Float[np.ndarray, "segment"]:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))
