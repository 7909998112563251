"""A data set's folder -> the temporal truth of its test videos, whichever of four kinds of files holds it.

`events.csv`, `test_truth.json`, a benchmark's official annotation, or what an annotation tool exported. What
a file says of no video, and a video of which it says nothing, is refused or told: figures are never computed as if a
row were not there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from refinevad.annotations.known import TimedVideos
from refinevad.annotations.reading import read_annotations
from refinevad.datasets.annotated_set import annotations_in
from refinevad.datasets.dataset import EVENTS_FILE, INDEX, FeatureIndex, Item, has_videos, read_dataset
from refinevad.errors import InputError
from refinevad.features.store import Features
from refinevad.files.names import hint, some
from refinevad.judging.official_truth import has_annotation, official_truth
from refinevad.judging.truth import Truth
from refinevad.judging.truth_files import TimedEvent, folder_truth, read_events_csv, read_truth_json
from refinevad.judging.truth_rows import match_events, sentences
from refinevad.timeline import FIELD_SEGMENT_FRAMES, Timeline

TRUTH_FILE = "test_truth.json"
NORMAL_COLUMN = "normal"


@dataclass(frozen=True)
class _Asked:
    """What truth is wanted of: the test videos with their features' timelines, and every video of the set."""

    data: Path
    items: Sequence[Item]
    timelines: Mapping[str, Timeline]
    listed: Mapping[str, Sequence[str]]
    lenient: bool


def read_truth(
    data: Path,
    items: Sequence[Item],
    features: Sequence[Features],
    categories: Sequence[str],
    listed: Sequence[Item] = (),
    lenient: bool = False,
) -> Truth:
    """Temporal truth of items from the data set's own files.

    `listed` are the set's other videos, of which a file may speak as well; those in the folder are known without.
    `lenient`: what matches nothing is left aside and told in the truth's notes.

    Raises:
        InputError: neither events.csv nor test_truth.json nor anyone's annotation lies in the folder; or, unless
            `lenient`, a part of it matches nothing, or an anomalous video has no part of it.
    """
    timelines = {item.path: video.timeline for item, video in zip(items, features, strict=True)}
    known = {item.path: item.labels for item in (*_in_folder(data), *listed, *items)}
    asked = _Asked(data, items, timelines, known, lenient)
    if data.is_file():
        return _from_tool(asked, data, categories)
    for name, read in ((EVENTS_FILE, _from_events), (TRUTH_FILE, _from_json)):
        if (data / name).exists():
            return read(asked, categories)
    truth = _from_annotation(asked)
    if truth is not None:
        return truth
    exported = annotations_in(data)
    if exported is None:
        raise InputError(f"no temporal truth in {data}: evaluation needs {EVENTS_FILE} (path,start_s,end_s,category)")
    return _from_tool(asked, exported, categories)


def require_known_categories(items: Sequence[Item], categories: Sequence[str]) -> None:
    """Refuse test videos of a category that the model was not trained on.

    Raises:
        InputError: the first such category, with the nearest that the model knows.
    """
    for item in items:
        for label in item.labels:
            if label not in categories:
                raise InputError(
                    f"{item.path} is labelled {label!r}, which the model does not know; it knows "
                    f"{', '.join(categories)}{hint(label, categories)}"
                )


def _in_folder(data: Path) -> Sequence[Item]:
    """The videos that the folder itself names; none where it holds features or truth alone."""
    if (data / INDEX).exists():
        return FeatureIndex.open(data).items
    try:
        return read_dataset(data) if has_videos(data) else []
    except InputError:
        return []


def _from_events(asked: _Asked, categories: Sequence[str]) -> Truth:
    file = asked.data / EVENTS_FILE
    matched = match_events(file, read_events_csv(file), asked.listed, asked.timelines, asked.lenient)
    labels = {item.path: item.labels for item in asked.items}
    truth = folder_truth(matched.events, asked.timelines, labels, (NORMAL_COLUMN, *categories))
    return replace(truth, notes=matched.notes)


def _from_tool(asked: _Asked, file: Path, categories: Sequence[str]) -> Truth:
    """Truth from what an annotation tool exported: frames are counted as the videos' features count them."""
    read = read_annotations(file, TimedVideos(asked.listed, asked.timelines))
    spans = [(video.path, span) for video in read.videos for span in video.spans]
    events = [
        TimedEvent(path, span.start_s, span.end_s, span.category, number)
        for number, (path, span) in enumerate(spans, start=1)
    ]
    matched = match_events(file, events, asked.listed, asked.timelines, asked.lenient, called="event")
    labels = {item.path: item.labels for item in asked.items}
    truth = folder_truth(matched.events, asked.timelines, labels, (NORMAL_COLUMN, *categories))
    return replace(truth, notes=(*read.notes, *matched.notes))


def _from_json(asked: _Asked, categories: Sequence[str]) -> Truth:
    file = asked.data / TRUTH_FILE
    whole = read_truth_json(file)
    by_name = {video.name: video for video in whole.videos}
    stems = Counter(Path(item.path).stem for item in asked.items)
    chosen, names = [], set()
    for item in asked.items:
        names_of = [item.path, item.name, *([Path(item.path).stem] if stems[Path(item.path).stem] == 1 else [])]
        name = next((name for name in names_of if name in by_name), None)
        if name is None:
            raise InputError(f"{file} has no video {names_of[-1]}{hint(names_of[-1], by_name)}")
        names.add(name)
        timeline = _at_rate(by_name[name].timeline, asked.timelines[item.path])
        chosen.append(replace(by_name[name], name=item.path, timeline=timeline))
    truth = Truth(_ordered(whole.columns, categories), tuple(chosen))
    others = {name for path in asked.listed for name in (path, path.rpartition(".")[0], Path(path).stem)}
    surplus = [name for name in by_name if name not in names and name not in others]
    # a benchmark's truth may speak of more videos than there are features or captions of; a folder's own may not
    refuse = has_videos(asked.data) and not (asked.data / INDEX).exists()
    wrong = [f"it has {name!r}, a video that the set lacks{hint(name, asked.listed)}" for name in surplus[:6]]
    return _checked(file, asked, truth, wrong if refuse else [], _left(file, surplus))


def _from_annotation(asked: _Asked) -> Truth | None:
    """Truth from a benchmark's annotation, which names videos by their stems."""
    if not has_annotation(asked.data):
        return None
    paths: dict[str, str] = {}
    for item in asked.items:
        stem = Path(item.path).stem
        if stem in paths:
            raise InputError(f"{paths[stem]} and {item.path} share the name {stem}, which the annotation goes by")
        paths[stem] = item.path
    frames = {stem: asked.timelines[path].frames for stem, path in paths.items()}
    official = official_truth(asked.data, frames)
    if official is None:
        return None
    videos = tuple(replace(video, name=paths[video.name]) for video in official.videos)
    return _checked(asked.data, asked, replace(official, videos=videos), [], list(official.notes))


def _checked(file: Path, asked: _Asked, truth: Truth, wrong: list[str], notes: list[str]) -> Truth:
    """The truth with its notes, where it agrees with the videos' labels and places something in each anomalous one.

    Raises:
        InputError: unless lenient, it does not; or there is something in `wrong`.
    """
    labels = {item.path: set(item.labels) for item in asked.items}
    for video in truth.videos:
        own = labels[video.name]
        alike = bool(own) != video.normal if len(truth.categories) == 1 else own == set(video.labels)
        if not alike:
            said, true = (" and ".join(sorted(names)) or "normal" for names in (own, set(video.labels)))
            wrong.append(f"{video.name} is labelled {said}, yet {true} there")
        elif own and not video.anomalous:
            wrong.append(f"{video.name} is labelled {' and '.join(sorted(own))}, yet no frame of it is anomalous there")
    if wrong and not asked.lenient:
        raise InputError(f"{file}: {sentences(wrong)}; correct one, or judge by --lenient")
    told = [f"{file}: judged all the same: {sentences(wrong)}"] if wrong else []
    return replace(truth, notes=(*told, *notes))


def _left(file: Path, surplus: Sequence[str]) -> list[str]:
    return [f"{file}: {len(surplus)} of its videos are not here and not judged: {some(surplus)}"] if surplus else []


def _ordered(columns: tuple[str, ...], categories: Sequence[str]) -> tuple[str, ...]:
    """The truth's columns in the order of the model's categories, where they are the same.

    Raises:
        InputError: as many others, which would be taken for each other.
    """
    own = columns[1:]
    if set(own) == set(categories):
        return (columns[0], *categories)
    if len(own) == len(categories) > 1:  # a single one is the same, whatever it is called
        strange = next(name for name in categories if name not in own)
        raise InputError(
            f"the model knows {strange!r}, {TRUTH_FILE} does not{hint(strange, own)}: it has {', '.join(own)}"
        )
    return columns


def _at_rate(truth: Timeline, features: Timeline) -> Timeline:
    """The truth's frames in the seconds of the features: a truth file counts frames and does not say their rate.

    Segments are the field's 16 frames, or the features' own where these are others: scores are of those.
    """
    if not features.frames or not truth.frames:
        return truth
    if np.diff(features.frame_bounds).max() != FIELD_SEGMENT_FRAMES:
        bounds = np.append(np.minimum(features.frame_bounds[:-1], truth.frames), truth.frames)
        return Timeline(bounds, features.time_bounds)
    factor = (features.shown_s / features.frames) / (truth.duration_s / truth.frames)
    if abs(factor - 1) < 1e-6:
        return truth
    return Timeline(truth.frame_bounds, truth.time_bounds * factor)
