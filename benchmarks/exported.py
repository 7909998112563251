"""What export costs: a run's frame AUC and AP in each form and in 8 bits, on its test videos.

    refinevad train ../shared/data/survfights --out out/survfights
    python benchmarks/exported.py out/survfights --data ../shared/data/survfights \\
        --csv docs/results/data/export/survfights.csv

Each video is one window. The difference to the run itself is over the same resamples of videos.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.evaluating import open_on_data
from refinevad.exporting.exported import open_head, write_head
from refinevad.exporting.formats import file_of
from refinevad.exporting.graph import INPUT
from refinevad.features.store import Features
from refinevad.files.whole import atomic_write
from refinevad.judging.predictions import VideoPrediction, align
from refinevad.judging.resampling import Bootstrap, Sampled, interval, paired
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth import Truth
from refinevad.scoring.scores import score

FORMS = (("onnx", False), ("openvino", False), ("torchscript", False), ("onnx", True), ("openvino", True))
HEAD = ("form", "kilobytes", "frame AUC", "AUC less the run's", "frame AP", "largest difference of a score")
Score = Callable[[Float[np.ndarray, "segment channel"]], Float[np.ndarray, "segment"]]


def figures(scores: Mapping[str, np.ndarray], truth: Truth, bootstrap: Bootstrap) -> dict[str, Sampled]:
    """Frame AUC and AP over the videos, with their resamples."""
    predictions = {name: VideoPrediction.of(curve) for name, curve in scores.items()}
    return bootstrap.of_videos(align(predictions, truth).videos)


def cells(
    name: str, kilobytes: float, found: Mapping[str, Sampled], own: Mapping[str, Sampled], apart: float
) -> list[str]:
    """A line of the table."""
    low, high = interval(found["auc"]) or (np.nan, np.nan)
    gap = paired(found["auc"], own["auc"])
    less = "-" if found is own or gap is None else f"{gap.mean:+.5f} [{gap.low:+.5f}, {gap.high:+.5f}]"
    auc = f"{found['auc'].value:.4f} [{low:.3f}, {high:.3f}]"
    return [name, f"{kilobytes:.0f}", auc, less, f"{found['ap'].value:.4f}", "-" if found is own else f"{apart:.1e}"]


def rows(run: Path, features: Mapping[str, Features], truth: Truth) -> list[list[str]]:
    """A line a form, the run itself first."""
    model = Checkpoint.load(run).model
    own = {name: score(model, video.values).segments for name, video in features.items()}
    bootstrap = Bootstrap.of(truth)
    judged = figures(own, truth, bootstrap)
    lines = [cells("the run, in torch", (run / "model.safetensors").stat().st_size / 1000, judged, judged, 0.0)]
    with TemporaryDirectory() as folder:
        for form, quantised in FORMS:
            at = Path(folder, f"{form}-{quantised}")
            at.mkdir()
            write_head(Checkpoint.load(run).model, at, form, quantised, "the head")
            head = open_head(at / file_of("head", form), form)
            scores = {
                name: head({INPUT: video.values[None]})["scores"][0].astype(float) for name, video in features.items()
            }
            apart = max(float(np.abs(scores[name] - curve).max()) for name, curve in own.items())
            size = sum(path.stat().st_size for path in at.iterdir()) / 1000
            name = f"{form}, 8 bits" if quantised else form
            lines.append(cells(name, size, figures(scores, truth, bootstrap), judged, apart))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a trained run")
    parser.add_argument("--data", type=Path, required=True, help="the set it was trained on, with its truth")
    parser.add_argument("--features", type=Path, help="folder of features (default: inside the run)")
    parser.add_argument("--csv", type=Path, help="write the table there")
    args = parser.parse_args()
    opened = open_on_data(args.run, args.data, args.features, workers=1)
    checkpoint, items = opened.parts[0]
    tested = [item for item in items if item.split == "test"]
    loaded = opened.index.load(tested)
    truth = read_truth(Path(opened.index.source), tested, loaded, checkpoint.categories, opened.index.items)
    features = {item.path: video for item, video in zip(tested, loaded, strict=True)}
    table = [list(HEAD), *rows(args.run, features, truth)]
    csv.writer(sys.stdout).writerows(table)
    if args.csv:
        with atomic_write(args.csv) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)


if __name__ == "__main__":
    main()
