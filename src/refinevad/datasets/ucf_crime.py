"""UCF-Crime from human captions: the annotation folder -> one vector a segment for each captioned video.

Videos: Sultani, Chen and Shah, CVPR 2018 (official split). Captions: UCA, Yuan et al., 2023. The captions
were written by people who saw the video, so figures on them compare heads with each other, not with published
AUC.

Training videos come from `Anomaly_Train.txt` and `captions.json` alone: `read_training_videos` never opens
the file that holds the temporal truth. `read_test_videos` takes names, labels and frame counts from
`test_truth.json`, whose intervals evaluation reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.datasets.benchmarks import UCF_CRIME
from refinevad.encoders.captions import CaptionEncoder, CaptionsByVideo, read_captions
from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.names import some
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json
from refinevad.timeline import FIELD_SEGMENT_FRAMES, MOST_FRAMES, SegmentRule, Timeline

RATE_HZ = UCF_CRIME.rate_hz  # every video of the benchmark was re-encoded at this rate


@dataclass(frozen=True)
class UcfCrimeVideo:
    """A captioned video of the benchmark; `labels` is empty for a normal one."""

    name: str
    labels: tuple[str, ...]
    split: str
    frames: int

    @property
    def timeline(self) -> Timeline:
        """Segments of 16 frames at 30 frames a second; the last may be short."""
        return Timeline.uniform(self.frames, RATE_HZ, SegmentRule(seconds=None, frames=FIELD_SEGMENT_FRAMES))


def is_annotation_folder(root: Path) -> bool:
    """Whether a folder is UCF-Crime's annotation with human captions rather than a folder of videos."""
    return (root / "Anomaly_Train.txt").exists() and (root / "captions.json").exists()


def read_training_videos(root: Path) -> tuple[UcfCrimeVideo, ...]:
    """Training videos that have captions, in the official order; frames = duration x 30.

    Raises:
        InputError: a file of the folder is absent or malformed.
    """
    durations = _durations(root / "captions.json")
    return tuple(
        UcfCrimeVideo(name, label, "train", max(round(durations[name] * RATE_HZ), 1))
        for name, label in _listed(root)
        if name in durations
    )


def _listed(root: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Name and labels of each video of the official training list."""
    path = root / "Anomaly_Train.txt"
    listed = []
    for number, line in enumerate(_text(path).replace("\\", "/").split("\n"), start=1):
        if line.strip():
            folder, _, file = line.strip().partition("/")
            listed.append((file.removesuffix(".mp4"), _label(folder, f"{path}, line {number}")))
    return listed


def left_aside(root: Path, test: bool) -> tuple[str, ...]:
    """A sentence for the listed videos without captions and, with `test`, one for captions of no listed video.

    Raises:
        InputError: a file of the folder is absent or malformed.
    """
    captioned = _durations(root / "captions.json")
    listed = [name for name, _ in _listed(root)]
    if test:
        listed += [video.name for video in _test_videos(root / "test_truth.json")]
    without = [name for name in listed if name not in captioned]
    notes = [f"{len(without)} listed videos have no captions and are left out: {some(without)}"] if without else []
    strange = sorted(set(captioned) - set(listed)) if test else []
    if strange:
        notes.append(f"{len(strange)} captioned videos are in no list and are left out: {some(strange)}")
    return tuple(notes)


def read_test_videos(root: Path) -> tuple[UcfCrimeVideo, ...]:
    """Test videos that have captions, in the benchmark's order, with their true frame counts.

    Raises:
        InputError: a file of the folder is absent or malformed.
    """
    durations = _durations(root / "captions.json")
    return tuple(video for video in _test_videos(root / "test_truth.json") if video.name in durations)


def _test_videos(path: Path) -> list[UcfCrimeVideo]:
    """Name, labels and frames of each video of test_truth.json; when something happens is not looked at."""
    entries = _json(path).get("videos")
    if not isinstance(entries, list):
        raise InputError(f"{path}: lacks its list of videos")
    videos = []
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: video {number}"
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("name", "label")):
            raise InputError(f"{where} lacks its name or label")
        frames = entry.get("frames")
        if type(frames) is not int or frames < 1:
            raise InputError(f"{where}: frames must be a whole number above 0, not {short(frames)}")
        videos.append(UcfCrimeVideo(entry["name"], _label(entry["label"], where), "test", frames))
    return videos


def caption_features(
    root: Path, videos: Sequence[UcfCrimeVideo], encoder: CaptionEncoder
) -> Iterator[tuple[UcfCrimeVideo, Float[np.ndarray, "segment channel"]]]:
    """Each video with its segments' vectors, one at a time: the longest video has 61,031 segments."""
    captions: CaptionsByVideo = read_captions(root / "captions.json")
    for video in videos:
        yield video, encoder.encode(captions[video.name], video.timeline)


def _label(folder: str, where: str) -> tuple[str, ...]:
    """Labels of a folder of the benchmark: its category, or none for the normal ones."""
    if "normal" in folder.lower():
        return ()
    if folder not in UCF_CRIME.categories:
        raise InputError(f"{where}: {folder!r} is no category of UCF-Crime")
    return (folder,)


def _durations(path: Path) -> dict[str, float]:
    """Seconds by video, for the videos that have captions."""
    durations = {}
    for name, entry in _json(path).items():
        if not isinstance(entry, dict) or "captions" not in entry:
            raise InputError(f"{path}: {short(name)} lacks its duration_s or captions")
        if not entry["captions"]:
            continue
        seconds = entry.get("duration_s")
        if not is_finite(seconds) or not 0 <= seconds <= MOST_FRAMES / RATE_HZ:
            raise InputError(f"{path}: {short(name)}: duration_s must be a number of seconds, not {short(seconds)}")
        durations[name] = float(seconds)
    return durations


def _json(path: Path) -> dict[str, Any]:
    try:
        table = parse_json(_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: must be a JSON object, not {type(table).__name__}")
    return table


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; is this the folder of UCF-Crime?") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not JSON or text in UTF-8 (byte {error.start}); convert it") from error
