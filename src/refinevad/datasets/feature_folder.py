"""A data set's videos -> its feature folder: resumable, skipped when up to date; a bad video stops no other."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import refinevad
from refinevad.datasets.dataset import INDEX, FeatureIndex, Item
from refinevad.datasets.ucf_crime import UcfCrimeVideo, caption_features
from refinevad.encoders.captions import CaptionEncoder
from refinevad.encoders.choice import registered
from refinevad.errors import InputError
from refinevad.features.encoding import Encoded
from refinevad.features.kept import keep, keep_all, keep_found, open_kept
from refinevad.features.store import Features, Provenance, read_provenance, save_features
from refinevad.features.workers import open_workers
from refinevad.machine.ray_pool import OnRay
from refinevad.machine.worker_pool import deaths_told
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


def extract_all(
    root: Path,
    items: Sequence[Item],
    spec: str,
    rule: SegmentRule,
    out: Path,
    workers: int | OnRay = 1,
    progress: Callable[[], None] | None = None,
) -> Extracted:
    """Extract every video of a data set into `out`, and write the index of those that worked.

    Args:
        workers: how many processes, or the Ray that does it.

    Raises:
        InputError: the encoder cannot be opened, the disk is full, or no video at all could be read.
        RefineVADError: a worker process was killed.
    """
    encoder = open_kept(spec)  # fails here, once, rather than in every worker; and fills the weights' cache
    index = FeatureIndex(out, list(items), spec, str(root))
    failed: dict[str, str] = {}
    made = 0

    videos, targets = [root / item.path for item in items], [index.path(item) for item in items]

    def note(place: int, outcome: Callable[[], bool]) -> None:
        nonlocal made
        try:
            made += outcome()
        except InputError as error:
            if str(error).startswith("cannot write"):
                raise
            failed[items[place].path] = str(error)
        if progress is not None:
            progress()

    alone = registered(spec) is not None  # which no other process knows of
    if alone and isinstance(workers, OnRay):
        raise InputError(f"encoder '{spec}' is registered in this process alone, and Ray's do not know it; leave --ray")
    if not alone and workers != 1:
        death = deaths_told("extracts features", "run again with fewer --workers: what is done is kept")
        with (
            death,
            open_workers(workers) as pool,
            keep_all(videos, spec, rule, targets, pool) as done,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", DamagedVideoWarning)  # told of the whole set, from what is stored
            for place, found in done:
                note(place, lambda place=place, found=found: _kept(videos[place], found, spec, rule, targets[place]))
    else:
        for place, video in enumerate(videos):
            note(place, lambda place=place, video=video: keep(video, spec, rule, targets[place]))
    if len(failed) == len(items):
        raise InputError(f"none of the {len(items)} videos could be read; the first: {next(iter(failed.values()))}")
    usable = FeatureIndex(out, [item for item in items if item.path not in failed], encoder.spec, str(root))
    usable.save()
    return Extracted(usable, made, len(items) - made - len(failed), failed, _found_in_videos(usable))


def _kept(
    video: Path, found: Encoded | Features | bool | InputError | None, spec: str, rule: SegmentRule, target: Path
) -> bool:
    """Whether a worker made anything; raises what it met, and saves what it gave."""
    if isinstance(found, InputError):
        raise found
    if isinstance(found, Encoded | Features):
        keep_found(video, found, spec, rule, target)
        return True
    return bool(found)


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
