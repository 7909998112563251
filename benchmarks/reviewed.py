"""What `train --add-reviewed` brings: an operator is simulated on labelled videos that training has not seen.

    python benchmarks/reviewed.py recipes/survfights.toml --seeds 0 1 2 3 4 --share 0.3 --out out/bench/reviewed

Three trainings a seed, about a minute of one core each on survfights; finished ones are read back. For each seed:

1. `before`: a model is trained on a share of the training videos. The others are what its cameras see.
2. It is run over them as they are, at its calibrated threshold. Each alert becomes a clip, 5 s longer at both ends, as
   live. The operator knows each video's label and nothing else: an alert in a video of an anomaly is confirmed with
   that label, one in a normal video dismissed. An alert beside the anomaly of its video is therefore confirmed too: a
   person who looks at the clip would be a better operator than this one.
3. `after`: trained anew on the share and the clips. What raised no alert is never looked at and stays unknown.
4. `all`: trained on every training video with its label, whole: what labelling everything would have brought.

Validation and test videos are the same in all three; when anything happens is read for the test figures alone.
"""

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from refinevad.apps.terminal import table
from refinevad.checkpoint import Checkpoint, read_json, write_json
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, save_features
from refinevad.files.cells import write_cells
from refinevad.scoring.events import Event, EventRule, find_events
from refinevad.scoring.scores import score
from refinevad.study.over_seeds import run_seed
from refinevad.study.seed_rows import SeedRow
from refinevad.timeline import Timeline
from refinevad.training.experiment import extract_features
from refinevad.training.recipe import Recipe, read_recipe

ROLL_S = 5.0  # of a clip, before and after its event
FIGURES = ("auc", "ano_auc", "alerts_per_hour_at_80_recall", "event_recall", "alerts_per_hour")
NAMES = ("AUC", "Ano-AUC", "alerts/h at 80 % recall", "recall at threshold", "alerts/h at threshold")
VARIANTS = ("before", "after", "all")


@dataclass(frozen=True)
class Reviews:
    """What the operator of one seed did: clips added, by verdict, of so many videos and hours."""

    confirmed: int
    dismissed: int
    videos: int
    hours: float


def divide(items: Sequence[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Training videos to begin with, at least one of each label, and those that the cameras will see."""
    chosen: list[Item] = []
    for labels in sorted({item.labels for item in items}):
        group = sorted((item for item in items if item.labels == labels), key=lambda item: item.path)
        random.Random(f"{seed}:{labels}").shuffle(group)
        chosen += group[: max(1, round(share * len(group)))]
    paths = {item.path for item in chosen}
    return chosen, [item for item in items if item.path not in paths]


def cut(video: Features, event: Event) -> Features:
    """The features of an event's clip, as of a video of its own that begins at 0 s."""
    bounds = video.timeline.time_bounds
    first = int(np.searchsorted(bounds[1:], event.start_s - ROLL_S, side="right"))
    last = int(np.searchsorted(bounds[:-1], event.end_s + ROLL_S, side="left"))
    frames, seconds = video.timeline.frame_bounds[first : last + 1], bounds[first : last + 1]
    return Features(video.values[first:last], Timeline(frames - frames[0], seconds - seconds[0]), video.provenance)


def alerts(checkpoint: Checkpoint, video: Features) -> list[Event]:
    """Events of a video at the run's own threshold."""
    found = score(checkpoint.model, video.values, video.timeline.time_bounds, checkpoint.window)
    categories, rule = checkpoint.model.config.categories, EventRule.of(checkpoint.calibration)
    return find_events(found.segments, found.categories, categories, video.timeline, rule)


def review(
    checkpoint: Checkpoint, index: FeatureIndex, seen: Sequence[Item], folder: str
) -> tuple[list[Item], Reviews]:
    """Clips of all alerts in videos that the cameras saw, labelled by their videos, stored in `folder` of the index."""
    clips: list[Item] = []
    hours = 0.0
    for item, video in zip(seen, index.load(seen), strict=True):
        hours += video.timeline.duration_s / 3600
        for number, event in enumerate(alerts(checkpoint, video)):
            clip = Item(f"{folder}/{item.name.replace('/', '-')}-{number}.mp4", item.labels, "train")
            save_features(index.path(clip), cut(video, event))
            clips.append(clip)
    confirmed = sum(clip.anomalous for clip in clips)
    return clips, Reviews(confirmed, len(clips) - confirmed, len(seen), hours)


def linked(index: FeatureIndex, root: Path) -> FeatureIndex:
    """The same features in a folder of our own, beside which clips can lie."""
    root.mkdir(parents=True, exist_ok=True)
    for entry in {Path(item.path).parts[0] for item in index.items}:
        if not (root / entry).exists():
            (root / entry).symlink_to((index.root / entry).resolve())
    return replace(index, root=root)


def run_operator(recipe: Recipe, index: FeatureIndex, share: float, out: Path) -> tuple[dict[str, SeedRow], Reviews]:
    """All variants of one seed, in folders of their own inside `out`; finished ones are read back."""
    seed = recipe.train.seed
    training = [item for item in index.items if item.split == "train"]
    others = [item for item in index.items if item.split != "train"]
    first, seen = divide(training, share, seed)
    rows = {"before": run_seed(recipe, replace(index, items=[*first, *others]), out / "before")[0]}
    known = out / "reviews.json"
    if known.exists():
        kept = read_json(known)
        clips, done = [Item(path, tuple(labels), "train") for path, labels in kept["clips"]], Reviews(**kept["reviews"])
    else:
        folder = f"clips-{share:g}-{seed}"
        clips, done = review(Checkpoint.load(out / "before"), index, seen, folder)
        write_json(known, {"clips": [(clip.path, clip.labels) for clip in clips], "reviews": vars(done)})
    rows["after"] = (
        run_seed(recipe, replace(index, items=[*first, *clips, *others]), out / "after")[0] if clips else rows["before"]
    )
    rows["all"] = run_seed(recipe, index, out / "all")[0]
    return rows, done


def figure(row: SeedRow, name: str) -> float:
    """A figure of one seed; NaN where it has none."""
    if name == "alerts_per_hour":
        return float(row.metrics["events"]) / float(row.metrics["hours"])
    value = row.metrics[name]
    return math.nan if value is None else float(value)


def cells(found: Sequence[tuple[dict[str, SeedRow], Reviews]]) -> list[tuple[str, ...]]:
    """Mean and sample deviation over seeds of each variant, and of `after` less `before` seed by seed; a head first."""
    columns = {kind: [[figure(rows[kind], name) for rows, _ in found] for name in FIGURES] for kind in VARIANTS}
    columns["after - before"] = [
        [late - early for late, early in zip(*pair, strict=True)]
        for pair in zip(columns["after"], columns["before"], strict=True)
    ]
    return [("training", *NAMES), *((kind, *map(_spread, values)) for kind, values in columns.items())]


def told(found: Sequence[tuple[dict[str, SeedRow], Reviews]]) -> str:
    """What the operator of a seed did, on average."""
    reviews = [done for _, done in found]
    confirmed, dismissed = (np.mean([getattr(done, name) for done in reviews]) for name in ("confirmed", "dismissed"))
    hours, videos = np.mean([done.hours for done in reviews]), np.mean([done.videos for done in reviews])
    return f"Clips a seed: {confirmed:.1f} confirmed, {dismissed:.1f} dismissed, of {videos:.0f} videos, {hours:.2f} h."


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--share", type=float, default=0.3, help="of the training videos to begin with (default 0.3)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    index = linked(extract_features(recipe, args.out / "extracted").index, args.out / "features")
    found = []
    for seed in args.seeds:
        rows, done = run_operator(
            recipe.with_seed(seed), index, args.share, args.out / f"share{args.share:g}" / f"seed{seed}"
        )
        print(f"seed {seed}: {done}", *(f"{kind} {rows[kind].auc_words}" for kind in VARIANTS), flush=True)
        found.append((rows, done))
    print("", table(cells(found)), "", told(found), sep="\n")
    if args.csv is not None:
        write_cells(args.csv, cells(found))


if __name__ == "__main__":
    main()
