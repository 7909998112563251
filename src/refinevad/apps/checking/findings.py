"""Facts of a data set -> what will go wrong when it is trained on, and what to keep in mind; a sentence each."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from refinevad.apps.checking.facts import SetFacts, VideoFacts
from refinevad.datasets.dataset import (
    EVENTS_FILE,
    NORMAL,
    Item,
    check_trainable,
    thin_categories,
    twins,
)
from refinevad.datasets.folders import SPLITS
from refinevad.datasets.leaks import same_bytes
from refinevad.errors import InputError
from refinevad.files.names import some

FEW_VIDEOS = 2  # of a kind: with fewer nothing can be held out
SHORTEST_S = 0.64  # one segment
GIVEN_AWAY = 0.2  # by how much a guess by format may beat the guess of the commoner kind
LEAST_TO_GUESS = 8


@dataclass(frozen=True)
class Findings:
    """`wrong`: what makes a training fail or its figures lie (exit 1); `mind`: what to know of it."""

    wrong: tuple[str, ...]
    mind: tuple[str, ...]


def find(facts: SetFacts) -> Findings:
    """Everything that headers and digests tell."""
    labelled = [item for item in facts.items if item.path not in facts.failed]
    return Findings(
        (
            *(f"cannot be read: {sentence}" for sentence in facts.failed.values()),
            *_untrainable(labelled),
            *same_bytes(facts.root, {video.item: video.digest for video in facts.videos}),
            *_categories(labelled),
        ),
        (*facts.notes, *_few(labelled), *_lengths(facts.videos), *_formats(facts.videos), *_truth(facts)),
    )


def counts(videos: Sequence[VideoFacts]) -> list[tuple[str, ...]]:
    """A table of videos and minutes: a row a category, two columns a split or fold; two labels count twice."""
    splits = sorted({_split(video.item) for video in videos}, key=_order)
    names = sorted({label for video in videos for label in video.item.labels})
    rows = [("category", *(f"{split} {what}" for split in splits for what in ("videos", "minutes")))]
    for name in [NORMAL, *names]:
        cells = []
        for split in splits:
            own = [v for v in videos if _split(v.item) == split and name in (v.item.labels or (NORMAL,))]
            cells += [str(len(own)), f"{sum(v.duration_s for v in own) / 60:.1f}"]
        rows.append((name, *cells))
    return rows


def _split(item: Item) -> str:
    return item.split or f"fold {item.fold}"


def _order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)


def _training(items: Sequence[Item]) -> list[Item]:
    """The items that training may see, all as training items: of folds each trains some model."""
    return [replace(item, split="train") for item in items if item.split != "test"]


def _untrainable(items: Sequence[Item]) -> Iterator[str]:
    try:
        check_trainable(items if any(item.split for item in items) else _training(items))
    except InputError as error:
        yield str(error)


def _categories(items: Sequence[Item]) -> Iterator[str]:
    training = _training(items)
    for name in thin_categories(training):
        yield f"category '{name}' has a single training video: it is learnable in name only; add more, or leave it out"
    known = {label for item in training for label in item.labels}
    for name in sorted({label for item in items for label in item.labels} - known):
        yield f"category '{name}' is in the test split and in no training video: evaluation will refuse it"
    for names in twins(items):
        yield f"categories {' and '.join(map(repr, names))} are learnt apart: give one name to what is one"


def _few(items: Sequence[Item]) -> Iterator[str]:
    training = _training(items)
    for kind, number in (
        ("normal", sum(not item.anomalous for item in training)),
        ("anomalous", sum(item.anomalous for item in training)),
    ):
        if 0 < number < FEW_VIDEOS:
            yield f"{number} {kind} training video: nothing can be held out, so nothing will be known of the model"
    if any(item.split for item in items) and not any(item.split == "test" for item in items):
        yield "no test videos: evaluate will have nothing to judge"


def _lengths(videos: Sequence[VideoFacts]) -> Iterator[str]:
    short = [video.item.path for video in videos if 0 < video.duration_s < SHORTEST_S]
    if short:
        yield f"{len(short)} videos are shorter than a segment of {SHORTEST_S} s: {some(short)}"
    lengths = {
        kind: [video.duration_s for video in videos if video.item.anomalous == kind and video.duration_s]
        for kind in (False, True)
    }
    if all(len(own) > 1 for own in lengths.values()):
        normal, anomalous = (median(lengths[kind]) for kind in (False, True))
        if max(normal, anomalous) > 3 * min(normal, anomalous):
            yield f"lengths differ by kind: normal videos last {normal:.0f} s (median), anomalous {anomalous:.0f} s"


def _formats(videos: Sequence[VideoFacts]) -> Iterator[str]:
    measured: tuple[tuple[str, str, Callable[[VideoFacts], str]], ...] = (
        ("frame rates", "frame rate", lambda video: f"{video.rate_hz:.4g} Hz"),
        ("sizes", "size", lambda video: f"{video.width}x{video.height}"),
    )
    for words, one, of in measured:
        known = [video for video in videos if video.rate_hz and video.width]
        values = Counter(map(of, known))
        if len(values) > 1:
            yield f"{words}: {', '.join(f'{value} ({count} videos)' for value, count in values.most_common(5))}"
        guess = guessable([(of(video), video.item.anomalous) for video in known])
        if guess is not None:
            yield (
                f"the {one} alone tells {guess:.0%} of the videos' labels: a model may learn how a video was made, not "
                "what happens in it"
            )


def guessable(pairs: Sequence[tuple[str, bool]]) -> float | None:
    """Share of the labels that a value tells, where it is far above the share of the commoner label; else None."""
    if len(pairs) < LEAST_TO_GUESS or len({value for value, _ in pairs}) < 2:
        return None
    by_value: dict[str, Counter[bool]] = {}
    for value, label in pairs:
        by_value.setdefault(value, Counter())[label] += 1
    told = sum(max(each.values()) for each in by_value.values()) / len(pairs)
    usual = max(Counter(label for _, label in pairs).values()) / len(pairs)
    return told if told >= usual + GIVEN_AWAY else None


def _truth(facts: SetFacts) -> Iterator[str]:
    judged = any(item.split == "test" or item.fold is not None for item in facts.items)
    if judged and not (facts.root / EVENTS_FILE).exists():
        yield f"no {EVENTS_FILE} in {facts.root}: evaluate needs it to know when things happen in test videos"
