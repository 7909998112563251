"""An order in which like things are neighbours: the shortest path through a distance matrix, nearly."""

import numpy as np
from jaxtyping import Float


def seriate(distance: Float[np.ndarray, "thing thing"]) -> list[int]:
    """Order things so that the sum of distances between neighbours is small.

    The best of the nearest-neighbour paths from each start, then stretches reversed while that shortens it (2-opt).
    Deterministic; for tens of things.
    """
    count = len(distance)
    if count < 3:
        return list(range(count))
    order = min((_from(distance, start) for start in range(count)), key=lambda path: _length(distance, path))
    shorter = True
    while shorter:
        shorter = False
        for first in range(count - 1):
            for last in range(first + 1, count):
                turned = [*order[:first], *reversed(order[first : last + 1]), *order[last + 1 :]]
                if _length(distance, turned) < _length(distance, order) - 1e-12:
                    order, shorter = turned, True
    return order


def _from(distance: Float[np.ndarray, "thing thing"], start: int) -> list[int]:
    path, left = [start], set(range(len(distance))) - {start}
    while left:
        nearest = min(left, key=lambda thing: (distance[path[-1], thing], thing))
        path.append(nearest)
        left.remove(nearest)
    return path


def _length(distance: Float[np.ndarray, "thing thing"], path: list[int]) -> float:
    return float(distance[path[:-1], path[1:]].sum())
