"""refinevad metrics: judge anyone's predictions."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.errors import InputError
from refinevad.shown import shown

if TYPE_CHECKING:
    from refinevad.timeline import SegmentRule, Timeline
    from refinevad.training.dataset import Item
    from refinevad.training.predictions import Predictions
    from refinevad.training.truth import Truth

HELP = "judge predictions against temporal truth: AUC, AP, mAP@IoU"
EXAMPLE = """\
example:
  refinevad metrics --predictions scores.npz --truth test_truth.json --protocol strict --json figures.json

Predictions map a video's name to (segments, 1 + categories) probabilities, the normal one first, or to
(segments,) anomaly scores. A folder's events.csv as truth needs the videos beside it.
"""
_FIGURES = (  # JSON name, what a reader sees, percent?
    ("auc", "AUC, all frames", True),
    ("ap", "AP, step-wise (scikit-learn)", True),
    ("ap_trapezoid", "AP, trapezoid under the PR curve", True),
    ("ano_auc", "Ano-AUC, anomalous videos", True),
    ("video_auc", "AUC of whole videos", True),
    ("far", "false-alarm rate, normal videos at 0.5", True),
    ("ece", "expected calibration error", True),
    ("category_accuracy", "category accuracy, anomalous videos", True),
    ("map_average", "mAP, mean over IoU 0.1-0.5", False),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="FILE", help=".npz, .safetensors or .json: video -> scores"
    )
    parser.add_argument(
        "--truth", type=Path, required=True, metavar="FILE", help="test_truth.json, or a data folder's events.csv"
    )
    parser.add_argument(
        "--protocol",
        choices=("strict", "legacy"),
        default="strict",
        help="how mAP@IoU is counted: strict (anomalous videos, real categories) or legacy (VadCLIP's published code)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - for stdout instead of the table")
    parser.add_argument(
        "--expand",
        choices=("auto", "repeat", "stretch"),
        default="auto",
        help="how scores cover frames: repeat one over each segment, stretch them over the video, or choose (auto)",
    )
    parser.add_argument(
        "--lenient", action="store_true", help="leave aside rows of the truth that match no video, in place of an error"
    )
    parser.add_argument("--allow-missing", action="store_true", help="judge the videos that have predictions alone")
    segment = parser.add_mutually_exclusive_group()
    segment.add_argument("--segment-frames", type=int, metavar="N", help="frames a score lasts (default 16)")
    segment.add_argument("--segment-seconds", type=float, metavar="S", help="seconds a score lasts instead")


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON. Raises InputError for anything wrong with the files."""
    from refinevad.apps.terminal import notes
    from refinevad.files import atomic_write
    from refinevad.training.predictions import read_predictions
    from refinevad.training.protocol import evaluate_predictions

    predictions = read_predictions(args.predictions)
    truth = _read_truth(args.truth, predictions, _rule(args), args.lenient)
    notes(truth.notes)
    figures = evaluate_predictions(predictions, truth, args.protocol, args.expand, args.allow_missing)
    figures["notes"] = list(truth.notes)
    text = json.dumps(figures, indent=1, allow_nan=False)
    if args.json == "-":
        print(text)
        return 0
    print(table(figures))
    if args.json:
        with atomic_write(Path(args.json)) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    sentences = adjusted_words(figures)
    for sentence in sentences[:20]:
        print(shown(sentence), file=sys.stderr)
    if len(sentences) > 20:
        print(f"and {len(sentences) - 20} more videos adjusted; --json lists them all", file=sys.stderr)
    return 0


def table(figures: Mapping[str, object]) -> str:
    """The figures as aligned lines of text; a figure that is not defined reads n/a."""
    rows = [
        ("protocol", str(figures["protocol"])),
        ("videos", f"{figures['videos']:,}"),
        ("frames", f"{figures['frames']:,} ({figures['anomalous_frames']:,} anomalous)"),
    ]
    rows += [(label, _percent(figures.get(name), 100 if share else 1)) for name, label, share in _FIGURES]
    by_iou = figures.get("map")
    if isinstance(by_iou, Mapping):
        rows += [(f"mAP@{iou}", _percent(value, 1)) for iou, value in by_iou.items()]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def _percent(value: object, factor: int) -> str:
    return f"{factor * value:.2f} %" if isinstance(value, float) else "n/a"


def adjusted_words(figures: Mapping[str, object]) -> list[str]:
    """A sentence for each video whose scores did not fit its truth: both lengths, and what was done; one for all that
    hold a score a frame."""
    adjusted = figures["adjusted"]
    assert isinstance(adjusted, list)
    by_frame = sum(entry["rule"] == "one a frame" for entry in adjusted)
    told = [f"{by_frame} videos have one score a frame, not one a segment, and are judged so"] if by_frame else []
    of_rule = {
        "missing": "{video}: no prediction has this name: not judged",
        "ignored": "{video}: no video of the truth has this name: its {predicted} scores are left aside",
    }
    usual = "{video}: {predicted} scores, {expected} segments: {rule}"
    others = [entry for entry in adjusted if entry["rule"] != "one a frame"]
    return told + [of_rule.get(entry["rule"], usual).format_map(entry) for entry in others]


def _rule(args: argparse.Namespace) -> "SegmentRule":
    from refinevad.timeline import FIELD_SEGMENT_FRAMES, SegmentRule

    if args.segment_seconds is not None:
        return SegmentRule(seconds=args.segment_seconds)
    return SegmentRule(frames=args.segment_frames if args.segment_frames is not None else FIELD_SEGMENT_FRAMES)


def _read_truth(path: Path, predictions: "Predictions", rule: "SegmentRule", lenient: bool) -> "Truth":
    from refinevad.training.truth import read_truth_json
    from refinevad.training.truth_rows import require_placed

    if path.suffix.lower() == ".csv":
        return _folder_truth(path, predictions, rule, lenient)
    return require_placed(path, read_truth_json(path, rule), lenient)


def _folder_truth(path: Path, predictions: "Predictions", rule: "SegmentRule", lenient: bool) -> "Truth":
    """Truth of the videos beside `events.csv`: the test split, or all that are predicted where there is none."""
    from refinevad.training.dataset import NORMAL, categories_of, read_dataset
    from refinevad.training.truth import folder_truth, read_events_csv
    from refinevad.training.truth_rows import match_events

    items = read_dataset(path.parent)
    categories = categories_of(items)
    events = read_events_csv(path)
    chosen = [item for item in items if item.split == "test"] or _predicted(items, predictions)
    if not chosen:
        raise InputError(f"none of the videos in {path.parent} has a prediction; name them by their path there")
    timelines = {item.path: _timeline(path.parent / item.path, rule) for item in chosen}
    matched = match_events(path, events, {item.path: item.labels for item in items}, timelines, lenient)
    labels = {item.path: item.labels for item in chosen}
    return replace(folder_truth(matched.events, timelines, labels, (NORMAL, *categories)), notes=matched.notes)


def _predicted(items: Sequence["Item"], predictions: "Predictions") -> list["Item"]:
    return [item for item in items if item.path in predictions or item.name in predictions]


def _timeline(path: Path, rule: "SegmentRule") -> "Timeline":
    """Segments of a video file; its frames are counted where the container does not say how many there are."""
    from refinevad.timeline import Timeline
    from refinevad.video import FrameReader, open_container, probe

    info = probe(path)
    with open_container(path) as container:
        frames = container.streams.video[0].frames
    return Timeline.uniform(frames or sum(1 for _ in FrameReader(path)), info.rate_hz, rule)
