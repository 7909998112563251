"""Random features of a benchmark's shape: every video of the official lists at its true length, in VadCLIP's layout.

    python benchmarks/published_features.py ucf-crime --width 512 --crops 10 --out FOLDER
    refinevad bench recipe recipes/ucf_crime.toml --features FOLDER --seeds 0 --out out/bench/ucf_crime_random

What they say of a method is nothing; they show that a recipe runs, in what time and memory. Lengths: test videos' from
test_truth.json; UCF-Crime's training videos' from captions.json (duration x 30), the median for the 42 without one.
XD-Violence's training list lies with its features, which are not here: 3,954 made-up names, the test videos' lengths.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from refinevad.datasets.benchmarks import XD_VIOLENCE, read_ucf_split
from refinevad.timeline import FIELD_SEGMENT_FRAMES

UCF_RATE_HZ = 30.0
XD_TRAIN_LABELS = ("A", "B1-0-0", "B2-0-0", "B4-0-0", "B5-0-0", "B6-0-0", "G-0-0", "B1-B2-0")


def ucf_lengths(data: Path) -> Iterator[tuple[str, int]]:
    """(path below the features' folder, segments) of UCF-Crime's 1,900 videos."""
    durations = {name: entry["duration_s"] for name, entry in json.loads((data / "captions.json").read_text()).items()}
    usual = float(np.median(list(durations.values())))
    frames = {video["name"]: video["frames"] for video in json.loads((data / "test_truth.json").read_text())["videos"]}
    for name in ("Anomaly_Train.txt", "Anomaly_Test.txt"):
        for entry in read_ucf_split(data / name):
            count = frames.get(entry.name, round(durations.get(entry.name, usual) * UCF_RATE_HZ))
            yield f"{(*entry.labels, 'Normal')[0]}/{entry.name}", -(-count // FIELD_SEGMENT_FRAMES)


def xd_lengths(data: Path) -> Iterator[tuple[str, int]]:
    """(path below the features' folder, segments) of XD-Violence's 800 test videos and 3,954 made-up ones."""
    videos = json.loads((data / "test_truth.json").read_text())["videos"]
    lengths = [-(-video["frames"] // FIELD_SEGMENT_FRAMES) for video in videos]
    for number in range(XD_VIOLENCE.train_videos):
        # every second one is normal, as about half of the benchmark's are
        label = XD_TRAIN_LABELS[(number // 2) % len(XD_TRAIN_LABELS) if number % 2 else 0]
        yield f"train/v=made-up-{number:04d}__#1_label_{label}", lengths[number % len(lengths)]
    for video, length in zip(videos, lengths, strict=True):
        yield f"test/{video['name']}", length


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=("ucf-crime", "xd-violence"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the benchmarks' folders")
    parser.add_argument("--width", type=int, default=512, help="channels")
    parser.add_argument("--crops", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    lengths = (ucf_lengths if arguments.benchmark == "ucf-crime" else xd_lengths)(arguments.data / arguments.benchmark)
    generator = np.random.default_rng(0)
    pool = generator.normal(size=(70_000, arguments.width)).astype(np.float16)  # the longest video has 61,031 segments
    segments = 0
    for path, length in lengths:
        target = arguments.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        for crop in range(arguments.crops):
            first = int(generator.integers(len(pool) - length))
            np.save(target.with_name(f"{target.name}__{crop}.npy"), pool[first : first + length])
        segments += length
    print(f"{segments:,} segments x {arguments.crops} crops x {arguments.width} channels -> {arguments.out}")


if __name__ == "__main__":
    main()
