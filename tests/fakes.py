"""A tiny encoder in place of the real one, so that a whole command runs in milliseconds.

As a program, `python tests/fakes.py extract ...` is `refinevad extract ...` with that encoder, worker processes too.
FAKE_PAUSE_AT=n: the encoder stops in the n-th video a process encodes, so that a test can interrupt there.
FAKE_PAUSE_EPOCH=n: so does training, n epochs done; FAKE_PAUSE_FOLDER=name: in the folder of that name alone.
Who stops leaves a file in the folder FAKE_PAUSED.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

from refinevad.encoders import choice
from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds


class MeanEncoder(Encoder):
    """Mean colour, and mean difference of successive grey frames: four numbers a segment."""

    name, dim = "means", 4
    needs = FrameNeeds(rgb_frames=1, rgb_size=(8, 8), gray_long_side=16, gray_hz=25.0)
    parts = {"appearance": (0, 3), "frame_difference": (3, 4)}  # noqa: RUF012 - declared so by the base class

    def __init__(self, weights: str = "0" * 64) -> None:
        self.weights, self.videos = weights, 0

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(self.name, self.weights, {"rgb_size": [8, 8]})

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        if clips[0].start_s == 0.0:
            self.videos += 1
        if self.videos == int(os.environ.get("FAKE_PAUSE_AT", "-1")):
            print("paused", flush=True)
            pause()
        return np.array([self._vector(clip) for clip in clips], dtype=np.float32)

    @staticmethod
    def _vector(clip: Clip) -> list[float]:
        grey = clip.gray.astype(np.float32)
        difference = float(np.abs(np.diff(grey, axis=0)).mean()) if len(grey) > 1 else 0.0
        return [*(clip.rgb.mean((0, 1, 2)) / 255).tolist(), difference]


class Letters:
    """A sentence encoder that looks at how long a sentence is and how often it says the commonest letters."""

    dim, name = 4, "letters"
    identity = EncoderIdentity("letters", "2" * 64)

    def __init__(self, source: str = "") -> None:
        self.source = source

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        rows = [[len(s) / 50, *(s.count(letter) / 10 for letter in "eta")] for s in sentences]
        return np.array(rows, dtype=np.float32).reshape(-1, 4)


def pause() -> None:
    """Stop here until a signal comes, and say so: a file in the folder FAKE_PAUSED, by the process's id."""
    Path(os.environ["FAKE_PAUSED"], str(os.getpid())).touch()
    time.sleep(100_000)


class BrokenEncoder(MeanEncoder):
    """Gives NaN, as damaged weights do."""

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        return np.full((len(clips), self.dim), np.nan, np.float32)


@contextmanager
def replaced(make: Callable[[], Encoder] = MeanEncoder) -> Iterator[mock.MagicMock]:
    """`lite` opens what `make` makes, and what this process had opened is left behind, before and after."""
    from refinevad.features import kept

    kept.opened_once.cache_clear()
    try:
        with always(make) as opened:
            yield opened
    finally:
        kept.opened_once.cache_clear()


def always(make: Callable[[], Encoder] = MeanEncoder) -> "mock._patch[mock.MagicMock]":
    """A patch for a whole process, to be started once."""
    return mock.patch.object(choice, "_open_vision", side_effect=lambda kind, source: make())


def _pause_in_training() -> None:
    from refinevad.training.loop import Trainer

    whole = Trainer._epoch

    def paused(trainer: Trainer) -> dict[str, float]:
        here = trainer.folder.name == os.environ.get("FAKE_PAUSE_FOLDER", trainer.folder.name)
        if here and trainer.epoch == int(os.environ["FAKE_PAUSE_EPOCH"]):
            pause()
        return whole(trainer)

    mock.patch.object(Trainer, "_epoch", paused).start()


if __name__ in ("__main__", "__mp_main__"):
    always().start()
if __name__ == "__main__":
    from refinevad.apps.cli import main

    # a shell's background jobs start with SIGINT ignored, and their children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "FAKE_PAUSE_EPOCH" in os.environ:
        _pause_in_training()
    sys.exit(main())
