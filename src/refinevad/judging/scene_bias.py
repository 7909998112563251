"""Does the score read how a video was filmed? Scores of normal frames at one pole of a factor against the other.

A factor (resolution, bitrate, brightness ...) is a number a video. The videos are split in two at the border between
two of its values that leaves the halves most alike in size. AUC over each video's mean score on its *normal* frames,
the high pole against the low one: 0.5 where the score says nothing of the factor, far from it where it reads it.

Resolution and bitrate come from the source that features remember, brightness from the video files where they lie in
the data set's folder. Any of them, night and colour may be columns of `videos.csv`, as numbers or as two words; a
column goes before what was measured.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.datasets.sources import VIDEOS_FILE, read_rows
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.judging.predictions import AlignedVideo
from refinevad.judging.resampling import Bootstrap, interval

MEASURED = ("resolution", "bitrate", "brightness")  # told for every set, None where they cannot be had
FURTHER = ("night", "colour")  # told where videos.csv has them

Factors = Mapping[str, Mapping[str, float]]


def source_factors(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Resolution in pixels and bitrate in bit/s by video, of what `Provenance.source` says of each."""
    found: dict[str, dict[str, float]] = {"resolution": {}, "bitrate": {}}
    for name, source in sources.items():
        if source.get("width") and source.get("height"):
            found["resolution"][name] = float(source["width"]) * float(source["height"])
        if source.get("bytes") and source.get("duration_s"):
            found["bitrate"][name] = 8 * float(source["bytes"]) / float(source["duration_s"])
    return found


def table_factors(folder: Path, videos: Sequence[str]) -> dict[str, dict[str, float]]:
    """The factors that `videos.csv` has columns for, by video; of two words the later in the alphabet counts 1.

    Raises:
        InputError: a table that cannot be read.
    """
    rows = {str(Path((row.get("path") or "").strip()).with_suffix("")): row for row in read_rows(folder / VIDEOS_FILE)}
    found: dict[str, dict[str, float]] = {}
    for factor in (*MEASURED, *FURTHER):
        told = {name: (rows.get(str(Path(name).with_suffix("")), {}).get(factor) or "").strip() for name in videos}
        values = _numbers({name: text for name, text in told.items() if text})
        if values:
            found[factor] = values
    return found


def _numbers(told: Mapping[str, str]) -> dict[str, float]:
    try:
        numbers = {name: float(text) for name, text in told.items()}
    except ValueError:
        words = sorted({text.lower() for text in told.values()})
        return {name: float(words.index(text.lower())) for name, text in told.items()} if len(words) == 2 else {}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def scene_bias(videos: Sequence[AlignedVideo], factors: Factors, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
    """By factor: auc, its ci95 over videos, whether that excludes 0.5, frame_auc (every normal frame for itself), and
    range and number of videos of both poles; None for a factor that is not known or alike in all videos."""
    names = dict.fromkeys((*MEASURED, *factors))
    return {name: _bias(videos, factors.get(name, {}), bootstrap) for name in names}


def _bias(
    videos: Sequence[AlignedVideo], factor: Mapping[str, float], bootstrap: Bootstrap | None
) -> dict[str, Any] | None:
    normal = {v.truth.name: Runs(v.prediction.scores, v.runs.negatives, v.runs.negatives * 0) for v in videos}
    known = {name: factor[name] for name, runs in normal.items() if name in factor and runs.positives.sum()}
    border = _border(list(known.values()))
    if border is None:
        return None
    means, frames = {}, {}
    for name, value in known.items():
        runs, high = normal[name], int(value > border)
        mean = float(runs.scores.astype(np.float64) @ runs.positives) / float(runs.positives.sum())
        means[name] = Runs(np.array([mean]), np.array([high]), np.array([1 - high]))
        frames[name] = runs if high else Runs(runs.scores, runs.negatives, runs.positives)
    area = None if bootstrap is None else interval(bootstrap.area(means))
    auc = _whole_auc if bootstrap is None else bootstrap.auc
    return {
        "auc": auc(means),
        "ci95": None if area is None else list(area),
        "excludes_half": None if area is None else not area[0] <= 0.5 <= area[1],
        "frame_auc": auc(frames),
        "low": _pole([value for value in known.values() if value <= border]),
        "high": _pole([value for value in known.values() if value > border]),
    }


def _whole_auc(runs: Mapping[str, Runs]) -> float:
    """AUC over the runs of all videos together."""
    return roc_auc(Runs.join(list(runs.values())))


def _border(values: Sequence[float]) -> float | None:
    """The value up to which a video is at the low pole; None where all are alike."""
    distinct = np.unique(np.array(values, dtype=np.float64))
    if len(distinct) < 2:
        return None
    low = np.searchsorted(np.sort(values), distinct[:-1], side="right")
    return float(distinct[np.argmin(np.abs(2 * low - len(values)))])


def _pole(values: Sequence[float]) -> dict[str, float]:
    return {"from": min(values), "to": max(values), "videos": len(values)}
