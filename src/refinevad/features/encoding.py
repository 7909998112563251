"""clips -> vectors, a bounded number at a time: one file read in one go."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from refinevad.machine.read_ahead import read_ahead
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.recording import Recording

CLIPS_AT_ONCE = 16  # bounds memory, and gives the encoder batches that pay
_LARGE_PICTURES = 32  # held at once by each side: at 1080p 200 MB
_Item = TypeVar("_Item")


class Encoded(NamedTuple):
    """A file's vectors, where its segments lie, and what a person should know of it; `source`: as of source.py."""

    vectors: Float[np.ndarray, "segment channel"]
    timeline: Timeline
    notes: tuple[str, ...] = ()
    source: Mapping[str, Any] | None = None


def clips_at_once(needs: FrameNeeds) -> int:
    """How many clips are held together: fewer where each has many pictures as large as the video's own."""
    if needs.rgb_size is not None:
        return CLIPS_AT_ONCE
    return max(1, min(CLIPS_AT_ONCE, _LARGE_PICTURES // max(needs.rgb_frames, 1)))


def in_chunks(items: Iterable[_Item], size: int = CLIPS_AT_ONCE) -> Iterator[Sequence[_Item]]:
    """So many items at a time; the last ones may be fewer."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def encoded_in_one_go(
    path: Path,
    needs: FrameNeeds,
    encode: Callable[[Sequence[Clip]], Float[np.ndarray, "segment channel"]],
    rule: SegmentRule,
    progress: Callable[[int], None] | None = None,
    ahead: int = 0,
) -> Encoded:
    """A whole file's vectors, by this process; `ahead` clips are decoded in another thread before they are taken.

    Raises:
        InputError: the file cannot be read.
    """
    reader = Recording(path, needs, rule).whole()
    chunks, seen = [], 0
    at_once = clips_at_once(needs)
    with closing(read_ahead(reader, min(ahead, at_once))) as decoded:
        for clips in in_chunks(decoded, at_once):
            chunks.append(encode(clips))
            if progress is not None:
                now = reader.frames  # read once: the decoder goes on
                progress(now - seen)
                seen = now
    return Encoded(np.concatenate(chunks).astype(np.float32), reader.timeline, reader.notes)
