"""A video's features kept in a file: made where they are missing or of another video, by this process or by a pool."""

import pickle
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from refinevad.encoders.choice import EncoderChoice, open_encoder, registered
from refinevad.features.encoding import Encoded
from refinevad.features.extraction import as_features, extract, up_to_date
from refinevad.features.pooled import FileWork, PooledFiles
from refinevad.features.store import save_features
from refinevad.features.workers import Workers, encode_share
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning

opened_once = lru_cache(maxsize=1)(open_encoder)


def open_kept(spec: str) -> EncoderChoice:
    """The encoder, which a process opens once; a registered one is what was registered last."""
    return opened_once(spec) if registered(spec) is None else open_encoder(spec)


def keep(video: Path, spec: str, rule: SegmentRule, target: Path) -> bool:
    """Extract one video into `target` unless that is up to date; whether anything was made.

    Raises:
        InputError: the video cannot be read, or the disk is full.
    """
    encoder = open_kept(spec)
    if video.exists() and up_to_date(target, video, encoder, rule):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # told of the whole set, from what is stored
        save_features(target, extract(video, encoder, rule))
    return True


def keep_all(
    videos: Sequence[Path], spec: str, rule: SegmentRule, targets: Sequence[Path], workers: Workers
) -> PooledFiles[bool]:
    """The same of many, by a pool: a long video in shares, where its encoder is portable; the outcome is `keep`'s.

    A video that was shared comes as its vectors (`Encoded`): `keep_shared` is to be called with them.
    """
    encoder = open_kept(spec)
    vision = encoder.vision
    sent = pickle.dumps(vision) if vision is not None and vision.portable else None

    def work(video: Path, target: Path) -> FileWork[bool]:
        return FileWork(
            video,
            None if sent is None else lambda share: workers.submit(encode_share, video, share, sent),
            lambda: workers.submit(keep, video, spec, rule, target),
            lambda: not up_to_date(target, video, encoder, rule),
        )

    files = [work(video, target) for video, target in zip(videos, targets, strict=True)]
    return PooledFiles(workers.count, files, encoder.needs, rule)


def keep_shared(video: Path, encoded: Encoded, spec: str, rule: SegmentRule, target: Path) -> None:
    """Save a video whose shares are encoded. Raises InputError as `keep`."""
    save_features(target, as_features(video, encoded, open_kept(spec), rule))
