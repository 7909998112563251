"""refinevad bench list: the field's benchmarks, as this program knows them."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinevad.datasets.benchmarks import Benchmark

HELP = "the field's benchmarks: splits, categories, truth, sources"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    parser.add_argument("--json", metavar="FILE", help="write the list as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Print one block a benchmark, or JSON."""
    from refinevad.apps.terminal import give_json
    from refinevad.datasets.benchmarks import BENCHMARKS

    if not give_json({benchmark.key: described(benchmark) for benchmark in BENCHMARKS}, args.json):
        print("\n\n".join(_block(benchmark) for benchmark in BENCHMARKS))
    return 0


def described(benchmark: "Benchmark") -> dict[str, Any]:
    """What a program reads of a benchmark; null where the authors publish no such number."""
    from refinevad.datasets.importing import IMPORTABLE

    return {
        "title": benchmark.title,
        "source": benchmark.source,
        "columns": list(benchmark.columns),
        "rate_hz": benchmark.rate_hz,
        "train_videos": benchmark.train_videos,
        "train_anomalous_videos": benchmark.train_anomalous,
        "test_videos": benchmark.test_videos,
        "test_anomalous_videos": benchmark.test_anomalous,
        "test_frames": benchmark.test_frames,
        "test_anomalous_frames": benchmark.anomalous_frames,
        "annotation": benchmark.annotation,
        "split_files": list(benchmark.split_files),
        "checked": benchmark.checked,
        "importable": benchmark.key in IMPORTABLE,
    }


def _block(benchmark: "Benchmark") -> str:
    frames, anomalous = benchmark.test_frames, benchmark.anomalous_frames
    truth = "depends on the features' segments"
    if frames is not None:
        truth = f"{frames:,}" + (f", {anomalous:,} anomalous" if anomalous is not None else "")
    rows = [
        ("train", f"{benchmark.train_videos:,} videos, {benchmark.train_anomalous:,} anomalous"),
        ("test", f"{benchmark.test_videos:,} videos, {benchmark.test_anomalous:,} anomalous"),
        ("test frames", truth),
        ("categories", ", ".join(benchmark.categories)),
        ("normal", benchmark.columns[0]),
        ("split", " and ".join(benchmark.split_files) or "lists that lie with the features"),
        ("annotation", benchmark.annotation),
        ("source", benchmark.source),
        ("checked", benchmark.checked),
    ]
    lines = [f"  {name:<12}{value}" for name, value in rows]
    return "\n".join([f"{benchmark.key}  {benchmark.title}", *lines])
