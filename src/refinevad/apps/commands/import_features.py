"""refinevad import: published feature files -> a feature folder that reads them in place."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.errors import InputError

if TYPE_CHECKING:
    from refinevad.datasets.dataset import FeatureIndex
    from refinevad.judging.predictions import Adjustment

HELP = "use feature files that others published (.npy), read in place"
EXAMPLE = """\
example:
  refinevad import UCFClipFeatures/ --benchmark ucf-crime --data ucf-crime/ --out features/ucf
  refinevad train features/ucf --out runs/ucf
  refinevad evaluate runs/ucf --data features/ucf

Layouts are told apart by names and shapes: <video>__<crop>.npy (segments x channels), or <video>.npy and
<video>_i3d.npy (segments x crops x channels). OUT gets an index, dataset.json; SOURCE must stay where it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of .npy files, at any depth")
    parser.add_argument("--benchmark", required=True, metavar="B", help="ucf-crime, xd-violence, shanghaitech or msad")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the index")
    parser.add_argument(
        "--data", metavar="DIR", help="official lists and truth (default: the benchmark's folder in $REFINEVAD_DATA)"
    )
    parser.add_argument("--train-list", type=Path, metavar="FILE", help="training files: path,label or a path a line")
    parser.add_argument("--test-list", type=Path, metavar="FILE", help="test files (default: the official split)")
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of <video>__vggish.npy, beside the picture")
    parser.add_argument("--train-crop", type=_crop, metavar="K", help="train on this crop (default: on each)")
    parser.add_argument("--test-crop", type=_crop, metavar="K", help="test on this crop (default: mean of all scores)")
    parser.add_argument("--json", metavar="FILE", help="write what was found as JSON; - for stdout")


def _crop(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a crop is a whole number: got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Write the index and say what was found; exit 1 when some videos cannot be used."""
    from refinevad.apps.terminal import give_json, notes, stepping
    from refinevad.datasets.importing import ImportRequest, import_features
    from refinevad.training.recipe import find_data

    request = ImportRequest(
        args.source, args.benchmark, args.train_list, args.test_list, args.audio, args.train_crop, args.test_crop
    )
    data, told_of_data = _data(args, find_data)
    done = import_features(request, data, args.out, progress=stepping("import", "video"))
    lengths = _lengths(done.index, data)
    items, published = done.index.items, done.index.published
    videos = {split: sum(item.split == split for item in items) for split in ("train", "test")}
    crops = sorted({len(video.numbers()) for video in published.videos.values()}) if published else []
    summary = {
        "features": str(args.out),
        "videos": videos,
        "crops": crops,
        "channels": done.index.channels(),
        "failed": done.failed,
        "notes": [*told_of_data, *done.notes],
        "lengths": [vars(length) for length in lengths],
    }
    told = [
        *told_of_data,
        *(f"left out: {sentence}" for sentence in done.failed.values()),
        *done.notes,
        *map(_words, lengths),
    ]
    if not give_json(summary, args.json):
        notes(told)
        counts = " and ".join(f"{count:,} {split}" for split, count in videos.items())
        print(f"{counts} videos, {' or '.join(map(str, crops))} crops, {summary['channels']} channels -> {args.out}")
    return 1 if done.failed else 0


def _data(args: argparse.Namespace, find: Callable[[str], Path]) -> tuple[Path, list[str]]:
    """The benchmark's folder, and what to tell where there is none: with both lists the import does without."""
    try:
        return find(args.data or args.benchmark), []
    except InputError:
        if args.data or not (args.train_list and args.test_list):
            raise
    return args.source, [f"no folder of {args.benchmark} is at hand: evaluation will look for truth in {args.source}"]


def _lengths(index: "FeatureIndex", data: Path) -> "list[Adjustment]":
    """Test videos whose features are shorter or longer than their truth, where `data` holds it, as evaluation lays
    them over it."""
    import numpy as np

    from refinevad.datasets.dataset import categories_of
    from refinevad.judging.predictions import VideoPrediction, align
    from refinevad.judging.set_truth import read_truth

    items = [item for item in index.items if item.split == "test"]
    features = index.load(items)
    try:
        truth = read_truth(data, items, features, categories_of(index.items), lenient=True)
        scores = {item.path: np.zeros(one.timeline.segments) for item, one in zip(items, features, strict=True)}
        return list(align({name: VideoPrediction.of(values) for name, values in scores.items()}, truth).adjusted)
    except InputError:
        return []  # it is evaluation that needs the truth, and says so


def _words(length: "Adjustment") -> str:
    done = {
        "cut": "the rest is left out",
        "padded": "its last score is repeated",
        "stretched": "its scores are stretched over the video",
    }
    place = f"{length.video}: {length.predicted} segments, its truth {length.expected}"
    return f"{place}: {done.get(length.rule, length.rule)}"
