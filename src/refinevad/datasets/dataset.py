"""A labelled data set: which videos there are, their video-level labels and splits. Never when anything happens.

Three forms: `<split>/<category>/*.mp4` folders (category `normal` for normal videos), a `videos.csv` with
`path,labels,split` (several labels joined by `;`) or `path,labels,fold`, or an annotation tool's export. Temporal
truth lives in other files, which this module does not know; of an export it is given labels alone.
"""

import json
import random
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from refinevad.datasets.annotated_set import annotated_videos, annotations_in, is_annotations
from refinevad.datasets.folders import SPLITS, NotRead, files_below, split_named, videos_in_folders
from refinevad.datasets.index_file import is_inside, read_index
from refinevad.datasets.published import PublishedSet
from refinevad.errors import InputError
from refinevad.features.store import Features, StoredFeatures, load_features, map_values, require_same_signature
from refinevad.files.names import hint, same_letters, some, stem_and_suffix
from refinevad.files.shown import short
from refinevad.files.table import Row, read_table
from refinevad.files.whole import atomic_write, fitting, is_there
from refinevad.video.reading import VIDEO_SUFFIXES

NORMAL = "normal"
INDEX = "dataset.json"
EVENTS_FILE = "events.csv"  # temporal truth of one's own, beside the videos: written and named here, never read
HERE = "."  # as an index's source: the folder that it lies in, wherever that is moved to
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Item:
    """One video: `path` relative to the data set's root, its anomaly labels (none: normal), split or fold."""

    path: str
    labels: tuple[str, ...]
    split: str
    fold: int | None = None

    @property
    def name(self) -> str:
        return stem_and_suffix(self.path)[0]

    @property
    def anomalous(self) -> bool:
        return bool(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A data set's videos, and a sentence for each kind of file in its folder that is not taken."""

    items: list[Item]
    notes: tuple[str, ...] = ()


def read_dataset(root: Path) -> list[Item]:
    """List a data set's videos.

    Raises:
        InputError: not a data set; the sentence says what was looked for.
    """
    return survey(root).items


def survey(root: Path) -> DataSet:
    """`read_dataset`, with what else lies in the folder. Raises InputError alike."""
    try:
        if not root.is_dir() and not is_annotations(root):
            raise InputError(f"data set not found: {root} is not a folder")
        found = _surveyed(root)
        check_names(root, found.items)
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be read; check its permissions") from error
    if not found.items:
        raise InputError(
            f"no videos found in {root}: expected <split>/<category>/*.mp4, splits {', '.join(SPLITS)}, or videos.csv"
            + "".join(f"; {sentence}" for sentence in found.notes)
        )
    return found


def _surveyed(root: Path) -> DataSet:
    """By videos.csv, else by folders, else by what an annotation tool exported; that alone where `root` is its file."""
    if root.is_file():
        return _from_annotations(root)
    if (root / "videos.csv").exists():
        return _from_csv(root / "videos.csv")
    found = _from_folders(root)
    exported = None if found.items else annotations_in(root)
    return found if exported is None else _from_annotations(exported)


def _from_annotations(file: Path) -> DataSet:
    videos, notes = annotated_videos(file)
    return DataSet([Item(video.path, video.labels, video.split) for video in videos], notes)


def has_videos(root: Path) -> bool:
    """Whether a folder looks like a data set of videos: it has videos.csv or a split's folder."""
    if (root / "videos.csv").exists():
        return True
    return root.is_dir() and any(split_named(path.name) and path.is_dir() for path in root.iterdir())


def _from_folders(root: Path) -> DataSet:
    found, notes = videos_in_folders(root)
    items = [
        Item(video.path, () if video.category.lower() == NORMAL else (video.category,), video.split) for video in found
    ]
    return DataSet(items, notes)


def _from_csv(path: Path) -> DataSet:
    table = read_table(path)
    columns = set(table.columns)
    if not {"path", "labels"} <= columns or not columns & {"split", "fold"}:
        raise InputError(f"{path} needs the columns path,labels and split or fold; it has {sorted(columns)}")
    items = [_item(row, columns, f"{path} line {row.line}") for row in table.rows]
    listed = {item.path for item in items}
    aside = NotRead()
    files = files_below(path.parent, aside)
    videos = [file.relative_to(path.parent).as_posix() for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    others = [name for name in videos if name not in listed]
    absent = [item.path for item in items if not is_there(path.parent / item.path)]
    notes = []
    if absent:
        named = [f"{name}{hint(name, videos)}" for name in absent[:3]] + absent[3:]
        notes.append(f"{len(absent)} rows of {path} name no file: {some(named)}")
    if others:
        notes.append(f"{len(others)} videos are not in {path} and are left out: {some(others)}")
    return DataSet(items, (*notes, *aside.words()))


def _item(row: Row, columns: Collection[str], where: str) -> Item:
    """One row of videos.csv; `where` names its line."""
    path, labels, split, fold = (row[name] for name in ("path", "labels", "split", "fold"))
    if not path or not labels:
        raise InputError(f"{where}: path or labels missing (normal videos have the label {NORMAL})")
    if not is_inside(path):
        raise InputError(f"{where}: path '{path}' must lie inside the folder of videos.csv and be relative to it")
    named = split_named(split)
    if "split" in columns and named is None:
        raise InputError(f"{where}: split '{split}' is none of {', '.join(SPLITS)}")
    if (fold or not split) and not (fold.isdecimal() and len(fold) < 10):
        raise InputError(f"{where}: fold '{fold[:30]}' is not a whole number, or too large for one")
    names = dict.fromkeys(same_letters(label.strip()) for label in labels.split(";") if label.strip())
    anomalies = tuple(name for name in names if name.lower() != NORMAL)
    if not names or 0 < len(anomalies) < len(names):
        raise InputError(f"{where}: labels {short(labels)}: a video is {NORMAL}, or has categories joined by ;")
    return Item(Path(path).as_posix(), anomalies, named or "", int(fold) if fold else None)


def check_names(root: Path, items: Sequence[Item]) -> None:
    """Raises InputError for two videos whose features would lie in one file."""
    seen: dict[str, str] = {}
    for item in items:
        name = item.name
        if name in seen:
            raise InputError(
                f"{root} has {seen[name]} and {item.path}: names must differ in more than the suffix; rename one"
                if seen[name] != item.path
                else f"{root / 'videos.csv'} lists {item.path} twice; keep one line"
            )
        seen[name] = item.path


def with_fold(items: Sequence[Item], fold: int) -> list[Item]:
    """Assign splits for one fold of a cross-validation: `fold` is the test set, the others train."""
    there = sorted({item.fold for item in items if item.fold is not None})
    if not there:
        raise InputError(f"fold {fold} does not exist: the data set has no folds")
    if fold not in there:
        raise InputError(f"fold {fold} does not exist; there are {there}")
    return [replace(item, split="test" if item.fold == fold else "train") for item in items]


def in_turn(items: Sequence[Item]) -> list[Item]:
    """Every split as a fold of a cross-validation, in the order of SPLITS.

    Raises:
        InputError: a split without videos, or videos that are given in folds already.
    """
    if absent := [split for split in SPLITS if not any(item.split == split for item in items)]:
        raise InputError(f"splits in turn: the data set has no videos in {' and '.join(absent)}")
    return [replace(item, split="", fold=SPLITS.index(item.split)) for item in items]


def with_validation(items: Sequence[Item], share: float, seed: int) -> list[Item]:
    """Hold out `share` of each category's training videos as validation, where the data set names none."""
    if any(item.split == "val" for item in items):
        return list(items)
    chosen: set[str] = set()
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        if item.split == "train":
            groups.setdefault(item.labels, []).append(item)
    for labels, group in sorted(groups.items()):
        order = sorted(group, key=lambda item: item.path)
        random.Random(f"{seed}:{labels}").shuffle(order)
        chosen |= {item.path for item in order[: round(share * len(order))]}
    return [replace(item, split="val") if item.path in chosen else item for item in items]


def categories_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The anomaly categories of a set, sorted."""
    return tuple(sorted({label for item in items for label in item.labels}))


def check_trainable(items: Sequence[Item]) -> None:
    """Refuse a training split that cannot be learnt from.

    Raises:
        InputError: no training videos, no normal ones, or no anomalous ones.
    """
    training = [item for item in items if item.split == "train"]
    normal = sum(not item.anomalous for item in training)
    if not training:
        raise InputError("the data set has no training videos; put some under train/<category>/")
    if not normal:
        raise InputError("the training split has no normal videos; put some under train/normal/")
    if normal == len(training):
        raise InputError("the training split has no anomalous videos; put some under train/<category>/")


def thin_categories(items: Sequence[Item]) -> list[str]:
    """Categories with a single training video: learnable in name only, worth a warning."""
    counts = Counter(label for item in items if item.split == "train" for label in item.labels)
    return sorted(label for label, count in counts.items() if count == 1)


def twins(items: Sequence[Item]) -> list[list[str]]:
    """Categories that a person takes for one: they differ in case, blanks or the way an accent is written alone."""
    alike: dict[str, set[str]] = {}
    for label in {label for item in items for label in item.labels}:
        alike.setdefault("".join(unicodedata.normalize("NFKC", label).casefold().split()), set()).add(label)
    return sorted(sorted(names) for names in alike.values() if len(names) > 1)


@dataclass(frozen=True)
class FeatureIndex:
    """A folder of features: `dataset.json` lists the items; each item's features lie at `<name>.safetensors`.

    Of `published` features the folder holds the index alone: they are read where they lie.
    """

    root: Path
    items: list[Item]
    encoder: str
    source: str
    published: PublishedSet | None = None

    def path(self, item: Item) -> Path:
        """Where an item's features lie; a name too long for one more suffix is cut, and a digest told apart by."""
        return self.root / self._name(item)

    def place(self, item: Item) -> str:
        """The same as text, for what asks the system of each of a hundred thousand; not of a store elsewhere."""
        return f"{self.root}/{self._name(item)}"

    @staticmethod
    def _name(item: Item) -> str:
        head, slash, name = item.name.rpartition("/")
        return f"{head}{slash}{fitting(name, _SUFFIX)}{_SUFFIX}"

    def save(self) -> None:
        content: dict[str, Any] = {
            "encoder": self.encoder,
            "source": self.source,
            "items": [asdict(item) for item in self.items],
        }
        if self.published is not None:
            content["published"] = self.published.as_dict()
        with atomic_write(self.root / INDEX) as partial:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def open(cls, root: Path) -> "FeatureIndex":
        """Raises InputError where `root` holds no feature index, or a damaged one."""
        path = root / INDEX
        if not path.exists():
            raise InputError(f"no features in {root} ({INDEX} is missing); run refinevad extract first")
        content = read_index(path)
        items = [Item(**{**item, "labels": tuple(item["labels"])}) for item in content["items"]]
        published = PublishedSet.from_dict(content["published"]) if "published" in content else None
        source = str(root) if content["source"] == HERE else content["source"]
        return cls(root, items, content["encoder"], source, published)

    def load(self, items: Sequence[Item]) -> list[Features]:
        """Load features of items, all of one signature. Raises InputError on the first that does not fit."""
        if self.published is not None:
            return [self.published.features(item.path, item.split == "train", self.encoder) for item in items]
        loaded: list[Features] = []
        for item in items:
            features = load_features(self.path(item))
            if loaded:
                require_same_signature(loaded[0].provenance.signature, features.provenance, str(self.path(item)))
            loaded.append(features)
        return loaded

    def stored(self, items: Sequence[Item]) -> list[Features]:
        """`load` for sets of any size: headers are read now, each video's values whenever they are asked for."""
        if self.published is not None:
            return self.load(items)
        found: list[Features] = []
        for item in items:
            found.append(StoredFeatures(self.path(item)))
            require_same_signature(found[0].provenance.signature, found[-1].provenance, str(self.path(item)))
        return found

    def channels(self) -> int:
        """Numbers a segment, read from the first item's header."""
        if self.published is not None:
            return self.published.channels + self.published.audio_channels
        return int(map_values(self.path(self.items[0])).shape[1])
