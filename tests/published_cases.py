"""Published features in small: what the tests of their import share."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from published_set import UCF_TEST, UCF_TRAIN
from refinevad.datasets.dataset import FeatureIndex
from refinevad.datasets.importing import Imported, ImportRequest, import_features
from refinevad.datasets.published import PublishedFeatures

ROOT = Path(__file__).parents[1]


def save(path: Path, values: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def vadclip(folder: Path, crops: int = 3, channels: int = 5) -> dict[str, np.ndarray]:
    """VadCLIP's layout: every video's crops, T x crops x channels, by the video's name."""
    made = {}
    for place, path in enumerate((*UCF_TRAIN, *UCF_TEST)):
        values = numbers(place, 6 + place, crops, channels)
        for crop in range(crops):
            save(folder / f"{path}__{crop}.npy", values[:, crop])
        made[Path(path).name] = values
    return made


def imported(folder: Path, data: Path, out: Path, benchmark: str = "ucf-crime", **options: object) -> Imported:
    request = replace(ImportRequest(folder, benchmark), **options)  # type: ignore[arg-type]
    return import_features(request, data, out)


def features_of(index: FeatureIndex, split: str) -> dict[str, PublishedFeatures]:
    items = [item for item in index.items if item.split == split]
    loaded = index.load(items)
    assert all(isinstance(video, PublishedFeatures) for video in loaded)
    return {Path(item.path).stem: video for item, video in zip(items, loaded, strict=True)}  # type: ignore[misc]
