"""Bags under a window rule: in training, too, a segment's score comes from the windows a stream would see it in.

A video's windows go through the model one by one. Its scores are those of the windows' zones together, and what a
video has once comes from all windows: for each category the logits of the window that shows it most, of pooled vectors,
mixtures and evidence the mean. The losses then see a video like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refinevad.datasets.bag import Bag, Shortening
from refinevad.errors import InputError
from refinevad.machine.devices import pinned, sent
from refinevad.model_output import Output
from refinevad.scoring.tokens import merge_runs
from refinevad.scoring.windows import Window
from refinevad.segment_model import SegmentModel
from refinevad.training.bags import Batch, collate

MOST_WINDOWS = 8  # of one video in one step, drawn anew each epoch: a day of video has thousands


@dataclass(frozen=True)
class WindowedBag(Bag):
    """A bag that knows its video's segments and windows; `values` are the whole video's, for statistics.

    Attributes:
        video: the segments as they are, one vector each.
        windows: of the rule, over these segments.
        merged: whether equal neighbours become one inside a window.
    """

    video: Float[np.ndarray, "whole channel"]
    windows: tuple[Window, ...]
    merged: bool

    def piece(self, window: Window) -> tuple[Float[np.ndarray, "token channel"], Bool[np.ndarray, "token"]]:
        """What the model sees of a window, and which of it lies in the zone."""
        values = self.video[window.start : window.end]
        zone = np.arange(window.start, window.end) >= window.zone
        if not self.merged:
            return values, zone
        tokens = merge_runs(values)
        inside = np.zeros(len(tokens.values), dtype=bool)
        inside[tokens.place[zone & (tokens.place >= 0)]] = True
        return tokens.values, inside


@dataclass(frozen=True)
class WindowedBatch(Batch):
    """What the losses see of videos (`values` are blank), and the windows that are behind it.

    Attributes:
        pieces: the windows as videos, with their video's labels.
        rows: which segment of `pieces`, counted through, each segment of `mask` is.
        owned: the windows of each video; `owns` is false where a video has fewer.
    """

    pieces: Batch
    rows: Int[Tensor, "video segment"]
    owned: Int[Tensor, "video window"]
    owns: Bool[Tensor, "video window"]

    def pinned(self, device: torch.device) -> "WindowedBatch":
        plain, pieces = super().pinned(device), self.pieces.pinned(device)
        places = (pinned(self.rows, device), pinned(self.owned, device), pinned(self.owns, device))
        return WindowedBatch(plain.values, plain.mask, plain.labels, pieces, *places)

    def to(self, device: torch.device) -> "WindowedBatch":
        plain, pieces = super().to(device), self.pieces.to(device)
        places = (sent(self.rows, device), sent(self.owned, device), sent(self.owns, device))
        return WindowedBatch(plain.values, plain.mask, plain.labels, pieces, *places)

    def of_videos(self, output: Output) -> Output:
        """The windows' output as their videos'."""

        def of_segments(values: Float[Tensor, "piece token *rest"]) -> Float[Tensor, "video segment *rest"]:
            chosen = values.flatten(0, 1)[self.rows]
            return chosen * self.mask.view(*self.mask.shape, *([1] * (chosen.ndim - 2)))

        def mean(values: Float[Tensor, "piece *rest"]) -> Float[Tensor, "video *rest"]:
            owns = self.owns.view(*self.owns.shape, *([1] * (values.ndim - 1))).to(values.dtype)
            return (values[self.owned] * owns).sum(1) / owns.sum(1)

        of_windows = output.category_logits[self.owned]
        margin = (of_windows[..., 1] - of_windows[..., 0]).masked_fill(~self.owns[..., None], float("-inf"))
        best = margin.argmax(1, keepdim=True)[..., None].expand(-1, -1, -1, 2)
        coarse = of_segments(output.coarse)
        return replace(
            output,
            logits=of_segments(output.logits),
            coarse=coarse / coarse.sum(-1, keepdim=True).clamp_min(1e-9),
            category_logits=of_windows.gather(1, best)[:, 0],
            mixture=mean(output.mixture),
            segment_logits=of_segments(output.segment_logits),
            shift_ratio=of_segments(output.shift_ratio),
            embedding=mean(output.embedding),
            refined=of_segments(output.refined),
            evidence=of_segments(output.evidence),
            video_evidence=mean(output.video_evidence),
        )


def make_batch(
    bags: Sequence[Bag], limit: int, how: Shortening = "pool", draw: np.random.Generator | None = None
) -> Batch:
    """Pad bags into a batch. Of windowed ones at most `MOST_WINDOWS` windows: drawn, or evenly spaced without `draw`.

    Windows keep their own length: `limit` is for whole videos.
    """
    windowed = [bag for bag in bags if isinstance(bag, WindowedBag)]
    return _collate_windows(windowed, draw) if windowed else collate(bags, limit, how)


def pass_through(model: SegmentModel, batch: Batch) -> Any:
    """The model's output on a batch's videos, through their windows where it has them.

    Raises:
        InputError: windows, and a head that is not RefineVAD's.
    """
    if not isinstance(batch, WindowedBatch):
        return model(batch.values, batch.mask, batch.labels)
    if not model.trained_in_windows:
        raise InputError("training under a window rule is for RefineVAD: leave window_s out for another head")
    return batch.of_videos(model(batch.pieces.values, batch.pieces.mask, batch.pieces.labels))


def _collate_windows(bags: Sequence[WindowedBag], draw: np.random.Generator | None) -> WindowedBatch:
    pieces: list[Bag] = []
    places: list[list[tuple[int, int]]] = []  # (piece, token) of each video's segments
    owned: list[list[int]] = []
    for bag in bags:
        places.append([])
        owned.append([])
        for values, zone in _pieces(bag, draw):
            owned[-1].append(len(pieces))
            places[-1] += [(len(pieces), int(token)) for token in np.flatnonzero(zone)]
            pieces.append(Bag(values, bag.labels))
    longest = max(len(piece.values) for piece in pieces)
    batch = collate(pieces, longest)
    rows, mask = _padded([[piece * longest + token for piece, token in of_video] for of_video in places])
    windows, owns = _padded(owned)
    labels = torch.from_numpy(np.stack([bag.labels for bag in bags]))
    return WindowedBatch(torch.zeros(*mask.shape, 1), mask, labels, batch, rows, windows, owns)


def _pieces(
    bag: WindowedBag, draw: np.random.Generator | None
) -> list[tuple[Float[np.ndarray, "_token channel"], Bool[np.ndarray, "_token"]]]:
    """Windows that have something to say; the whole video where none has."""
    count = min(MOST_WINDOWS, len(bag.windows))
    if draw is None:
        chosen = np.linspace(0, len(bag.windows) - 1, count).round().astype(np.int64)
    else:
        chosen = np.sort(draw.choice(len(bag.windows), count, replace=False))
    found = [bag.piece(bag.windows[place]) for place in chosen]
    found = [(values, zone) for values, zone in found if zone.any()]
    return found or [(bag.values, np.ones(len(bag.values), dtype=bool))]


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "row column"], Bool[Tensor, "row column"]]:
    width = max(map(len, rows))
    values = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=bool)
    for place, row in enumerate(rows):
        values[place, : len(row)] = row
        mask[place, : len(row)] = True
    return torch.from_numpy(values), torch.from_numpy(mask)
