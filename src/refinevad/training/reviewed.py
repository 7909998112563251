"""Clips that people reviewed, as further training videos: one label each, never when anything happens in them.

They join the training split alone: validation stays what it was, so that its figures can be compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from refinevad.datasets.dataset import FeatureIndex, Item, read_dataset
from refinevad.datasets.feature_folder import extract_all
from refinevad.errors import InputError
from refinevad.training.recipe import Recipe

FOLDER = "reviewed"  # of their features, inside those of the data set


@dataclass(frozen=True)
class Reviewed:
    """Items for the training split of `index`, and one sentence for each clip that could not be read."""

    items: list[Item]
    failed: dict[str, str]


def add_reviewed(
    recipe: Recipe,
    index: FeatureIndex,
    clips: Path,
    workers: int = 1,
    progress: Callable[[int], Callable[[], None]] | None = None,
) -> Reviewed:
    """Extract the clips of a folder with videos.csv in the way of `index`, into a folder of its own inside it.

    Raises:
        InputError: the data set's features are not made of videos, or no clip at all could be read.
    """
    if recipe.kind != "videos" or index.published is not None:
        raise InputError("reviewed clips are videos: they can be added to a data set of videos alone")
    videos = read_dataset(clips)
    step = progress(len(videos)) if progress else None
    done = extract_all(clips, videos, index.encoder, recipe.rule, index.root / FOLDER, workers, step)
    items = [replace(item, path=f"{FOLDER}/{item.path}", split="train", fold=None) for item in done.index.items]
    return Reviewed(items, done.failed)
