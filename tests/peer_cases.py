"""Small heads and synthetic bags for the tests of the peers."""

from typing import Any

import numpy as np
import torch

from cases import padded, random_bags
from refinevad.peers.base import Head
from refinevad.peers.choice import open_head

torch.set_num_threads(1)

CHANNELS, CATEGORIES = 8, ("a", "b")
SMALL: dict[str, dict[str, Any]] = {
    "sultani": {"hidden": 32, "bottleneck": 8},
    "rtfm": {"hidden": 32, "bottleneck": 16},
    "ur_dmu": {"width": 16, "memory": 8, "hidden": 16, "layers": 1},
    "bn_wvad": {"width": 16, "layers": 1},
    "vadclip": {"width": 16, "heads": 2},
    "transformer_mil": {"width": 16, "layers": 1, "heads": 2},
}


def small_head(name: str, seed: int = 0, **changes: Any) -> Head[Any]:
    """A small head whose weights, and statistics that start at 0 or 1, are a function of the seed."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    head = open_head(name, CHANNELS, CATEGORIES, **{**SMALL[name], **changes})
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
        for label, buffer in head.named_buffers():
            if label.endswith(("scale", "variance")):
                buffer.uniform_(0.5, 2.0, generator=generator)
            else:
                buffer.normal_(generator=generator)
    return head


def random_batch(lengths: list[int], seed: int, beyond: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(values, mask) of random videos; what lies in the padding is not even a number."""
    return padded(random_bags(lengths, CHANNELS, seed, False), beyond, filling=float("nan"))


def planted(videos: int, seed: int) -> tuple[torch.Tensor, ...]:
    """(values, mask, labels, events, bursts): every video has a loud burst, every second one an event as loud.

    An event shows in channel 0 or 1, by its category, a burst in channel 4: loudness tells neither when nor which.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 25, videos)
    values = rng.normal(size=(videos, 24, CHANNELS)).astype(np.float32)
    mask = np.arange(24)[None] < lengths[:, None]
    labels = np.zeros((videos, len(CATEGORIES)), dtype=np.float32)
    events, bursts = np.zeros(mask.shape, dtype=bool), np.zeros(mask.shape, dtype=bool)
    for video, length in enumerate(lengths):
        half, swap = int(length) // 2, int(rng.integers(2))
        starts = [int(rng.integers(0, half - 3)), int(rng.integers(half, length - 3))]
        values[video, starts[swap] : starts[swap] + 4, 4] += 4.0
        bursts[video, starts[swap] : starts[swap] + 4] = True
        if video % 2:
            category, start = video // 2 % 2, starts[1 - swap]
            values[video, start : start + 4, category] += 4.0
            events[video, start : start + 4] = True
            labels[video, category] = 1.0
    return tuple(map(torch.from_numpy, (values, mask, labels, events, bursts)))


def trained(name: str, seed: int, rate: float, steps: int, **changes: Any) -> Head[Any]:
    """A head of PyTorch's own start after a few steps on planted bags, 32 a step, from their video labels."""
    torch.manual_seed(seed)
    head = open_head(name, CHANNELS, CATEGORIES, **{**SMALL[name], **changes})
    values, mask, labels, *_ = planted(64, seed)
    head.fit_statistics(values, mask)
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate)
    head.train()
    for step in range(steps):
        half = slice(0, 32) if step % 2 else slice(32, 64)
        optimizer.zero_grad()
        total(head.loss(head(values[half], mask[half]), labels[half], mask[half])).backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
    return head.eval()


def total(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(terms.values())).sum()


def auc(scores: torch.Tensor, truth: torch.Tensor) -> float:
    """Share of (event, other) pairs that the scores put in order; ties count half."""
    above = scores[truth][:, None] - scores[~truth][None, :]
    return float(((above > 0).double() + 0.5 * (above == 0)).mean())
