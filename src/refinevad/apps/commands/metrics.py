"""refinevad metrics: judge anyone's predictions."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.errors import InputError
from refinevad.files.shown import shown

if TYPE_CHECKING:
    from refinevad.datasets.dataset import Item
    from refinevad.judging.predictions import Predictions
    from refinevad.judging.truth import Truth
    from refinevad.timeline import SegmentRule, Timeline

    Sources = Mapping[str, Mapping[str, Any]]

HELP = "judge predictions against temporal truth: AUC, AP, mAP@IoU"
EXAMPLE = """\
example:
  refinevad metrics --predictions scores.npz --truth test_truth.json --protocol strict --json figures.json

Predictions map a video's name to (segments, 1 + categories) probabilities, the normal one first, or to
(segments,) anomaly scores. A folder's events.csv as truth needs the videos beside it. In brackets: 95 % intervals
over videos, or over the sources that a videos.csv beside the truth names; docs/training.md says how to read them.
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
    ("within_auc", "AUC within videos", True),
    ("macro_within_auc", "AUC within, mean over videos", True),
    ("cross_auc", "AUC across videos", True),
    ("within_weight", "w: share of pairs within a video", True),
    ("video_mean_auc", "AUC of each video's mean score", True),
    ("map_average", "mAP, mean over IoU 0.1-0.5", False),
)
_TIMED = (  # beside the figures by frames, where frame rates differ
    ("auc_time_weighted", "AUC, by seconds"),
    ("ap_time_weighted", "AP, by seconds"),
    ("ano_auc_time_weighted", "Ano-AUC, by seconds"),
    ("within_auc_time_weighted", "AUC within videos, by seconds"),
)
_RATES_DIFFER = 1.01  # highest over lowest frame rate from which seconds are shown


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
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="T", help="score from which there is an event, for event F1"
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, metavar="N", help="draws of the videos that intervals rest on"
    )
    segment = parser.add_mutually_exclusive_group()
    segment.add_argument("--segment-frames", type=int, metavar="N", help="frames a score lasts (default 16)")
    segment.add_argument("--segment-seconds", type=float, metavar="S", help="seconds a score lasts instead")


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON. Raises InputError for anything wrong with the files."""
    from refinevad.apps.terminal import note, notes
    from refinevad.files.whole import atomic_write
    from refinevad.judging.predictions import read_predictions
    from refinevad.judging.yardstick import Yardstick

    predictions = read_predictions(args.predictions)
    truth, sources = _read_truth(args.truth, predictions, _rule(args), args.lenient)
    notes(truth.notes)
    yardstick = Yardstick.of(truth, args.truth.parent, sources, args.resamples)
    row = yardstick.row(predictions, args.protocol, args.expand, args.allow_missing)
    figures = row.figures | yardstick.events_from(row, args.threshold)
    figures["notes"] = list(truth.notes)
    text = json.dumps(figures, indent=1, allow_nan=False)
    if args.json == "-":
        print(text)
        return 0
    print(table(figures))
    if yardstick.groups.note:
        note(yardstick.groups.note)
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
    rows += [(label, _with_interval(figures, name, share)) for name, label, share in _FIGURES]
    rows += _by_key(figures, "recall_at_fpr", lambda rate: f"recall at {100 * float(rate):g} % false frames")
    rows += _by_key(figures, "event_f1_at", lambda iou: f"event F1 at IoU {iou}")
    rates = figures.get("frame_rate_hz")
    if isinstance(rates, Sequence) and rates[1] > _RATES_DIFFER * rates[0]:
        rows += [(label, _percent(figures.get(name), 100)) for name, label in _TIMED]
    rows += bias_rows(figures)
    rows += _by_key(figures, "map", lambda iou: f"mAP@{iou}", 1)
    width = max(len(label) for label, _ in rows)
    return "\n".join([*(f"{label:<{width}}  {value}" for label, value in rows), *_resampled_words(figures)])


def bias_rows(figures: Mapping[str, object]) -> list[tuple[str, str]]:
    """The factors that are known: AUC of normal scene scores at one pole against the other; 50 % says nothing."""
    found = figures.get("scene_bias")
    if not isinstance(found, Mapping):
        return []
    return [
        (f"scene bias, {factor}", _percent(bias["auc"], 100) + _interval(bias["ci95"], 100))
        for factor, bias in found.items()
        if bias is not None
    ]


def _by_key(
    figures: Mapping[str, object], name: str, words: Callable[[str], str], factor: int = 100
) -> list[tuple[str, str]]:
    values, bounds = figures.get(name), figures.get(f"{name}_ci95")
    if not isinstance(values, Mapping):
        return []
    known = bounds if isinstance(bounds, Mapping) else {}
    return [(words(key), _percent(value, factor) + _interval(known.get(key), factor)) for key, value in values.items()]


def _resampled_words(figures: Mapping[str, object]) -> list[str]:
    drawn, gap = figures.get("resampled"), figures.get("auc_minus_video_mean")
    lines = []
    if isinstance(gap, Mapping):
        words = "which excludes 0" if gap["excludes_0"] else "which does not exclude 0"
        low, high = (f"{100 * bound:+.2f}" for bound in gap["ci95"])
        lines.append(f"AUC minus that of each video's mean: {100 * gap['difference']:+.2f} [{low}, {high}], {words}")
    if isinstance(drawn, Mapping):
        lines.append(f"[95 % interval] over {drawn['units']} {drawn['unit']}s, {drawn['resamples']:,} resamples")
    return lines


def _with_interval(figures: Mapping[str, object], name: str, share: bool) -> str:
    factor = 100 if share else 1
    return _percent(figures.get(name), factor) + _interval(figures.get(f"{name}_ci95"), factor)


def _interval(bounds: object, factor: int) -> str:
    return f" [{factor * bounds[0]:.2f}, {factor * bounds[1]:.2f}]" if isinstance(bounds, Sequence) else ""


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


def _read_truth(path: Path, predictions: "Predictions", rule: "SegmentRule", lenient: bool) -> "tuple[Truth, Sources]":
    """Truth, and what the video files beside it say of themselves (nothing where there are none)."""
    from refinevad.judging.truth_files import read_truth_json
    from refinevad.judging.truth_rows import require_placed

    if path.suffix.lower() == ".csv":
        return _folder_truth(path, predictions, rule, lenient)
    return require_placed(path, read_truth_json(path, rule), lenient), {}


def _folder_truth(
    path: Path, predictions: "Predictions", rule: "SegmentRule", lenient: bool
) -> "tuple[Truth, Sources]":
    """Truth of the videos beside `events.csv`: the test split, or all that are predicted where there is none."""
    from refinevad.datasets.dataset import NORMAL, categories_of, read_dataset
    from refinevad.judging.truth_files import folder_truth, read_events_csv
    from refinevad.judging.truth_rows import match_events
    from refinevad.video.reading import probe

    items = read_dataset(path.parent)
    categories = categories_of(items)
    events = read_events_csv(path)
    chosen = [item for item in items if item.split == "test"] or _predicted(items, predictions)
    if not chosen:
        raise InputError(f"none of the videos in {path.parent} has a prediction; name them by their path there")
    files = {item.path: path.parent / item.path for item in chosen}
    timelines = {name: _timeline(file, rule) for name, file in files.items()}
    sources = {name: {**probe(file).as_dict(), "bytes": file.stat().st_size} for name, file in files.items()}
    matched = match_events(path, events, {item.path: item.labels for item in items}, timelines, lenient)
    labels = {item.path: item.labels for item in chosen}
    truth = folder_truth(matched.events, timelines, labels, (NORMAL, *categories))
    return replace(truth, notes=matched.notes), sources


def _predicted(items: Sequence["Item"], predictions: "Predictions") -> list["Item"]:
    return [item for item in items if item.path in predictions or item.name in predictions]


def _timeline(path: Path, rule: "SegmentRule") -> "Timeline":
    """Segments of a video file; its frames are counted where the container does not say how many there are."""
    from refinevad.timeline import Timeline
    from refinevad.video.frames import FrameNeeds
    from refinevad.video.reading import FrameReader, open_container, probe, video_of
    from refinevad.video.recording import Recording

    info = probe(path)
    with open_container(path) as container:
        frames = video_of(container).frames
    if frames and abs(info.duration_s - frames / info.rate_hz) > 1.0 + 0.01 * info.duration_s:  # pauses, or odd stamps
        reader = Recording(path, FrameNeeds(rgb_frames=0), rule).whole()
        for _ in reader:
            pass
        return reader.timeline
    return Timeline.uniform(frames or sum(1 for _ in FrameReader(path)), info.rate_hz, rule)
