"""Vectors -> two dimensions: principal components by SVD, and t-SNE where scikit-learn is installed."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from jaxtyping import Float

_LEAST_FOR_TSNE = 12  # below that a map by neighbourhoods says nothing


@dataclass(frozen=True, eq=False)
class Projection:
    """Places on a map.

    Attributes:
        method: `principal components` or `t-SNE`.
        told: how to read the axes.
    """

    method: str
    points: Float[np.ndarray, "point 2"]
    told: str


def principal_components(vectors: Float[np.ndarray, "point width"]) -> Projection:
    """The two directions of largest variance; each axis points to where its largest loading is positive."""
    centred = vectors - vectors.mean(axis=0)
    _, strength, directions = np.linalg.svd(centred, full_matrices=False)
    variance = strength**2
    directions, share = directions[:2], variance[:2] / max(variance.sum(), 1e-12)
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    points = centred @ directions.T
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    told = f"its two axes hold {100 * share.sum():.0f} % of the variance"
    return Projection("principal components", points, told)


def t_sne(vectors: Float[np.ndarray, "point width"]) -> Projection | None:
    """The paper's map: near ones stay near, distances between groups mean nothing. None without scikit-learn."""
    if find_spec("sklearn") is None or len(vectors) < _LEAST_FOR_TSNE:
        return None
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    method = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=0)
    points = np.asarray(method.fit_transform(vectors), dtype=np.float64)
    told = f"perplexity {perplexity:.0f}; only who is whose neighbour means something"
    return Projection("t-SNE", points, told)
