"""What the program does on a GPU, as one Markdown table.

    python benchmarks/gpu.py                       # needs CUDA; about three minutes
    python benchmarks/gpu.py --tiny --device cpu   # the same rows at sizes that run anywhere in seconds

- the chip's matrix rate: the best of several square products, in bfloat16 and float32, in this run
- CLIP ViT-L/14 (random weights, right shapes) through `encoders/clip.py`: its network alone, and from pixels to vectors
- the head from 256 segments to a day by `scores.score`, copies to and from the device included: eager, torch.compile
- training at UCF-Crime's size (64 videos of 256 segments of 1,024 numbers a step): steps with and without reading
- end to end: pixels in memory -> CLIP -> head -> scores

Medians after warming up. Memory is what torch allocated at most. Besides torch and numpy nothing has to be installed:
packages that only type or store are stood in for, and rows that need transformers say so.
"""

import argparse
import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_rows import (
    HEAD,
    ROOT,
    Row,
    counted_flops,
    forget_peak,
    machine,
    markdown,
    matrix_rate,
    peak_mb,
    seconds,
    stand_in,
)


@dataclass(frozen=True)
class Sizes:
    """What is run; `tiny` keeps every row and shrinks it."""

    matrix: int = 8192
    # width, hidden, layers, heads, side, patch
    vision: tuple[int, int, int, int, int, int] = (1024, 4096, 24, 16, 224, 14)
    projection: int = 768
    images: int = 256
    segments: tuple[int, ...] = (256, 4096, 32_768, 135_000)
    channels: int = 1024
    videos: int = 1610
    limit: int = 256
    batch: int = 64
    repeats: int = 7


TINY = Sizes(64, (16, 32, 2, 2, 32, 8), 12, 4, (8, 40), 12, 8, 8, 4, 1)


def main() -> int:
    """Print one table; 2 where the device is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:N or cpu")
    parser.add_argument("--tiny", action="store_true", help="shrink every row, to see that it runs")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    args = parser.parse_args()
    stand_in()
    from refinevad.errors import InputError
    from refinevad.machine.devices import open_device

    try:
        device = open_device(args.device)
    except InputError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    print(f"{machine(device)}\n")
    print(markdown(HEAD, "---"))
    for row in rows(TINY if args.tiny else Sizes(), device, compiled=not args.no_compile):
        print(markdown(row), flush=True)
    return 0


def rows(sizes: Sizes, device: Any, compiled: bool) -> Iterator[Row]:
    """Every row as it is done."""
    rates = {}
    for precision in ("bfloat16", "float32"):
        rates[precision], row = matrix_rate(sizes.matrix, device, precision)
        yield row
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("transformers") and importlib.util.find_spec("PIL"):
            encoder = random_clip(sizes, Path(folder), device)
            yield from clip_rows(sizes, device, encoder, rates)
            yield end_to_end(sizes, device, encoder)
        else:
            yield Row("CLIP ViT-L/14, end to end", "", "not run: transformers or Pillow is not installed here")
    for segments in sizes.segments:
        yield from head_rows(sizes, device, segments, compiled)
    for precision in ("float32", "bfloat16"):
        yield from training_rows(sizes, device, precision)


# --- CLIP -------------------------------------------------------------------------------------------------------


def random_clip(sizes: Sizes, folder: Path, device: Any) -> Any:
    """The product's encoder on a CLIP of these shapes, whose weights are random."""
    import torch
    import transformers

    from refinevad.encoders.clip import ClipEncoder

    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    shapes = dict(zip(names, sizes.vision, strict=True))
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(**shapes, projection_dim=sizes.projection)
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
    side = shapes["image_size"]
    settings = f'{{"size": {{"shortest_edge": {side}}}, "crop_size": {{"height": {side}}}}}'
    (folder / "preprocessor_config.json").write_text(settings, encoding="utf-8")
    return ClipEncoder(str(folder), device=str(device))


def clip_rows(sizes: Sizes, device: Any, encoder: Any, rates: dict[str, float]) -> Iterator[Row]:
    """The network alone in both precisions, the pictures' preprocessing alone, and both together."""
    import torch

    side, count = sizes.vision[4], sizes.images
    pixels, network = torch.randn(count, 3, side, side, device=device), encoder.network
    flops = counted_flops(lambda: network(pixel_values=pixels[:1]))
    for precision in ("bfloat16", "float32"):
        forget_peak(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            took = seconds(lambda: network(pixel_values=pixels), device, sizes.repeats)
        rate = flops * count / took
        numbers = (f"{took * 1e3:,.1f}", f"{count / took:,.0f} images/s", f"{rate / 1e12:,.1f}")
        share = f"{rate / rates[precision]:.0%}"
        yield Row("CLIP ViT-L/14, network", f"{count} x {side} x {side}", precision, *numbers, share, peak_mb(device))
    frames = pictures(count)
    took = seconds(lambda: encoder.preprocessing(frames), device, 1)
    size = f"{count} x {frames.shape[2]} x {frames.shape[1]}"
    yield Row(
        "CLIP, pictures made ready", size, "Pillow, one thread", f"{took * 1e3:,.1f}", f"{count / took:,.0f} images/s"
    )
    clips = as_clips(frames)
    with torch.autocast(device.type, torch.bfloat16):
        took = seconds(lambda: encoder.encode(clips), device, 1)
    yield Row("CLIP, pixels to vectors", size, "bfloat16", f"{took * 1e3:,.1f}", f"{count / took:,.0f} images/s")


def pictures(count: int) -> Any:
    """Noise of a small camera's size."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (count, 240, 320, 3), dtype=np.uint8)


def as_clips(frames: Any) -> list[Any]:
    """A segment of 0.64 s for each picture."""
    import numpy as np

    from refinevad.video.frames import Clip

    gray, none = np.zeros((0, 1, 1), dtype=np.uint8), np.zeros(0)
    times = [0.64 * place for place in range(len(frames) + 1)]
    pairs = itertools.pairwise(times)
    return [Clip(f[None], np.array([s]), gray, none, s, e, False) for f, (s, e) in zip(frames, pairs, strict=True)]


def end_to_end(sizes: Sizes, device: Any, encoder: Any) -> Row:
    """Pixels in memory to scores, a segment a picture."""
    import torch

    from refinevad.scoring.scores import score

    clips, model = as_clips(pictures(sizes.images)), open_head(sizes.projection, device)

    def chain() -> object:
        with torch.autocast(device.type, torch.bfloat16):
            vectors = encoder.encode(clips)
        return score(model, vectors)

    forget_peak(device)
    took = seconds(chain, device, 1)
    rate = f"{len(clips) / took:,.0f} segments/s, {0.64 * len(clips) / took:,.0f} x real time"
    return Row(
        "pixels to scores",
        f"{len(clips)} segments",
        "CLIP bfloat16",
        f"{took * 1e3:,.1f}",
        rate,
        "",
        "",
        peak_mb(device),
    )


# --- the head ---------------------------------------------------------------------------------------------------


def open_head(channels: int, device: Any) -> Any:
    """RefineVAD by default, 13 categories, random weights."""
    import torch

    from refinevad.model import RefineVAD
    from refinevad.model_config import RefineVADConfig

    torch.manual_seed(0)
    return RefineVAD(RefineVADConfig(channels, tuple(f"category {place}" for place in range(13)))).to(device).eval()


def head_rows(sizes: Sizes, device: Any, segments: int, compiled: bool) -> Iterator[Row]:
    """`score` of so many segments; compiled it must give the same scores."""
    import numpy as np
    import torch

    from refinevad.scoring.scores import score

    values = np.random.default_rng(0).standard_normal((segments, sizes.channels), dtype=np.float32)
    model = open_head(sizes.channels, device)
    expected = score(model, values).segments
    ways: list[tuple[str, Any]] = [("eager", model)] + ([("torch.compile", torch.compile(model))] if compiled else [])
    for name, head in ways:
        forget_peak(device)
        try:
            error = float(np.abs(score(head, values).segments - expected).max())
            took = seconds(lambda head=head: score(head, values), device, sizes.repeats)
        except RuntimeError as failed:  # no compiler on this machine, or too little memory
            yield Row("head", f"{segments:,}", f"{name}, not run: {str(failed).splitlines()[0][:80]}")
            continue
        how = name if name == "eager" else f"{name}, differs by {error:.0e}"
        rate = f"{segments / took:,.0f} segments/s"
        yield Row("head", f"{segments:,}", how, f"{took * 1e3:,.2f}", rate, "", "", peak_mb(device))


# --- training ---------------------------------------------------------------------------------------------------


def training_rows(sizes: Sizes, device: Any, precision: str) -> Iterator[Row]:
    """Steps on one batch that stays on the device, and an epoch whose batches come from memory by pinned copies."""
    import numpy as np

    from refinevad.datasets.bag import Bag
    from refinevad.model_config import RefineVADConfig
    from refinevad.training.loop import Trainer
    from refinevad.training.train_options import TrainOptions

    categories = tuple(f"category {place}" for place in range(13))
    pool = np.random.default_rng(0).standard_normal((sizes.limit + 999, sizes.channels), dtype=np.float32)
    labels = np.eye(13, dtype=np.float32)
    bags = [
        Bag(pool[number % 999 : number % 999 + sizes.limit], labels[number % 13] * (number % 2))
        for number in range(sizes.videos)
    ]
    options: Any = {"batch": sizes.batch, "limit": sizes.limit, "precision": precision}
    trainer = Trainer(RefineVADConfig(sizes.channels, categories), TrainOptions(**options), bags, [], ROOT, device)
    trainer.model.train()
    order = trainer.order(0)
    (batch,) = trainer.batches(0, order[:1])
    forget_peak(device)
    took = seconds(lambda: trainer._step(batch), device, sizes.repeats)
    read = seconds(lambda: [trainer._step(one) for one in trainer.batches(0, order)], device, 1) / len(order)
    size = f"{len(batch.labels)} x {sizes.limit} x {sizes.channels:,}"
    for what, each in (("training step", took), ("training, an epoch read from memory", read)):
        rate = f"{1 / each:,.2f} steps/s, epoch {each * len(order):,.1f} s"
        yield Row(what, size, precision, f"{each * 1e3:,.1f}", rate, "", "", peak_mb(device))


if __name__ == "__main__":
    sys.exit(main())
