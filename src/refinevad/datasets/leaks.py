"""The same video in two splits: what was trained on is then judged, and figures say nothing. It is told, by name."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.errors import InputError
from refinevad.features.store import read_provenance
from refinevad.files.names import some
from refinevad.files.whole import sha256_file

Digest = tuple[int, str]  # bytes, and the SHA-256 of a sample of them


def same_in_two_splits(index: FeatureIndex) -> tuple[str, ...]:
    """A sentence where videos of two splits, or of two folds, have the same bytes, and one where their labels differ.

    Lengths and digests are those in the features' headers, which sample a long file; where the videos are still at
    hand, files that agree in both are compared whole. Features that carry no digest are not compared.
    """
    if index.published is not None:
        return ()
    return same_bytes(Path(index.source), {item: digest_of(index.path(item)) for item in index.items})


def same_bytes(root: Path, digests: Mapping[Item, Digest | None]) -> tuple[str, ...]:
    """`same_in_two_splits` of items whose digests are at hand; `root`: where the videos lie."""
    alike: dict[Digest, list[Item]] = defaultdict(list)
    for item, digest in digests.items():
        if digest is not None:
            alike[digest].append(item)
    contradicting = [items for items in alike.values() if len({frozenset(item.labels) for item in items}) > 1]
    groups = [items for items in alike.values() if len({(item.split, item.fold) for item in items}) > 1]
    same = [_words(group) for items in groups for group in _whole(root, items)]
    notes = []
    if contradicting:
        pairs = [f"{items[0].path} = {_other(items).path}" for items in contradicting]
        notes.append(f"{len(pairs)} videos are there under two labels: {some(pairs, 5)}")
    if same:
        notes.append(
            f"{len(same)} videos lie in two splits or folds, byte for byte; figures on them are not of new videos: "
            f"{some(same, 5)}"
        )
    return tuple(notes)


def _other(items: list[Item]) -> Item:
    """The first with other labels than the first of all."""
    return next(item for item in items if set(item.labels) != set(items[0].labels))


def _words(group: list[Item]) -> str:
    """The first video of each split or fold, and how many more copies there are."""
    first: dict[tuple[str, int | None], str] = {}
    for item in group:
        first.setdefault((item.split, item.fold), item.path)
    more = f" (and {len(group) - len(first)} more copies)" if len(group) > len(first) else ""
    return " = ".join(first.values()) + more


def digest_of(features: Path) -> Digest | None:
    """What a features file remembers of its video's bytes; None where it does not."""
    try:
        source = read_provenance(features).source
    except InputError:  # told by whoever loads it
        return None
    return (source["bytes"], source["sampled_sha256"]) if {"bytes", "sampled_sha256"} <= set(source) else None


def _whole(root: Path, items: list[Item]) -> list[list[Item]]:
    """Those of different splits whose files are the same throughout; all of them where a file is gone."""
    try:
        by_content: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            by_content[sha256_file(root / item.path)].append(item)
    except OSError:
        return [items]
    return [group for group in by_content.values() if len({(item.split, item.fold) for item in group}) > 1]
