"""What people pick instead, on one set's test videos: scores, what they cost, and one table."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from refinevad.checkpoint import Checkpoint, write_json
from refinevad.datasets.annotated_set import root_of
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features import kept
from refinevad.features.extraction import extract
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_own
from refinevad.judging.predictions import Predictions, VideoPrediction
from refinevad.judging.resampling import Sampled, paired
from refinevad.ridge import LINEAR
from refinevad.scoring.scores import score_timeline
from refinevad.study.over_seeds import run_seed
from refinevad.study.over_videos import OverVideos, averaged
from refinevad.study.pixel_controls import METHODS, look
from refinevad.study.seed_rows import SeedRow
from refinevad.training.experiment import split_items
from refinevad.training.recipe import Recipe

DEFAULT = "refinevad, every option at its default"
HEADS = ("sultani", "rtfm", "ur_dmu", "bn_wvad", "transformer_mil", "vadclip")
HEAD = ("what", "needs", "frame AUC", "minus the default", "AP", "CPU s a video-hour", "CPU s to train")
_PIXELS, _LABELS = "nothing", "labelled videos"
_MEASURED_S = 120.0  # of video, by which features are timed
_DIGITS = 3
_COST = "cpu.json"


@dataclass(frozen=True, eq=False)
class Peer:
    """One way to find anomalies, on all test videos.

    Attributes:
        needs: what it has to be given beside the video.
        an_hour_s: seconds of CPU for an hour of video, decoding included.
        training_s: seconds of CPU that training took; None: there is none.
    """

    name: str
    needs: str
    scores: Predictions
    an_hour_s: float
    training_s: float | None = None


def pixel_peers(index: FeatureIndex, items: Sequence[Item], note: Callable[[str], None]) -> list[Peer]:
    """OpenCV's ways, on the segments of the features. Raises InputError for a video that cannot be read."""
    root = root_of(Path(index.source))
    timelines = {item.path: video.timeline for item, video in zip(items, index.stored(items), strict=True)}
    hours = sum(line.shown_s for line in timelines.values()) / 3600
    peers = []
    for name, begin in METHODS.items():
        looked = {path: look(root / path, line, begin) for path, line in timelines.items()}
        scores = {path: VideoPrediction.of(one.scores) for path, one in looked.items()}
        peers.append(Peer(name, _PIXELS, scores, sum(one.cpu_s for one in looked.values()) / hours))
        note(f"{name}: {peers[-1].an_hour_s:.0f} s of CPU a video-hour")
    return peers


def features_an_hour_s(index: FeatureIndex, items: Sequence[Item], recipe: Recipe) -> float:
    """Seconds of CPU for the features of an hour of video, by the first two minutes of test video."""
    encoder, root = kept.open_kept(recipe.encoder), root_of(Path(index.source))
    seen_s, begun = 0.0, time.process_time()
    for item in items:
        seen_s += extract(root / item.path, encoder, recipe.rule).timeline.shown_s
        if seen_s >= _MEASURED_S:
            break
    return (time.process_time() - begun) / seen_s * 3600


def trained_peers(
    recipe: Recipe, index: FeatureIndex, heads: Sequence[str], seeds: Sequence[int], folder: Path, features_s: float
) -> list[Peer]:
    """The default, the ridge control and published heads in its place, by the same loop; finished seeds are read back.

    Scores are averaged over seeds.
    """
    peers = []
    for head in ("", LINEAR, *heads):
        named = recipe if not head else recipe.with_head(head)
        spent, rows = list[float](), list[SeedRow]()
        for seed in seeds[:1] if head == LINEAR else seeds:
            row, spent_s = _seed(named.with_seed(seed), index, folder / (head or "default") / f"seed{seed}")
            rows.append(row)
            spent += [] if spent_s is None else [spent_s]
        scores_s = _scoring_an_hour_s(recipe, index, folder / (head or "default") / f"seed{rows[0].seed}")
        scores = averaged(rows)
        assert scores is not None
        name = {"": DEFAULT, LINEAR: "ridge control (`--head linear`)"}.get(head, f"{head} (`--head {head}`)")
        peers.append(Peer(name, _LABELS, scores, features_s + scores_s, float(np.mean(spent)) if spent else None))
    return peers


def _seed(recipe: Recipe, index: FeatureIndex, run: Path) -> tuple[SeedRow, float | None]:
    """One seed, and the seconds of CPU that it took when it was trained; None: nobody kept them."""
    begun = time.process_time()
    row, result = run_seed(recipe, index, run)
    if result is not None:
        write_json(run / _COST, {"cpu_s": time.process_time() - begun})
    if not (run / _COST).exists():
        return row, None
    cost = read_own(run / _COST, {"cpu_s": is_finite}, "delete it to leave this seed's time out of the table")
    return row, float(cost["cpu_s"])


def _scoring_an_hour_s(recipe: Recipe, index: FeatureIndex, run: Path) -> float:
    """Seconds of CPU for the scores of an hour of video whose features are there."""
    checkpoint = Checkpoint.load(run / "fold0" if recipe.folds else run)
    items = [item for item in split_items(recipe, index, 0 if recipe.folds else None) if item.split == "test"]
    videos, begun = index.load(items), time.process_time()
    for video in videos:
        score_timeline(checkpoint.model, np.asarray(video.values), video.timeline, checkpoint.window)
    return (time.process_time() - begun) / sum(video.timeline.shown_s for video in videos) * 3600


def tested(recipe: Recipe, index: FeatureIndex) -> list[Item]:
    """The test videos, those of every fold where the set is given in folds."""
    if recipe.folds:
        return [replace(item, split="test") for item in index.items]
    return [item for item in split_items(recipe, index, None) if item.split == "test"]


def peer_rows(peers: Sequence[Peer], over: OverVideos) -> list[tuple[str, ...]]:
    """The table's cells, its head first: AUC and AP with their intervals over videos, and the paired difference."""
    for peer in peers:
        over.add_scores(peer.name, peer.scores)
    whole = over.rows.get(DEFAULT, {})
    rows: list[tuple[str, ...]] = [HEAD]
    return [*rows, *(_cells(peer, over, whole) for peer in peers)]


def _cells(peer: Peer, over: OverVideos, whole: Mapping[str, Sampled]) -> tuple[str, ...]:
    row = over.rows[peer.name]
    gap = paired(row["auc"], whole["auc"]) if peer.name != DEFAULT and whole else None
    return (
        peer.name,
        peer.needs,
        f"{row['auc'].value:.{_DIGITS}f}{over.bounds(peer.name, 'auc')}",
        "-" if gap is None else f"{gap.mean:+.{_DIGITS}f} [{gap.low:+.3f}, {gap.high:+.3f}]",
        f"{row['ap'].value:.{_DIGITS}f}{over.bounds(peer.name, 'ap')}",
        f"{peer.an_hour_s:.0f}",
        "-" if peer.training_s is None else f"{peer.training_s:.0f}",
    )
