"""Small statistics the figures quote: ranks, rank correlation, nearest neighbours, confusion."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def ranks(values: Float[np.ndarray, "value"]) -> Float[np.ndarray, "value"]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def rank_correlation(a: Float[np.ndarray, "value"], b: Float[np.ndarray, "value"]) -> float:
    """Spearman's rho; nan where there are fewer than three values or either does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def neighbour_agreement(points: Float[np.ndarray, "point width"], labels: Sequence[str]) -> tuple[float, float]:
    """How often a point's nearest other point has its label, and how often a random other point would."""
    count = len(points)
    if count < 2:
        return float("nan"), float("nan")
    squares = (points**2).sum(axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * points @ points.T
    np.fill_diagonal(distance, np.inf)
    names = np.asarray(labels)
    same = names[:, None] == names[None, :]
    found = float(same[np.arange(count), distance.argmin(axis=1)].mean())
    return found, float((same.sum() - count) / (count * (count - 1)))


def cosines(vectors: Float[np.ndarray, "vector width"]) -> Float[np.ndarray, "vector vector"]:
    """Cosine of each pair; a zero vector is like nothing."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def confusion(
    true: Sequence[Sequence[str]], named: Sequence[str], categories: Sequence[str]
) -> Int[np.ndarray, "category category"]:
    """Videos by true (row) and named (column) category; a video with several true ones counts once in each row."""
    place = {name: index for index, name in enumerate(categories)}
    counts = np.zeros((len(categories), len(categories)), dtype=np.int64)
    for labels, said in zip(true, named, strict=True):
        for label in labels:
            if label in place:
                counts[place[label], place[said]] += 1
    return counts
