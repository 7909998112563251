"""A few numbers of a camera's picture now and then, by which the engine tells whether it can see (engine/health.py)."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.live.capture.messages import Look

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

LONG_SIDE = 320
_CELL = 4  # pixels of a side of the cells on which edges are compared
_LEARN = 20  # looks: over as many the view is learnt, evenly
_FORGET = 600.0  # looks: 5 minutes at two a second, after which a new view has become the known one


class LookMaker:
    """One connection's looks; the view that it knows is the mean of the last minutes."""

    def __init__(self) -> None:
        self._last: UInt8[np.ndarray, "_ _"] | None = None
        self._known: Float[np.ndarray, "_ _"] | None = None
        self._seen = 0

    def look(self, frame: "VideoFrame", time_s: float) -> Look:
        """At a frame of stream second `time_s`."""
        scale = min(1.0, LONG_SIDE / max(frame.width, frame.height))
        width, height = (max(2 * _CELL, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
        return self.of(frame.reformat(width=width, height=height, format="gray").to_ndarray(), time_s)

    def of(self, gray: UInt8[np.ndarray, "_ _"], time_s: float) -> Look:
        """At a small grey picture."""
        picture = gray.astype(np.float32)
        inner = picture[1:-1, 1:-1]
        detail = np.abs(4 * inner - picture[:-2, 1:-1] - picture[2:, 1:-1] - picture[1:-1, :-2] - picture[1:-1, 2:])
        contrast = float(picture.std())
        change = 255.0 if self._last is None or self._last.shape != gray.shape else _apart(gray, self._last)
        self._last = gray
        return Look(
            time_s,
            float(picture.mean()),
            contrast,
            float(detail.mean()) / (contrast + 1.0),
            change,
            self._likeness(picture),
        )

    def _likeness(self, picture: Float[np.ndarray, "_ _"]) -> float:
        """Correlation of the picture's edges with those of the view that is known; 1 with none known."""
        edges = _edges(picture)
        known = self._known
        if known is None or known.shape != edges.shape:
            self._known, self._seen = edges, 1
            return 1.0
        both = float(np.sqrt((edges * edges).sum() * (known * known).sum()))
        self._seen += 1
        self._known = known + (edges - known) / (min(self._seen, _LEARN) if self._seen <= _LEARN else _FORGET)
        return float((edges * known).sum()) / both if both > 0 else 0.0


def _edges(picture: Float[np.ndarray, "_ _"]) -> Float[np.ndarray, "_ _"]:
    """Where the picture has edges: mean steps of brightness in each cell, on a logarithm's scale, less their mean."""
    steps = np.abs(np.diff(picture, axis=0))[:, :-1] + np.abs(np.diff(picture, axis=1))[:-1]
    rows, columns = steps.shape[0] // _CELL, steps.shape[1] // _CELL
    cells = steps[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3))
    edges = np.log1p(cells)
    return np.asarray(edges - edges.mean())


def _apart(one: UInt8[np.ndarray, "_ _"], other: UInt8[np.ndarray, "_ _"]) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())
