"""A model that ships: trained by its recipe, judged on cameras it never saw, and the card that says what came of it.

Three judgements, none of which had a say in training or in the threshold:

- **held out**: each split of the training set scored by a model of the other splits, at the shipped threshold on that
  model's scale (scoring/one_scale.py);
- **elsewhere**: other sets, whose anomalies are others than it was trained on;
- **quiet**: false alerts an hour on the normal videos of those other sets.
"""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.checkpoint import RIDGE_FILE, Checkpoint, write_json
from refinevad.datasets.dataset import FeatureIndex, categories_of
from refinevad.datasets.folders import SPLITS
from refinevad.errors import InputError
from refinevad.files.options import check_options
from refinevad.files.toml_files import read_toml
from refinevad.files.whole import sha256_file
from refinevad.judging.alerts import Curve, sweep_alerts
from refinevad.judging.evaluation import Judged, evaluate_folds, judge
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.resampling import interval
from refinevad.judging.set_truth import read_truth
from refinevad.judging.yardstick import Yardstick
from refinevad.run_folder import CALIBRATION, CONFIG, WEIGHTS
from refinevad.scoring.events import Calibration
from refinevad.scoring.one_scale import on_scale_of
from refinevad.shipped.card import SCHEMA_VERSION
from refinevad.training.experiment import by_data, train_run
from refinevad.training.recipe import Recipe, find_data

SHIPPED_FILES = (CALIBRATION, CONFIG, RIDGE_FILE, WEIGHTS)
FIGURES = ("auc", "ap", "video_auc", "within_auc", "event_f1")
RATES = (1.0, 6.0, 30.0, 60.0)  # false alerts an hour
_ELSEWHERE = ("auc", "within_auc", "video_auc")
_NONE_SEEN = -math.log(0.025)  # events that a Poisson count of 0 leaves possible at 97.5 %


@dataclass(frozen=True)
class OtherSet:
    """A set that the model is judged on and was not trained on.

    Attributes:
        root, features: where it lies, as in a recipe, and where its features are kept.
        anomaly, quiet: what its anomalous and its normal videos show, in words.
        cameras: how many they come from, in words.
    """

    root: str
    features: str
    anomaly: str
    quiet: str
    cameras: str


@dataclass(frozen=True)
class Facts:
    """What a person says of a model that ships; no figure is among it.

    Attributes:
        title: what it finds, where.
        name, short, source, licence, cameras: of the training set.
        event_noun: what its events are called, such as `fights`.
        held_out: what the videos are that are scored by models of other splits; `note`: what to keep in mind there.
        not_measured: where it fails or was never tried, a sentence each.
    """

    title: str
    name: str
    short: str
    source: str
    licence: str
    cameras: str
    event_noun: str
    held_out: str
    note: str
    not_measured: tuple[str, ...] = ()
    elsewhere: tuple[OtherSet, ...] = field(default=())


def read_facts(path: Path) -> Facts:
    """The TOML file beside a shipped model's recipe. Raises InputError for what is missing, unknown or no text."""
    content = read_toml(path, "facts")
    sets, sentences = content.pop("elsewhere", []), content.pop("not_measured", [])
    if not isinstance(sets, list) or not isinstance(sentences, list):
        raise InputError(f"facts {path}: not_measured is a list of sentences, each set a table [[elsewhere]]")
    values = {**content, "not_measured": tuple(map(str, sentences))}
    others = tuple(_texts(OtherSet, dict(each), f"facts {path}, [[elsewhere]]") for each in sets)
    facts: Facts = _texts(Facts, values, f"facts {path}")
    return replace(facts, elsewhere=others)


def _texts(kind: Any, values: dict[str, Any], where: str) -> Any:
    needed = {each.name for each in fields(kind)} - {"not_measured", "elsewhere"}
    if missing := sorted(needed - set(values)):
        raise InputError(f"{where}: {missing[0]} is missing")
    check_options(where, kind, values, {})
    if wrong := sorted(name for name in needed if not isinstance(values[name], str)):
        raise InputError(f"{where}: {wrong[0]} is text")
    return kind(**values)


def train_shipped(recipe: Recipe, index: FeatureIndex, folder: Path, report: Any = None) -> Checkpoint:
    """The model that ships, trained into `folder` unless it lies there whole.

    What is recorded of it does not say where the data lay, so that another machine writes the same bytes.
    """
    if not (folder / WEIGHTS).exists():
        train_run(recipe, index, index.items, folder, report)
    found = Checkpoint.load(folder).with_ridge(folder)
    found = replace(found, training={**found.training, "data": recipe.data.name})
    found.save(folder)
    return found


def held_out(recipe: Recipe, index: FeatureIndex, shipped: Checkpoint, out: Path) -> Mapping[str, Any]:
    """Figures over every video of the set, each scored by a model of the other splits at the shipped threshold."""
    plain = replace(
        by_data(recipe, index, index.items)[0],
        splits_are_folds=False,
        train=replace(recipe.train, cross_fit=1),
    )
    parts = []
    for split in SPLITS:
        items = [replace(item, split="test" if item.split == split else "train") for item in index.items]
        if not any(item.split == "test" for item in items):
            continue
        folder = out / f"without_{split}"
        if not (folder / WEIGHTS).exists():
            train_run(plain, index, items, folder)
        model = Checkpoint.load(folder).with_ridge(folder)
        parts.append((replace(model, calibration=_shipped_on(shipped, model)), items))
    result = evaluate_folds(parts, index, Path(index.source))
    judged_by = {item.path: model for model, items in parts for item in items if item.split == "test"}
    on_one_scale = [_as_shipped(video, judged_by[video.item.path], shipped) for video in result.videos]
    controls = {
        name: {**_figures(row, ("auc",)), "model_minus_control": _gap(row)}
        for name, row in result.controls.items()
        if name != "chance"
    }
    return {
        **_figures(result.metrics, FIGURES),
        "videos": len(result.videos),
        "hours": result.metrics["hours"],
        "events_found": result.metrics["events_found"],
        "operating": operating_points(on_one_scale),
        "controls": controls,
    }


def _shipped_on(shipped: Checkpoint, other: Checkpoint) -> Calibration:
    """The shipped thresholds on another model's scale."""
    kept = shipped.calibration
    threshold, low = (on_scale_of(other.model, shipped.model, each) for each in (kept.threshold, kept.low_threshold))
    return replace(kept, threshold=threshold, low_threshold=low)


def _as_shipped(video: Judged, by: Checkpoint, shipped: Checkpoint) -> Judged:
    """A video's scores by another model on the shipped one's scale."""
    return replace(
        video, scores=replace(video.scores, segments=on_scale_of(shipped.model, by.model, video.scores.segments))
    )


def operating_points(judged: Sequence[Judged]) -> list[dict[str, float]]:
    """What other thresholds give, by false alerts an hour: the share of true events that an alert opens in."""
    hours = sum(video.timeline.shown_s for video in judged) / 3600
    curves = {video.item.path: Curve.of(video.scores.segments, video.timeline) for video in judged}
    sweep = sweep_alerts(curves, {video.item.path: video.truth for video in judged}, hours)
    points = []
    for most in RATES:
        within = np.flatnonzero(sweep.false_per_hour <= most)
        if len(within):
            best = int(within[np.argmax(sweep.recall[within])])
            points.append(
                {
                    "most_per_hour": most,
                    "threshold": float(sweep.thresholds[best]),
                    "found": float(sweep.recall[best]),
                    "false_per_hour": float(sweep.false_per_hour[best]),
                }
            )
    return points


def elsewhere(shipped: Checkpoint, index: FeatureIndex, what: OtherSet) -> tuple[dict[str, Any], dict[str, Any]]:
    """(figures on a set of other anomalies, false alerts on its normal videos) of the model as it ships."""
    items = index.items
    features = index.load(items)
    truth = read_truth(Path(index.source), items, features, categories_of(items), items)
    judged = judge(shipped, items, features, truth)
    sources = {item.path: video.provenance.source for item, video in zip(items, features, strict=True)}
    yardstick = Yardstick.of(truth, Path(index.source), sources)
    row = yardstick.row(
        {video.item.path: VideoPrediction.of(video.scores.segments) for video in judged},
        "strict",
        curves={video.item.path: Curve.of(video.scores.segments, video.timeline) for video in judged},
    )
    figures = {"what": what.anomaly, "videos": len(items), **_figures(row.figures, _ELSEWHERE)}
    return figures, quiet_row([video for video in judged if not video.item.anomalous], what, yardstick)


def quiet_row(judged: Sequence[Judged], what: OtherSet, yardstick: Yardstick) -> dict[str, Any]:
    """False alerts an hour on normal videos, with a 95 % interval over them.

    Where there was none, the interval is that of a Poisson count: drawing silent videos again would always give 0.
    """
    alerts = {video.item.path: len(video.events) for video in judged}
    hours = {video.item.path: video.timeline.shown_s / 3600 for video in judged}
    rate = yardstick.bootstrap.ratio(alerts, hours)
    total, shown = sum(alerts.values()), sum(hours.values())
    bounds = interval(rate) if total else (0.0, _NONE_SEEN / shown)
    return {
        "what": what.quiet,
        "cameras": what.cameras,
        "videos": len(judged),
        "hours": shown,
        "alerts": total,
        "per_hour": total / shown,
        "per_hour_ci95": list(bounds) if bounds else None,
    }


def write_card(
    folder: Path,
    shipped: Checkpoint,
    facts: Facts,
    index: FeatureIndex,
    figures: Mapping[str, Any],
    others: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    command: str,
) -> None:
    """folder/card.json, of what was measured and what `facts` say."""
    hours = sum(video.timeline.shown_s for video in index.stored(index.items)) / 3600
    calibration = shipped.calibration
    weights = folder / WEIGHTS
    write_json(
        folder / "card.json",
        {
            "schema_version": SCHEMA_VERSION,
            "name": folder.name,
            "title": facts.title,
            "categories": list(shipped.categories),
            "data": {
                **{name: getattr(facts, name) for name in ("name", "short", "source", "licence", "cameras")},
                "videos": len(index.items),
                "normal": sum(not item.anomalous for item in index.items),
                "hours": hours,
            },
            "inputs_why": shipped.training.get("inputs_why", "named by the recipe"),
            "calibration": {
                name: getattr(calibration, name)
                for name in ("threshold", "low_threshold", "alerts_per_hour", "certified", "normal_hours")
            },
            "held_out": {"what": facts.held_out, "note": facts.note, "event_noun": facts.event_noun, **figures},
            "elsewhere": [row for row, _ in others],
            "quiet": [row for _, row in others],
            "not_measured": list(facts.not_measured),
            "weights": {"bytes": weights.stat().st_size, "sha256": sha256_file(weights)},
            "made_by": {
                "command": command,
                "processor": processor(),
                "versions": {
                    "python": platform.python_version(),
                    **{name: version(name) for name in ("torch", "numpy", "av", "opencv-python-headless")},
                },
            },
        },
    )


def processor() -> str:
    """Name of this machine's processor; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def features_of_set(what: OtherSet, recipe: Recipe) -> Recipe:
    """Another set's recipe, whose features are made as the model's own."""
    return Recipe(data=find_data(what.root), encoder=recipe.encoder, rule=recipe.rule, features=Path(what.features))


def _figures(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: row.get(key) for name in names for key in (name, f"{name}_ci95")}


def _gap(row: Mapping[str, Any]) -> dict[str, float] | None:
    """How far the model's frame AUC is ahead of a control's."""
    found = row["model_minus_control"].get("auc")
    return None if found is None else {"mean": found["difference"], "low": found["ci95"][0], "high": found["ci95"][1]}
