"""Features that others published, read where they lie: 40 GB of them are not copied and need not fit in memory.

A video has one crop or several. Training takes each crop for a video of its own; a test video's score is the mean of
its crops' scores, or that of one named crop. VGGish audio stands beside the picture's channels, aligned by
`audio_rows`. A file is opened when its values are asked for and let go afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from refinevad.datasets.bag import Bag, Shortening, shorten
from refinevad.datasets.npy import open_npy
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance
from refinevad.scoring.scores import Scores
from refinevad.timeline import FIELD_SEGMENT_FRAMES, SegmentRule, Timeline

RULE = SegmentRule(frames=FIELD_SEGMENT_FRAMES)
VISUAL, AUDIO = "visual", "audio"
_SAME_GRID = 0.02  # share of a video's segments, at least 2, by which audio may differ and still be row by row


def audio_rows(segments: int, rows: int) -> Int[np.ndarray, "segment"]:
    """Which audio row stands beside each segment.

    VGGish for XD-Violence has one row a segment, up to a row or two at the end: counts that differ by at most 2 or
    2 % are paired from the start on, the last row standing in for missing ones, surplus ones left out. Other counts
    (VGGish every 0.96 s) are taken to cover the same video: segment t takes the row at its middle,
    floor((t + 1/2) rows / segments).
    """
    place = np.arange(segments)
    if abs(segments - rows) <= max(2, _SAME_GRID * segments):
        return np.minimum(place, rows - 1)
    return (2 * place + 1) * rows // (2 * segments)


@dataclass(frozen=True)
class Crop:
    """One crop of a video: a file of its own, or a place on an axis (`axis`, 0 or 1) of the video's file."""

    path: Path
    place: int | None
    segments: int
    audio: Path | None
    axis: int = 1

    def read(self) -> Float[np.ndarray, "segment channel"]:
        """The crop's segments, audio beside them. Raises InputError for a file that changed or holds no numbers."""
        values = _floats(self._mapped(), self.path)[: self.segments]
        if self.audio is None:
            return values
        audio = _floats(open_npy(self.audio), self.audio)
        return np.concatenate([values, audio[audio_rows(self.segments, len(audio))]], axis=1)

    def _mapped(self) -> Float[np.ndarray, "whole channel"]:
        array = open_npy(self.path)
        values = array if self.place is None else np.moveaxis(array, self.axis, 0)[self.place]
        if values.ndim != 2 or len(values) < self.segments:
            raise InputError(f"{self.path} has changed since it was imported; import it again")
        return values

    def shortened(self, limit: int, how: Shortening) -> Float[np.ndarray, "kept channel"]:
        """`shorten` of the crop, from the file as it lies. Raises InputError as `read`."""
        if self.audio is not None:
            return shorten(self.read(), limit, how)
        kept = shorten(self._mapped()[: self.segments], limit, how)
        if not np.isfinite(kept).all():
            self.read()  # names the first bad segment
        return kept

    def identity(self) -> bytes:
        """Tells this crop from another, and a changed file from what it was, without reading it."""
        files = [path.stat() for path in (self.path, self.audio) if path is not None]
        return repr((self.path.name, self.place, [(file.st_size, file.st_mtime_ns) for file in files])).encode()


def _floats(array: Float[np.ndarray, "*axes"], path: Path) -> Float[np.ndarray, "*axes"]:
    """A copy in memory as float32. Raises InputError for NaN or infinite values."""
    values: Float[np.ndarray, "*axes"] = np.array(array, dtype=np.float32)
    if not np.isfinite(values).all():
        bad = np.array([not np.isfinite(row).all() for row in values])
        raise InputError(
            f"{path} holds NaN or infinite values in {int(bad.sum())} of {len(bad)} segments "
            f"(first: segment {int(bad.argmax())}); repair it or take the video out of the list"
        )
    return values


class CropBag(Bag):
    """A crop for training; its values are read each time they are asked for."""

    def __init__(self, crop: Crop, labels: Float[np.ndarray, "category"]) -> None:
        object.__setattr__(self, "crop", crop)
        object.__setattr__(self, "labels", labels)

    crop: Crop

    @property
    def values(self) -> Float[np.ndarray, "segment channel"]:
        """The crop's segments."""
        return self.crop.read()

    @property
    def segments(self) -> int:
        """How many there are; nothing is read."""
        return self.crop.segments

    def shortened(self, limit: int, how: Shortening) -> Float[np.ndarray, "kept channel"]:
        """At most `limit` segments of the crop; no more than these is copied."""
        return self.crop.shortened(limit, how)

    def identity(self) -> bytes:
        """The files' names, sizes and times, and the labels."""
        return self.crop.identity() + str(self.labels.tolist()).encode()


class PublishedFeatures(Features):
    """One video in its crops; nothing is in memory until a crop is read."""

    def __init__(self, crops: Sequence[Crop], timeline: Timeline, provenance: Provenance) -> None:
        object.__setattr__(self, "crops", tuple(crops))
        object.__setattr__(self, "timeline", timeline)
        object.__setattr__(self, "provenance", provenance)

    crops: tuple[Crop, ...]

    @property
    def values(self) -> Float[np.ndarray, "segment channel"]:
        """The first crop's segments."""
        return self.crops[0].read()


def mean_over_crops(features: Features, score: Callable[[Float[np.ndarray, "segment channel"]], Scores]) -> Scores:
    """Score a video; of features in crops, the mean of the crops' scores, each crop scored by itself."""
    if not isinstance(features, PublishedFeatures):
        return score(features.values)
    each = [score(crop.read()) for crop in features.crops]
    if len(each) == 1:
        return each[0]
    return Scores(
        np.mean([scores.segments for scores in each], axis=0),
        np.mean([scores.categories for scores in each], axis=0),
        np.mean([scores.presence for scores in each], axis=0),
        np.mean([scores.shift_ratio for scores in each], axis=0),
    )


@dataclass(frozen=True)
class PublishedVideo:
    """Where one video's features lie, relative to the folders they were found in.

    Attributes:
        files: crop -> file; or a single file, one axis of which holds `crops` crops.
        crops: number of crops on that axis; 0: a file a crop.
        segments: T, the shortest crop's.
        audio: VGGish file.
        axis: of the crops, where they lie on one: 0 (crops x segments x channels) or 1.
    """

    files: Mapping[int, str]
    crops: int
    segments: int
    audio: str | None = None
    axis: int = 1

    def numbers(self) -> list[int]:
        """The crops there are."""
        return list(range(self.crops)) if self.crops else sorted(self.files)


@dataclass(frozen=True)
class PublishedSet:
    """A data set's published features.

    Attributes:
        folder, audio_folder: what the videos' paths are relative to.
        rate_hz: frames a second, of which a segment lasts 16.
        channels, audio_channels: numbers a segment.
        train_crop: the one crop to train on; None: each.
        test_crop: the one crop to test on; None: all, the mean of their scores.
        videos: item path -> its files.
    """

    folder: str
    audio_folder: str
    rate_hz: float
    channels: int
    audio_channels: int
    train_crop: int | None
    test_crop: int | None
    videos: Mapping[str, PublishedVideo]

    def features(self, path: str, training: bool, encoder: str) -> PublishedFeatures:
        """One video's features, unread. Raises InputError where it lacks the crop that was named."""
        video = self.videos[path]
        wanted = self.train_crop if training else self.test_crop
        numbers = video.numbers()
        if wanted is not None and wanted not in numbers:
            raise InputError(f"{path} has no crop {wanted}, only {', '.join(map(str, numbers))}; choose another crop")
        crops = [self._crop(video, number) for number in (numbers if wanted is None else [wanted])]
        timeline = Timeline.uniform(video.segments * FIELD_SEGMENT_FRAMES, self.rate_hz, RULE)
        return PublishedFeatures(crops, timeline, self.provenance(encoder))

    def _crop(self, video: PublishedVideo, number: int) -> Crop:
        audio = None if video.audio is None else Path(self.audio_folder) / video.audio
        if video.crops:
            return Crop(Path(self.folder) / video.files[0], number, video.segments, audio, video.axis)
        return Crop(Path(self.folder) / video.files[number], None, video.segments, audio)

    def provenance(self, encoder: str) -> Provenance:
        """What a model trained on these features expects of others: the same name and widths."""
        end = self.channels + self.audio_channels
        parts = {VISUAL: (0, self.channels)} | ({AUDIO: (self.channels, end)} if self.audio_channels else {})
        identity = {"name": encoder, "channels": self.channels, "audio_channels": self.audio_channels}
        return Provenance(identity, RULE.as_dict(), {}, {"folder": self.folder}, parts)

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if name != "videos"},
            "videos": {path: vars(video) for path, video in self.videos.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PublishedSet":
        """Raises KeyError or TypeError for anything `as_dict` did not write."""
        videos = {
            path: PublishedVideo(**{**video, "files": {int(k): file for k, file in video["files"].items()}})
            for path, video in content["videos"].items()
        }
        return cls(**{**content, "videos": videos})
