"""A recipe: one experiment in one TOML file. Its header comment says command, cost, expected and measured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refinevad.budget import ALERTS_PER_HOUR
from refinevad.datasets.annotated_set import is_annotations
from refinevad.datasets.folders import SPLITS
from refinevad.datasets.importing import DEFAULT_ENCODER_NAME, ImportRequest
from refinevad.datasets.ucf_crime import is_annotation_folder
from refinevad.encoders.choice import DEFAULT_ENCODER
from refinevad.errors import InputError
from refinevad.files.shown import short
from refinevad.files.toml_files import read_toml
from refinevad.files.whole import is_there
from refinevad.model_choice import HEADS_WITH_TEXT, SHARED_OPTIONS, head_options, open_config, ridge_config
from refinevad.model_config import RefineVADConfig
from refinevad.segment_model import ModelConfig
from refinevad.timeline import SegmentRule
from refinevad.training.train_options import TrainOptions

DATA_VARIABLE = "REFINEVAD_DATA"
DEFAULT_DATA = "../shared/data"
_OF_FEATURES = {"channels", "categories", "inputs", *SHARED_OPTIONS}
KINDS = ("videos", "ucf-captions", "published")
SPLITS_MEAN = ("own", "folds", "in turn")
# of the default encoder's parts, those that say what happens rather than what a place looks like: on cameras never seen
# in training, appearance misleads, and the image network's other part adds nothing (docs/results/encoder.md)
DEFAULT_INPUTS = ("motion_mean", "motion_deviation", "motion_peak")
# chosen by a rule over five sets (`refinevad bench choose`; docs/results/defaults.md); a recipe says all of its own
DEFAULT_MODEL: dict[str, Any] = {
    "width": 32,
    "shift_layers": 2,
    "folding": 2,
    "gate_temperature": 1.0,
    "layers": 0,
    "dropout": 0.4,
    "direct": True,
    "ridge": True,
    "head_weight": 0.75,
    "input_clip": 4.0,
    "smoothing": 2,
}
DEFAULT_TRAINING: dict[str, Any] = {
    "steps": 800,
    "batch": 16,
    "keep": "last",
    "learning_rate": 1e-3,
    "weight_decay": 0.3,
    "cross_fit": 3,
    "lambda_mil": 0.0,
    "lambda_gmm": 0.0,
    "lambda_posterior": 0.0,
    "lambda_pseudo": 1.0,
    "lambda_naming": 0.3,
    "teacher_rate": 10.0,
    "teacher_inheritance": 0.5,
}


# captions stay the same for minutes: a run of equal segments is one, and curves are smoothed over a share of the video
CAPTIONS_MODEL: dict[str, Any] = {"merge_runs": True, "relative_smoothing": 0.04, "smoothing": 0}


def default_model(kind: str) -> dict[str, Any]:
    """The default options of RefineVADConfig for a kind of data set."""
    return {**DEFAULT_MODEL, **(CAPTIONS_MODEL if kind == "ucf-captions" else {})}


@dataclass(frozen=True)
class Recipe:
    """Everything that defines an experiment.

    Attributes:
        data: root of the data set.
        kind: `videos` (folders or videos.csv), `ucf-captions` (UCF-Crime's annotation folder with captions.json), or
            `published` (a benchmark's annotation folder; the features are others').
        published: which published features, for that kind.
        features: folder of features, filled when it is not; None: inside the run.
        encoder, rule: how features are made.
        folds: number of folds of a cross-validation; 0: the data set's own splits.
        validation_share: share of training videos held out where the data set has no validation split.
        model: options of RefineVADConfig besides channels and categories; `inputs` names parts of the features
            (default: those of DEFAULT_INPUTS that the features have, else all).
        head: another head in RefineVAD's place, a published one or `linear`: its `name` and its own options; of
            `model`, the options about features apply. None: RefineVAD.
        prompts: sentences that describe each category, and `normal`; none: no prompts. In a recipe also `file`, a
            TOML file of them.
        train: options of the loop.
        alerts_per_hour: target of the calibration.
        inputs_by_data: where `model` names no inputs, the training videos tell whether appearance is one (places.py).
        splits_are_folds: every video trains, and those of each split are validated by a model of the others: for a
            model that is to be used elsewhere, of a set whose splits are told apart by camera. Nothing is left to test.
        splits_in_turn: each split is a fold of the cross-validation, tested by a model of the others.
    """

    data: Path
    kind: str = "videos"
    published: ImportRequest | None = None
    features: Path | None = None
    encoder: str = DEFAULT_ENCODER
    rule: SegmentRule = field(default_factory=SegmentRule.default)
    folds: int = 0
    validation_share: float = 0.15
    model: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, list[str]] = field(default_factory=dict)
    train: TrainOptions = field(default_factory=TrainOptions)
    alerts_per_hour: float = ALERTS_PER_HOUR
    inputs_by_data: bool = False
    splits_are_folds: bool = False
    splits_in_turn: bool = False

    def config(
        self,
        channels: int,
        categories: tuple[str, ...],
        parts: Mapping[str, tuple[int, int]] | None = None,
        prompt_owner: tuple[int, ...] = (),
    ) -> ModelConfig:
        """The model's configuration for features of these channels; `inputs` names parts of them.

        Raises:
            InputError: an unknown option, or a part the features do not have.
        """
        options: dict[str, Any] = {**self.model, "channels": channels, "categories": categories}
        usual = [name for name in DEFAULT_INPUTS if parts is not None and name in parts]
        named = options.pop("inputs", usual)
        if parts is not None:
            missing = sorted(set(named) - set(parts))
            if missing:
                raise InputError(f"model inputs {missing} are no parts of these features; they have {sorted(parts)}")
            options["inputs"] = tuple(parts[name] for name in named)
        if self.head:
            own = dict(self.head)
            if prompt_owner and own.get("name") in HEADS_WITH_TEXT:
                own["text_channels"] = channels  # prompts lie in the features' space
            if "k_divisor" in head_options(own.get("name", "")):
                own.setdefault("k_divisor", self.train.k_divisor)  # top-k takes the same share for every head
            shared = {name: value for name, value in options.items() if name in _OF_FEATURES}
            found = open_config({**shared, "head": own.pop("name"), "options": own})
            return ridge_config(found) if found.fitted else found
        return RefineVADConfig.from_dict({**options, "prompt_owner": prompt_owner})

    def with_features(self, folder: Path) -> "Recipe":
        """The recipe with features in another folder: published ones are read there, others are made there."""
        if self.published is not None:
            return replace(self, published=replace(self.published, folder=folder))
        return replace(self, features=folder)

    def with_encoder(self, spec: str) -> "Recipe":
        """The recipe on another encoder's features, in a folder yet to be named.

        Raises:
            InputError: its features are published ones, which have theirs.
        """
        if self.published is not None:
            raise InputError("a recipe of published features takes no encoder: they were made by another one")
        return replace(self, encoder=spec, features=None)

    def with_head(self, name: str) -> "Recipe":
        """The recipe with another head: its own options where it names that head, else the head's defaults.

        Raises:
            InputError: no head of that name.
        """
        head_options(name)
        return self if self.head.get("name") == name else replace(self, head={"name": name})

    def with_seed(self, seed: int) -> "Recipe":
        return replace(self, train=replace(self.train, seed=seed))


_TABLES: dict[str, dict[str, type] | None] = {  # None: checked where its options are known
    "data": {
        "root": str,
        "settings": str,
        "splits": str,
        "kind": str,
        "features": str,
        "folds": int,
        "validation_share": float,
        "benchmark": str,
    },
    "features": {
        "folder": str,
        "train_list": str,
        "test_list": str,
        "audio": str,
        "train_crop": object,
        "test_crop": object,
    },
    "encoder": {"name": str, "segment_s": float, "segment_frames": int},
    "model": None,
    "head": None,
    "prompts": None,
    "train": None,
    "events": {"alerts_per_hour": float},
}


_SHOWN = 500  # letters of a path in a sentence
_RANGES = {"folds": (0, 1000), "validation_share": (0.0, 0.9), "alerts_per_hour": (0.0, 1e6)}


def find_data(text: str, base: Path | None = None) -> Path:
    """A data path as written: absolute, or relative to here, to the recipe, or to $REFINEVAD_DATA."""
    data = Path(os.environ.get(DATA_VARIABLE, DEFAULT_DATA))
    candidates = [Path(text), *([base / text] if base else []), data / text]
    for candidate in candidates:
        if is_there(candidate):
            return candidate
    looked = ", ".join(str(candidate)[:_SHOWN] for candidate in candidates)
    raise InputError(
        f"data not found: {text[:_SHOWN]} (looked at {looked}); set {DATA_VARIABLE} to the folder that holds it"
    )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        InputError: not TOML, an unknown table or key, or data that is not there.
    """
    content = read_toml(path, "recipe")
    for table, values in content.items():
        _check_table(path, table, values)
    content = _with_prompts(path, content)
    _check_words(path, content)
    data, encoder = content.get("data", {}), content.get("encoder", {})
    if "root" not in data:
        raise InputError(f"recipe {path}: [data] needs root, the folder of the data set")
    if data.get("kind", "videos") not in KINDS:
        raise InputError(f"recipe {path}: kind '{data['kind']}' is none of {', '.join(KINDS)}")
    if data.get("settings", "own") not in ("own", "default"):
        raise InputError(f'recipe {path}: settings are "own" or "default", not {data["settings"]!r}')
    if data.get("splits", "own") not in SPLITS_MEAN:
        raise InputError(f'recipe {path}: splits are "own", "folds" or "in turn", not {data["splits"]!r}')
    if data.get("splits") == "in turn" and "folds" in data:
        raise InputError(f'recipe {path}: splits "in turn" are the folds: leave folds out')
    as_default = data.get("settings") == "default"
    published = _published(path, content) if data.get("kind") == "published" else None
    recipe = Recipe(
        data=find_data(data["root"], path.parent),
        kind=data.get("kind", "videos"),
        published=published,
        features=Path(data["features"]) if "features" in data else None,
        encoder=encoder.get("name", DEFAULT_ENCODER if published is None else DEFAULT_ENCODER_NAME),
        rule=_rule(encoder),
        folds=len(SPLITS) if data.get("splits") == "in turn" else data.get("folds", 0),
        validation_share=data.get("validation_share", 0.15),
        model={**(default_model(data.get("kind", "videos")) if as_default else {}), **content.get("model", {})},
        head=content.get("head", {}),
        prompts=content.get("prompts", {}),
        train=TrainOptions.from_dict({**(DEFAULT_TRAINING if as_default else {}), **content.get("train", {})}),
        alerts_per_hour=content.get("events", {}).get("alerts_per_hour", ALERTS_PER_HOUR),
        inputs_by_data=as_default,
        splits_are_folds=data.get("splits") == "folds",
        splits_in_turn=data.get("splits") == "in turn",
    )
    recipe.config(2, ("any",))  # a wrong model option fails here, before any video is read
    return recipe


def _check_table(path: Path, table: str, values: object) -> None:
    """Names of a table's keys and kinds of their values, where they are not some other module's to know."""
    if table not in _TABLES:
        raise InputError(f"recipe {path}: unknown table {[table]} in [{table}]")
    if not isinstance(values, dict):
        raise InputError(f"recipe {path}: {table} is a table, [{table}], not {short(values)}")
    known = _TABLES[table]
    if known is None:
        return
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"recipe {path}: unknown key {unknown} in [{table}]")
    for name, value in values.items():
        number = isinstance(value, float | int) and not isinstance(value, bool) and -1e300 < value < 1e300
        fits = {str: isinstance(value, str), int: type(value) is int, float: number, object: True}[known[name]]
        least, most = _RANGES.get(name, (-1e300, 1e300))
        if fits and isinstance(value, int | float) and not least <= value <= most:
            raise InputError(f"recipe {path}: {name} in [{table}] lies in [{least:g}, {most:g}]: got {short(value)}")
        if not fits:
            words = {str: "text", int: "a whole number", float: "a number"}[known[name]]
            raise InputError(f"recipe {path}: {name} in [{table}] is {words}, not {short(value)}")


def _with_prompts(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """[prompts] as they stand, or as the file beside the recipe has them that `file` names."""
    named = content.get("prompts", {}).get("file")
    if not isinstance(named, str):
        return content
    if len(content["prompts"]) > 1:
        raise InputError(f"recipe {path}: [prompts] names a file, or holds sentences: not both")
    return {**content, "prompts": read_toml(path.parent / named, "prompts")}


def _check_words(path: Path, content: Mapping[str, Any]) -> None:
    """Raises InputError where a head has no name, or a category's prompts are no sentences."""
    if "head" in content and not isinstance(content["head"].get("name"), str):
        raise InputError(f"recipe {path}: [head] needs name, the name of one")
    for name, sentences in content.get("prompts", {}).items():
        if not isinstance(sentences, list) or not sentences or not all(isinstance(one, str) for one in sentences):
            raise InputError(
                f"recipe {path}: [prompts] holds a list of sentences for each category; {short(name)} is none"
            )


def _published(path: Path, content: dict[str, Any]) -> ImportRequest:
    """[data] benchmark and [features] of a recipe for published features; the folder is looked for when it is read."""
    values = dict(content.get("features", {}))
    if "folder" not in values or "benchmark" not in content["data"]:
        raise InputError(f"recipe {path}: published features need [data] benchmark and [features] folder")
    for name in ("folder", "train_list", "test_list", "audio"):
        if name in values:
            values[name] = _existing(values[name], path.parent)
    for name, all_crops in (("train_crop", "each"), ("test_crop", "mean")):
        crop = values.get(name, all_crops)
        if crop != all_crops and type(crop) is not int:
            raise InputError(f'recipe {path}: {name} is "{all_crops}" or a crop\'s number, not {crop!r}')
        values[name] = None if crop == all_crops else crop
    return ImportRequest(benchmark=content["data"]["benchmark"], **values)


def _existing(text: str, base: Path) -> Path:
    """A path as `find_data` finds it; as it is written where there is nothing yet."""
    try:
        return find_data(text, base)
    except InputError:
        return Path(text)


def _rule(encoder: dict[str, Any]) -> SegmentRule:
    if "segment_frames" in encoder or "segment_s" in encoder:
        return SegmentRule(seconds=encoder.get("segment_s"), frames=encoder.get("segment_frames"))
    return SegmentRule.default()


def _default(data: Path, kind: str) -> Recipe:
    """A data set with every default; whether its inputs are told by the data matters to videos alone."""
    train = TrainOptions.from_dict(DEFAULT_TRAINING)
    return Recipe(data=data, kind=kind, model=default_model(kind), train=train, inputs_by_data=True)


def as_recipe(path: Path) -> Recipe:
    """A recipe file as it is; a folder of videos or of features with every default. Raises InputError otherwise.

    An annotation tool's export stands for the folder that it lies in.
    """
    if path.is_dir() and is_annotation_folder(path):
        return replace(_default(path, "ucf-captions"), encoder="captions")
    if path.is_dir():
        return _default(path, "videos")
    if path.suffix == ".toml" and path.exists():
        return read_recipe(path)
    if is_annotations(path):
        return _default(path, "videos")
    raise InputError(
        f"{path} is neither a recipe (.toml) nor a folder of labelled videos nor a tool's export among them"
    )
