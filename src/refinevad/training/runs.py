"""A data set -> a RUN folder in one call: what `refinevad train` and Python's `refinevad.train` both sit on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from refinevad.budget import vouching
from refinevad.checkpoint import METRICS, Checkpoint, read_json
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.errors import InputError
from refinevad.files.remote import as_path
from refinevad.judging.compared import Compared
from refinevad.machine.ray_pool import OnRay
from refinevad.ridge import LINEAR
from refinevad.training.asked import recipe_asked
from refinevad.training.distributed import ALONE, Processes
from refinevad.training.experiment import extract_features, split_items, train_run, warnings_for
from refinevad.training.precision import check_precision
from refinevad.training.recipe import Recipe


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Attributes:
        stage: `extract`, counted in videos, or `train`, counted in epochs.
        done: how many are; 0 when the stage begins.
        total: how many there are; None: not known yet.
        folder: where the model goes that is trained; of several folds each has its own.
        fold: which of a cross-validation is held out; None: it is none.
        figures: of the epoch: `loss` and others by name; empty elsewhere.
    """

    stage: str
    done: int
    total: int | None
    folder: Path
    fold: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A trained run; wherever a run's folder is taken, it is one.

    Attributes:
        folder: the RUN folder (docs/formats.md).
        validation: figures on validation videos' labels, as `refinevad train --json` gives them: `video_auc` and, under
            `compared`, the controls beside it; of several folds by `fold0` and on.
        notes: what a person should know: a sentence each.
        failed: videos that could not be read, with a sentence each.
    """

    folder: Path
    validation: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def by_name(self) -> Mapping[str, Mapping[str, Any]]:
        """Validation figures by the name of the folder that holds the model: this one's own, or its folds'."""
        return self.validation if "video_auc" not in self.validation else {self.folder.name: self.validation}


def train(
    data: str | PathLike[str],
    out: str | PathLike[str],
    *,
    encoder: str | None = None,
    segment_s: float | None = None,
    segment_frames: int | None = None,
    features: str | PathLike[str] | None = None,
    workers: int = 1,
    fold: int | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    alerts_per_hour: float | None = None,
    inputs: Sequence[str] | None = None,
    head: str | Mapping[str, Any] | None = None,
    device: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a detector from video-level labels, as `refinevad train` does; stopped, the same call goes on.

    Args:
        data: folder of labelled videos (`<split>/<category>/*.mp4`, or a videos.csv), of features, or a recipe (.toml).
        out: the RUN folder.
        encoder: lite (default), lite2, vectors, clip:<hub id or folder> (so siglip:, dino:, video:, audio:),
            captions[:folder], captioned:MODEL, one you registered, or several joined by +. Of a hub's, what is in its
            cache here.
        segment_s, segment_frames: what a segment is; one of them, or neither: 0.64 s.
        features: folder of the features; None: inside the run.
        workers: processes that extract features. Above 1 the program that calls must be importable without running:
            put the call under `if __name__ == "__main__":`.
        fold: the one fold of a cross-validation to train; None: all.
        seed: of splits and of training; None: the recipe's, or 0.
        epochs: at most so many.
        precision: float32, bfloat16 or float16.
        alerts_per_hour: rate on normal videos that the threshold is calibrated to; None: 6.
        inputs: parts of the features that the model sees; None: the training videos tell.
        head: another head in RefineVAD's place: `linear`, a published one or one you registered, by its name or as a
            mapping of `name` and its options.
        device: `cpu` or `cuda`; None: CUDA where there is one.
        progress: called when a stage begins, with each video and with each epoch.

    Raises:
        InputError: no such data, too little of it, an option that cannot be, or another run in the folder.
    """
    recipe = recipe_asked(
        as_path(data),
        encoder=encoder,
        segment_s=segment_s,
        segment_frames=segment_frames,
        features=None if features is None else as_path(features),
        seed=seed,
        epochs=epochs,
        precision=precision,
        alerts_per_hour=alerts_per_hour,
        inputs=inputs,
        head=head,
    )
    told: list[str] = []
    run = train_recipe(
        recipe, Path(out), workers=workers, fold=fold, device=device, progress=progress, tell=told.extend
    )
    return Run(run.folder, run.validation, tuple(told), run.failed)


def train_recipe(
    recipe: Recipe,
    out: Path,
    *,
    workers: int | OnRay = 1,
    fold: int | None = None,
    device: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    tell: Callable[[Sequence[str]], None] | None = None,
    more: Callable[[FeatureIndex], list[Item]] | None = None,
    processes: Processes = ALONE,
) -> Run:
    """Extract what is missing, train, calibrate and save; every fold where the recipe has some.

    Several processes call it alike; the first tells.

    Args:
        progress: as for `train`.
        tell: takes sentences as they come up; those of the run's `notes` are told here alone.
        more: training items beside the data set's.

    Raises:
        InputError: as `train`.
    """
    if isinstance(workers, int) and workers < 1:
        raise InputError(f"workers (--workers) must be at least 1: got {workers}")
    say, show = tell or (lambda _: None), progress or (lambda _: None)
    where = processes.device(device)
    check_precision(recipe.train.precision, where)
    done = processes.from_first(
        lambda: extract_features(recipe, out / "features", workers, _extracting(out, show), test=False)
    )
    added = processes.from_first(lambda: more(done.index)) if more is not None else []
    folds: list[int | None] = [fold] if fold is not None else [*range(recipe.folds)] or [None]
    rows: dict[str, Any] = {}
    for one in folds:
        folder = out if len(folds) == 1 else out / f"fold{one}"
        items = [*split_items(recipe, done.index, one), *added]
        if not processes.first:
            train_run(recipe, done.index, items, folder, None, where, one, processes)
            continue
        say([*(done.notes if one == folds[0] else ())])
        for sentence in warnings_for(recipe, items, done.failed if one == folds[0] else {}):
            say([sentence])
        report = None if recipe.head.get("name") == LINEAR else _Epochs(folder, one, show)  # that is fitted in one go
        checkpoint = train_run(recipe, done.index, items, folder, report, where, one, processes)
        rows[folder.name] = read_json(folder / METRICS)["validation"]
        for sentence in _told_of(checkpoint, recipe, rows[folder.name], f"{folder.name}: " if len(folds) > 1 else ""):
            say([sentence])
    return Run(out, rows if len(folds) > 1 else next(iter(rows.values()), {}), (), done.failed)


class _Epochs:
    """Epochs of one folder's model, as progress."""

    def __init__(self, folder: Path, fold: int | None, show: Callable[[Progress], None]) -> None:
        self._folder, self._fold, self._show = folder, fold, show
        show(Progress("train", 0, None, folder, fold))

    def __call__(self, epoch: int, figures: dict[str, float]) -> None:
        self._show(Progress("train", epoch, int(figures["epochs"]), self._folder, self._fold, figures))


def _extracting(out: Path, show: Callable[[Progress], None]) -> Callable[[int], Callable[[], None]]:
    """What `extract_features` takes, as progress."""

    def start(total: int) -> Callable[[], None]:
        show(Progress("extract", 0, total, out))
        places = iter(range(1, total + 1))

        def step() -> None:
            show(Progress("extract", next(places, total), total, out))

        return step

    return start


def _told_of(checkpoint: Checkpoint, recipe: Recipe, row: Mapping[str, Any], which: str) -> Iterator[str]:
    """What a person should know of a run that was just trained; `which` begins what the controls say."""
    if why := checkpoint.training.get("inputs_why"):
        yield f"inputs: {why}; --inputs chooses others"
    if not checkpoint.calibration.certified:
        yield (
            f"{checkpoint.calibration.normal_hours * 60:.0f} min of normal validation video cannot vouch for "
            f"{recipe.alerts_per_hour:g} alerts an hour; the threshold is their highest score"
        )
    yield vouching(checkpoint.calibration.normal_hours)
    if row["compared"] is not None:
        yield from (f"{which}{sentence}" for sentence in Compared.from_dict(row["compared"]).sentences())
