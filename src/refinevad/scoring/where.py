"""Where in the picture an event's score came from, and by which path: what is told of its peak (docs/formats.md).

What a segment says of motion is pooled over the picture, so no number of it belongs to a cell. A cell's part is what
the score loses once the cell is left out (locating.py finds it; here is what becomes of the losses).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float

REGION_SHARE = 0.3  # a cell this strong beside the strongest one is of its region, where it touches it
_DIGITS = 4

Box = tuple[float, float, float, float]


class WhereFacts(TypedDict):
    """`cells`: weight of each cell, row by row from the upper left; `box`: left, top, right, bottom in [0, 1]."""

    rows: int
    columns: int
    cells: list[float]
    box: list[float]


class WhyFacts(TypedDict):
    """Shares in [0, 1] of each path and category; the segment's score as it is, and without the box."""

    paths: dict[str, float]
    categories: dict[str, float]
    score: float
    without: float


@dataclass(frozen=True)
class Where:
    """Of one segment: which cells its score came from.

    Attributes:
        weights: of each cell, row 0 at the top of the upright picture; 0 and above, they add up to 1.
    """

    weights: Float[np.ndarray, "row column"]

    @property
    def region(self) -> Bool[np.ndarray, "row column"]:
        """The strongest cell and what is strong and joined to it, by sides or corners."""
        strong = self.weights >= REGION_SHARE * self.weights.max()
        region = np.zeros_like(strong)
        region[np.unravel_index(int(self.weights.argmax()), region.shape)] = True
        while True:
            padded = np.pad(region, 1)
            rows, columns = region.shape
            near = np.logical_or.reduce([padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)])
            grown = near & strong
            if (grown == region).all():
                return np.asarray(region)
            region = grown

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) of the strongest region, in fractions of the upright picture."""
        rows, columns = (np.flatnonzero(self.region.any(axis=axis)) for axis in (1, 0))
        high, wide = self.weights.shape
        return (
            float(columns[0] / wide),
            float(rows[0] / high),
            float((columns[-1] + 1) / wide),
            float((rows[-1] + 1) / high),
        )

    def facts(self) -> WhereFacts:
        """As it is told."""
        rows, columns = self.weights.shape
        cells = [round(float(weight), _DIGITS) for weight in self.weights.ravel()]
        return {"rows": rows, "columns": columns, "cells": cells, "box": [round(side, _DIGITS) for side in self.box]}


@dataclass(frozen=True)
class Why:
    """Of one segment: what carried its score.

    Attributes:
        paths: share of each path in what the logit loses without the box; paths that speak against it have none.
        categories: share of each category at the segment.
        score, without: of the segment and the few before it alone, as it is and without the box; in [0, 1].
    """

    paths: Mapping[str, float]
    categories: Mapping[str, float]
    score: float
    without: float

    def facts(self) -> WhyFacts:
        """As it is told."""
        paths, categories = (
            {name: round(float(share), _DIGITS) for name, share in shares.items()}
            for shares in (self.paths, self.categories)
        )
        score, without = (round(float(value), _DIGITS) for value in (self.score, self.without))
        return {"paths": paths, "categories": categories, "score": score, "without": without}


@dataclass(frozen=True)
class Located:
    """Where and why, of the segment at an event's peak."""

    where: Where
    why: Why


def shares_of_gains(names: Sequence[str], gains: Float[np.ndarray, "name"]) -> dict[str, float]:
    """Each gain's share of those above 0; all 0 where none is."""
    above = np.maximum(gains, 0.0)
    return dict(zip(names, (above / max(float(above.sum()), 1e-12)).tolist(), strict=True))
