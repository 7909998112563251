"""Whether memory stays flat: a day of video time, frame by frame, through `StreamingDetector` as fast as it goes.

    OMP_NUM_THREADS=1 python benchmarks/soak.py                              # 24 hours, a cheap encoder: minutes
    OMP_NUM_THREADS=1 python benchmarks/soak.py --model runs/mine --hours 1  # a trained run with its own encoder

Frames are small pictures that move in bursts, with presentation times at `--rate` a second; scores come by the window
rule of live streams (60 s, 5 s). Without `--model` the vector of a segment is the mean and the change of a coarse grid
of its grey frames, and the head's weights are random: all of the chain but the default encoder's networks.

Each row is a video hour: frames and segments so far, resident memory, blocks that Python holds (after its garbage was
collected), events so far. Flat: from the first hour on resident memory stays within 1 %.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from refinevad.apps.terminal import note, table
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.choice import EncoderChoice
from refinevad.features.store import Provenance
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.windows import WindowRule
from refinevad.streaming import StreamingDetector
from refinevad.timeline import SegmentRule

GRID = 4  # cells a side
FLAT = 0.01
SIZES = {"cheap": (64, 48), "model": (320, 240)}  # width and height of the pictures
PICTURES = 50  # half of them still


@dataclass(frozen=True)
class Hour:
    """What was seen at the end of a video hour; memory in bytes."""

    hour: float
    frames: int
    segments: int
    resident: float
    blocks: int
    events: int
    seconds: float


def main() -> int:
    """Print one table, and whether memory was flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, metavar="RUN", help="a trained run; none: a cheap encoder, random weights"
    )
    parser.add_argument("--hours", type=float, default=24.0, help="of video time")
    parser.add_argument("--rate", type=float, default=5.0, help="frames a second")
    parser.add_argument("--every", type=float, default=1.0, metavar="HOURS", help="video time between two rows")
    args = parser.parse_args()
    print(f"{args.hours:g} hours at {args.rate:g} frames/s, encoder {args.model or 'cheap'}; ", end="")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n", flush=True)
    seen = pictures(*SIZES["model" if args.model else "cheap"])
    detector = (
        StreamingDetector.open(args.model, rate_hz=args.rate, device="cpu")
        if args.model
        else cheap_detector(seen, args.rate)
    )
    hours = list(soak(detector, seen, args.hours, args.rate, args.every))
    print(table(rows(hours)), verdict(hours), sep="\n\n")
    return 0


def soak(
    detector: StreamingDetector, seen: Sequence[np.ndarray], hours: float, rate: float, every: float
) -> Iterator[Hour]:
    """Push frames; tell after each `every` hours of video time."""
    began, events, number = time.monotonic(), 0, 0
    for row in range(1, round(hours / every) + 1):
        while number < round(row * every * 3600 * rate):
            output = detector.push_frame(seen[number % len(seen)], number / rate)
            events += sum(update.kind == "new" for update in output.updates)
            number += 1
        gc.collect()
        blocks, lasted = sys.getallocatedblocks(), time.monotonic() - began
        found = Hour(row * every, number, detector.counts.segments, resident_bytes(), blocks, events, lasted)
        note(f"{found.hour:g} h: {found.resident / 1e6:.1f} MB, {found.seconds:.0f} s")
        yield found


def rows(hours: Sequence[Hour]) -> list[tuple[str, ...]]:
    """The table, its head first; growth is since the first row."""
    head: list[tuple[str, ...]] = [
        ("video hour", "frames", "segments", "resident MB", "growth", "Python blocks", "growth", "events", "s")
    ]
    first = hours[0]
    return [*head, *(_row(one, first) for one in hours)]


def _row(one: Hour, first: Hour) -> tuple[str, ...]:
    return (
        f"{one.hour:g}",
        f"{one.frames:,}",
        f"{one.segments:,}",
        f"{one.resident / 1e6:.1f}",
        f"{one.resident / first.resident - 1:+.2%}",
        f"{one.blocks:,}",
        f"{one.blocks / first.blocks - 1:+.2%}",
        f"{one.events:,}",
        f"{one.seconds:.0f}",
    )


def verdict(hours: Sequence[Hour]) -> str:
    """Slope by least squares, and whether it is flat."""
    if len(hours) < 2:
        return "one row says nothing of growth"
    times = [one.hour for one in hours]
    slopes = [_slope(times, [value(one) for one in hours]) for value in (_megabytes, _blocks)]
    first = hours[0].resident
    most = max(abs(one.resident / first - 1) for one in hours)
    return (
        f"slope {slopes[0]:+.3f} MB and {slopes[1]:+,.0f} Python blocks an hour; "
        f"resident memory within {most:.2%} of the first row: {'flat' if most <= FLAT else 'NOT flat'} to {FLAT:.0%}"
    )


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    apart = np.array(x) - np.mean(x)
    return float(apart @ (np.array(y) - np.mean(y)) / (apart @ apart))


def _megabytes(one: Hour) -> float:
    return one.resident / 1e6


def _blocks(one: Hour) -> float:
    return float(one.blocks)


def resident_bytes() -> float:
    """Of this process now. Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))


# --- streams ----------------------------------------------------------------------------------------------------


def pictures(width: int, height: int) -> list[np.ndarray]:
    """A still street, then the same with noise that moves across it."""
    generator = np.random.default_rng(0)
    street = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
    moving = [np.ascontiguousarray(np.roll(street, 3 * step, axis=1)) for step in range(PICTURES // 2)]
    return [street] * (PICTURES - len(moving)) + moving


class GridEncoder(Encoder):
    """The mean and the mean absolute change of each cell of a coarse grid of the grey frames."""

    def __init__(self) -> None:
        self.name, self.dim = "grid", 2 * GRID * GRID
        self.needs = FrameNeeds(rgb_frames=0, gray_long_side=32)
        self.parts = {"grid": (0, self.dim)}

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(self.name, "")

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        return np.stack([self._one(clip) for clip in clips]).astype(np.float32)

    def _one(self, clip: Clip) -> Float[np.ndarray, "channel"]:
        frames, height, width = clip.gray.shape
        cut = clip.gray[:, : height // GRID * GRID, : width // GRID * GRID].astype(np.float32)
        cells = cut.reshape(frames, GRID, height // GRID, GRID, width // GRID).mean(axis=(2, 4)).reshape(frames, -1)
        change = np.abs(np.diff(cells, axis=0)).mean(axis=0) if frames > 1 else np.zeros(GRID * GRID)
        return np.concatenate([cells.mean(axis=0), change]) / 255


def cheap_detector(seen: Sequence[np.ndarray], rate: float) -> StreamingDetector:
    """Random weights, and a threshold that their scores of these pictures cross up and down."""
    encoder, rule = GridEncoder(), SegmentRule.default()
    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(encoder.dim, ("moving",))).eval()
    signature = Provenance(encoder.identity.as_dict(), rule.as_dict()).signature

    def at(threshold: float) -> StreamingDetector:
        checkpoint = Checkpoint(model, "grid", signature, Calibration(threshold, threshold, 6.0, False, 0.0))
        return StreamingDetector(checkpoint, WindowRule().live(), EncoderChoice("grid", encoder, None), rate)

    trial = at(1.0)
    outputs = [trial.push_frame(seen[number % len(seen)], number / rate) for number in range(round(120 * rate))]
    return at(float(np.median(np.concatenate([output.segments.scores for output in outputs]))))


if __name__ == "__main__":
    sys.exit(main())
