"""A data set's videos -> its feature folder: resumable, skipped when up to date, one bad video does not stop the others."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import refinevad
from refinevad.encoders.captions import CaptionEncoder
from refinevad.encoders.choice import EncoderChoice, open_encoder
from refinevad.errors import InputError
from refinevad.extraction import extract, up_to_date
from refinevad.features import Features, Provenance, read_provenance, save_features
from refinevad.timeline import SegmentRule
from refinevad.training.dataset import FeatureIndex, Item
from refinevad.training.ucf_crime import UcfCrimeVideo, caption_features


@dataclass(frozen=True)
class Featurized:
    """What became of a data set: the index of what can be used, and one sentence for each video that cannot."""

    index: FeatureIndex
    made: int
    skipped: int
    failed: dict[str, str]


@lru_cache(maxsize=1)
def _encoder(spec: str) -> EncoderChoice:
    return open_encoder(spec)


def _one(root: Path, item: Item, spec: str, rule: SegmentRule, target: Path) -> bool:
    """Extract one video unless its features are up to date; whether anything was made."""
    encoder, video = _encoder(spec), root / item.path
    if video.exists() and up_to_date(target, video, encoder, rule):
        return False
    save_features(target, extract(video, encoder, rule))
    return True


def featurize(
    root: Path,
    items: Sequence[Item],
    spec: str,
    rule: SegmentRule,
    out: Path,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> Featurized:
    """Extract every video of a data set into `out`, and write the index of those that worked.

    Raises:
        InputError: the encoder cannot be opened, the disk is full, or no video at all could be read.
    """
    encoder = _encoder(spec)  # fails here, once, rather than in every worker; and fills the weights' cache
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

    if workers > 1:
        # spawned, not forked: the parent already runs ONNX Runtime and torch threads
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            jobs = {pool.submit(_one, root, item, spec, rule, index.path(item)): item for item in items}
            try:
                for job in as_completed(jobs):
                    note(jobs[job], job.result)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    else:
        for item in items:
            note(item, lambda item=item: _one(root, item, spec, rule, index.path(item)))
    if len(failed) == len(items):
        raise InputError(
            f"none of the {len(items)} videos could be read; the first: {next(iter(failed.values()))}"
        )
    usable = FeatureIndex(out, [item for item in items if item.path not in failed], encoder.spec, str(root))
    usable.save()
    return Featurized(usable, made, len(items) - made - len(failed), failed)


def featurize_ucf_captions(
    root: Path,
    videos: Sequence[UcfCrimeVideo],
    spec: str,
    encoder: CaptionEncoder,
    out: Path,
    progress: Callable[[], None] | None = None,
) -> Featurized:
    """Features of UCF-Crime from its human captions: `<split>/<name>.safetensors`, 16 frames a segment."""
    items = [Item(f"{video.split}/{video.name}.mp4", video.labels, video.split) for video in videos]
    index = FeatureIndex(out, items, spec, str(root))
    rule = SegmentRule(frames=16)
    wanted = Provenance(encoder.identity.as_dict(), rule.as_dict())
    missing = [
        (video, item)
        for video, item in zip(videos, items, strict=True)
        if not index.path(item).exists() or read_provenance(index.path(item)).signature != wanted.signature
    ]
    paths = {video.name: index.path(item) for video, item in missing}
    for video, values in caption_features(root, [video for video, _ in missing], encoder):
        source = {"name": video.name, "rate_hz": 30.0, "duration_s": video.timeline.duration_s}
        provenance = Provenance(wanted.encoder, wanted.rule, {}, source, encoder.parts, refinevad.__version__)
        save_features(paths[video.name], Features(values, video.timeline, provenance))
        if progress is not None:
            progress()
    index.save()
    return Featurized(index, len(missing), len(items) - len(missing), {})
