"""What the scoring thread does at a time: a few items of each camera, their segments encoded together."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.capture.messages import Segment
from refinevad.apps.live.engine.camera import Camera, Task
from refinevad.apps.live.engine.fleet import News

SEGMENTS_AT_ONCE = 16  # what an encoder takes at once; more only makes the first of them wait
_ITEMS_AT_ONCE = 8  # of one camera

Batch = list[tuple[Camera, News | Task]]


def gather(cameras: Sequence[Camera], turn: int) -> Batch:
    """Items of the cameras in turn, from the `turn`-th on, so that none is always last; those of one in order."""
    batch: Batch = []
    segments = 0
    for place in range(len(cameras)):
        camera = cameras[(turn + place) % len(cameras)]
        items = camera.take(min(_ITEMS_AT_ONCE, SEGMENTS_AT_ONCE - segments))
        segments += sum(isinstance(item, Segment) for item in items)
        batch += [(camera, item) for item in items]
        if segments >= SEGMENTS_AT_ONCE:
            break
    return batch


def encode_together(batch: Batch) -> dict[int, Float[np.ndarray, "channel"]]:
    """Vector of each segment by its place in the batch; one call of an encoder for all that share it."""
    places: dict[int, list[int]] = {}
    for place, (camera, item) in enumerate(batch):
        if isinstance(item, Segment):
            places.setdefault(id(camera.track.model.encoder), []).append(place)
    vectors: dict[int, Float[np.ndarray, channel]] = {}
    for own in places.values():
        encoder = batch[own[0]][0].track.model.encoder
        clips = [item.clip for _, item in (batch[place] for place in own) if isinstance(item, Segment)]
        vectors |= dict(zip(own, encoder.encode_clips(clips), strict=True))
    return vectors
