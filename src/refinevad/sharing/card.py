"""README.md of a shared run: what hubs read of it, and what a person should know before relying on it."""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import refinevad
from refinevad.checkpoint import METRICS, Checkpoint, read_json
from refinevad.errors import InputError
from refinevad.judging.intervals import bounds_of, figure_of
from refinevad.shipped.card import Card
from refinevad.shipped.names import CARD

TAGS = ("refinevad", "video-anomaly-detection", "weakly-supervised")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
# figure, what hubs call its kind, what it is
_FIGURES = (
    ("auc", "roc_auc", "frame AUC"),
    ("ap", "average_precision", "frame AP"),
    ("within_auc", "roc_auc", "AUC within videos"),
    ("video_auc", "roc_auc", "video AUC"),
    ("map_average", "map", "mAP@IoU 0.1-0.5 (%)"),
    ("event_f1", "f1", "event F1 at IoU 0.3"),
)


@dataclass(frozen=True)
class Measured:
    """Figures of one kind of videos, with what stands beside them."""

    data: str
    split: str
    figures: Mapping[str, Any]
    controls: Mapping[str, Mapping[str, Any]]

    def rows(self) -> Iterator[tuple[str, str, float, tuple[float, float] | None]]:
        """(kind, name, value, interval) of each figure that is there."""
        for name, kind, words in _FIGURES:
            value = figure_of(self.figures, name) if name in self.figures else None
            if isinstance(value, int | float):
                yield kind, words, float(value), bounds_of(self.figures, name)


def card_of(run: Path, checkpoint: Checkpoint, name: str, licence: str | None) -> str:
    """The text of README.md, by the run's own files alone.

    Args:
        name: what the model is called.
        licence: of the weights, as hubs name it (apache-2.0, cc-by-4.0, other); None: not said.

    Raises:
        InputError: a licence that is no such name, damaged figures, or huggingface_hub is missing.
    """
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(f"a licence is said by its identifier, such as apache-2.0 or other: got {licence!r}")
    shipped = Card.read(run) if (run / CARD).exists() else None
    found = list(_measured(run, checkpoint, shipped))
    head = _front_matter(name, licence, found)
    return f"---\n{head}\n---\n\n" + "\n".join(_lines(name, checkpoint, licence, found, shipped)) + "\n"


def _measured(run: Path, checkpoint: Checkpoint, shipped: Card | None) -> Iterator[Measured]:
    data = PurePath(str(checkpoint.training.get("data") or "the run's own videos")).name
    if shipped is not None:
        held = shipped.content["held_out"]
        yield Measured(str(shipped.content["data"]["name"]), f"held out: {held['what']}", held, held["controls"])
        return
    if not (run / METRICS).exists():
        return
    metrics = read_json(run / METRICS)
    if isinstance(metrics.get("test"), dict):
        yield Measured(data, "test", metrics["test"], metrics.get("controls") or {})
    elif isinstance(metrics.get("validation"), dict):
        # no temporal truth was asked: all that is known is how videos' labels are told apart
        found = {"video_auc": metrics["validation"].get("video_auc")}
        yield Measured(data, "validation, by which the epoch was chosen", found, {})


def _front_matter(name: str, licence: str | None, measured: list[Measured]) -> str:
    try:
        cards: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise InputError("a card needs huggingface_hub; pip install 'refinevad[hub]'") from error
    results = [
        cards.EvalResult(
            task_type="video-classification",
            task_name="video anomaly detection",
            dataset_type=re.sub(r"[^a-z0-9_-]+", "-", one.data.lower()).strip("-")[:64] or "videos",
            dataset_name=one.data,
            dataset_split=one.split,
            metric_type=kind,
            metric_name=words,
            metric_value=round(value, 4),
            metric_args={"ci95_over_videos": [round(bound, 4) for bound in bounds]} if bounds else None,
            verified=False,
        )
        for one in measured
        for kind, words, value, bounds in one.rows()
    ]
    data = cards.ModelCardData(
        license=licence,
        library_name="refinevad",
        pipeline_tag="video-classification",
        tags=list(TAGS),
        model_name=name,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _lines(
    name: str, checkpoint: Checkpoint, licence: str | None, measured: list[Measured], shipped: Card | None
) -> Iterator[str]:
    calibration, config = checkpoint.calibration, checkpoint.model.config
    yield f"# {name}"
    yield ""
    found = ", ".join(config.categories)
    yield f"Finds {found} in video: a run of refinevad {refinevad.__version__}, head {config.head}."
    yield ""
    yield "```"
    yield "refinevad pull hf:OWNER/NAME --out runs/pulled"
    yield "refinevad detect camera.mp4 --model runs/pulled --out found/"
    yield "```"
    yield ""
    yield "## Figures"
    yield ""
    yield from _table(measured)
    yield ""
    vouched = "vouched for" if calibration.certified else "not vouched for"
    yield (
        f"Its threshold, {calibration.threshold:.4f}, aims at {calibration.alerts_per_hour:g} alerts an hour, "
        f"{vouched} by {calibration.normal_hours:.2f} h of normal video. On cameras it never saw it will do worse."
    )
    yield ""
    yield "## Training"
    yield ""
    yield from _training(checkpoint, shipped)
    yield f"- Encoder: `{checkpoint.encoder}`; a segment is {checkpoint.segment_rule.as_dict()}."
    yield f"- Licence of the weights: {licence or 'not said'}."


def _table(measured: list[Measured]) -> Iterator[str]:
    if not any(list(one.rows()) for one in measured):
        yield "None were measured."
        return
    for one in measured:
        yield f"{one.data}, {one.split}; 95 % intervals over videos:"
        yield ""
        yield "| figure | value | interval |"
        yield "|---|---|---|"
        for _, words, value, bounds in one.rows():
            yield f"| {words} | {value:.4f} | {f'[{bounds[0]:.3f}, {bounds[1]:.3f}]' if bounds else '-'} |"
        for control, row in one.controls.items():
            if isinstance(row.get("auc"), int | float):
                yield f"| frame AUC of the {control} | {row['auc']:.4f} | - |"


def _training(checkpoint: Checkpoint, shipped: Card | None) -> Iterator[str]:
    if shipped is not None:
        data = shipped.content["data"]
        yield f"- Data: {data['name']} ({data['source']}), licence {data['licence']}; {data['videos']} videos."
        yield from (f"- {sentence}" for sentence in shipped.content["not_measured"])
        return
    videos = checkpoint.training.get("videos", {})
    data = PurePath(str(checkpoint.training.get("data") or "not told")).name
    count = videos.get("train", "an unknown number of")
    yield f"- Data: {data}, {count} training videos, labels of whole videos alone."
