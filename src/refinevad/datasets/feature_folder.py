"""A data set's videos -> its feature folder: resumable, skipped when up to date; a bad video stops no other."""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

import refinevad
from refinevad.datasets.dataset import INDEX, FeatureIndex, Item
from refinevad.datasets.ucf_crime import UcfCrimeVideo, caption_features
from refinevad.encoders.captions import CaptionEncoder
from refinevad.encoders.choice import EncoderChoice, open_encoder, registered
from refinevad.errors import InputError
from refinevad.features.extraction import extract, up_to_date
from refinevad.features.store import Features, Provenance, read_provenance, save_features
from refinevad.machine.worker_pool import WorkerPool, deaths_told
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning


@dataclass(frozen=True)
class Extracted:
    """What became of a data set: the index of what can be used, and one sentence for each video that cannot.

    `notes`: what else a person should know.
    """

    index: FeatureIndex
    made: int
    skipped: int
    failed: dict[str, str]
    notes: tuple[str, ...] = ()


_encoder = lru_cache(maxsize=1)(open_encoder)


def _open(spec: str) -> EncoderChoice:
    """The encoder, which a process opens once; a registered one is what was registered last."""
    return _encoder(spec) if registered(spec) is None else open_encoder(spec)


def _one(root: Path, item: Item, spec: str, rule: SegmentRule, target: Path) -> bool:
    """Extract one video unless its features are up to date; whether anything was made."""
    encoder, video = _open(spec), root / item.path
    if video.exists() and up_to_date(target, video, encoder, rule):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # told of the whole set, from what is stored
        save_features(target, extract(video, encoder, rule))
    return True


def _one_thread() -> None:
    torch.set_num_threads(1)  # it may have been loaded before its variable was set


def extract_all(
    root: Path,
    items: Sequence[Item],
    spec: str,
    rule: SegmentRule,
    out: Path,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> Extracted:
    """Extract every video of a data set into `out`, and write the index of those that worked.

    Raises:
        InputError: the encoder cannot be opened, the disk is full, or no video at all could be read.
        RefineVADError: a worker process was killed.
    """
    encoder = _open(spec)  # fails here, once, rather than in every worker; and fills the weights' cache
    index = FeatureIndex(out, list(items), spec, str(root))
    failed: dict[str, str] = {}
    made = 0

    def note(item: Item, outcome: Callable[[], bool]) -> None:
        nonlocal made
        try:
            made += outcome()
        except InputError as error:
            if str(error).startswith("cannot write"):
                raise
            failed[item.path] = str(error)
        if progress is not None:
            progress()

    if workers > 1 and registered(spec) is None:  # which no other process knows of
        death = deaths_told("extracts features", "run again with fewer --workers: what is done is kept")
        with death, WorkerPool(min(workers, len(items)), _one_thread) as pool:
            jobs = {pool.submit(_one, root, item, spec, rule, index.path(item)): item for item in items}
            for job in as_completed(jobs):
                note(jobs[job], job.result)
    else:
        for item in items:
            note(item, lambda item=item: _one(root, item, spec, rule, index.path(item)))
    if len(failed) == len(items):
        raise InputError(f"none of the {len(items)} videos could be read; the first: {next(iter(failed.values()))}")
    usable = FeatureIndex(out, [item for item in items if item.path not in failed], encoder.spec, str(root))
    usable.save()
    return Extracted(usable, made, len(items) - made - len(failed), failed, _found_in_videos(usable))


def _found_in_videos(index: FeatureIndex) -> tuple[str, ...]:
    """What was found when the videos were read, as their features keep it."""
    kept = (read_provenance(index.path(item)).source.get("notes", ()) for item in index.items)
    return tuple(sentence for notes in kept for sentence in notes)


def extract_ucf_captions(
    root: Path,
    videos: Sequence[UcfCrimeVideo],
    spec: str,
    encoder: CaptionEncoder,
    out: Path,
    progress: Callable[[], None] | None = None,
) -> Extracted:
    """Features of UCF-Crime from its human captions: `<split>/<name>.safetensors`, 16 frames a segment.

    Videos of a split that is not among `videos` stay in the index as an earlier call left them.
    """
    items = [Item(f"{video.split}/{video.name}.mp4", video.labels, video.split) for video in videos]
    index = FeatureIndex(out, [*items, *_other_splits(out, items)], spec, str(root))
    rule = SegmentRule(frames=16)
    wanted = Provenance(encoder.identity.as_dict(), rule.as_dict())
    missing = [
        (video, item) for video, item in zip(videos, items, strict=True) if not _is_signed(index.path(item), wanted)
    ]
    paths = {video.name: index.path(item) for video, item in missing}
    for video, values in caption_features(root, [video for video, _ in missing], encoder):
        source = {"name": video.name, "rate_hz": 30.0, "duration_s": video.timeline.duration_s}
        provenance = Provenance(wanted.encoder, wanted.rule, {}, source, encoder.parts, refinevad.__version__)
        save_features(paths[video.name], Features(values, video.timeline, provenance))
        if progress is not None:
            progress()
    index.save()
    return Extracted(index, len(missing), len(items) - len(missing), {})


def _is_signed(path: Path, wanted: Provenance) -> bool:
    if not path.exists():
        return False
    try:
        return read_provenance(path).signature == wanted.signature
    except InputError:
        return False


def _other_splits(out: Path, items: Sequence[Item]) -> list[Item]:
    if not (out / INDEX).exists():
        return []
    made = {item.split for item in items}
    return [item for item in FeatureIndex.open(out).items if item.split not in made]
