"""A video's features kept in a file: made where they are missing or of another video, by this process or by a pool."""

import pickle
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import cast

from refinevad.encoders.choice import EncoderChoice, open_encoder, registered
from refinevad.features.encoding import Encoded
from refinevad.features.extraction import as_features, extract, up_to_date
from refinevad.features.pooled import FileWork, PooledFiles
from refinevad.features.store import Features, save_features
from refinevad.features.workers import EncodingPool, encode_share
from refinevad.files.whole import is_there
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
    save_features(target, features_of_video(video, spec, rule))
    return True


def keep_all(
    videos: Sequence[Path], spec: str, rule: SegmentRule, targets: Sequence[Path], workers: EncodingPool
) -> "PooledFiles[bool | Features]":
    """The same of many, by a pool: a long video in shares, where its encoder is portable; the outcome is `keep`'s.

    A video that was shared comes as its vectors (`Encoded`), and one that workers elsewhere have read as its features:
    `keep_found` is to be called with them.
    """
    encoder = open_kept(spec)
    vision = encoder.vision
    sent = pickle.dumps(vision) if vision is not None and vision.portable else None

    def whole(video: Path, target: Path) -> "Future[bool | Features]":
        if workers.near:
            return cast("Future[bool | Features]", workers.submit(keep, video, spec, rule, target))
        if not (is_there(video) and up_to_date(target, video, encoder, rule)):
            return cast("Future[bool | Features]", workers.submit(features_of_video, video, spec, rule))
        nothing: Future[bool | Features] = Future()
        nothing.set_result(False)
        return nothing

    def work(video: Path, target: Path) -> "FileWork[bool | Features]":
        return FileWork(
            video,
            None if sent is None else lambda share: workers.submit(encode_share, video, share, sent),
            lambda: whole(video, target),
            lambda: not up_to_date(target, video, encoder, rule),
        )

    files = [work(video, target) for video, target in zip(videos, targets, strict=True)]
    return PooledFiles(workers.count, files, encoder.needs, rule, long_s=workers.long_s)


def features_of_video(video: Path, spec: str, rule: SegmentRule) -> Features:
    """One video's features, by the encoder that this process opens once. Raises InputError as `keep`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # told of the whole set, from what is stored
        return extract(video, open_kept(spec), rule)


def keep_found(video: Path, found: Encoded | Features, spec: str, rule: SegmentRule, target: Path) -> None:
    """Save what others have made of a video. Raises InputError as `keep`."""
    save_features(target, found if isinstance(found, Features) else as_features(video, found, open_kept(spec), rule))
