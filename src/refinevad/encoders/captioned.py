"""Sentences that a language model says of a video, as a text branch: `captioned:MODEL[:SENTENCES]`.

`refinevad caption` and the encoder `captions` in one: windows of the file are described (captioner.py), the sentences
are embedded, and a segment's vector is the mean over the sentences whose window overlaps it. With `clip:...` before
it, joined by `+`, this is what RefineVAD reads.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.caption_windows import FrameWindow, WindowPlan, windows_of
from refinevad.encoders.captioner import Captioner
from refinevad.encoders.captions import Caption, CaptionEncoder, SentenceEncoder

_BATCH = 4


class CaptionedEncoder(CaptionEncoder):
    """Captions of a video's own making."""

    from_files = False

    def __init__(self, captioner: Captioner, sentences: SentenceEncoder, plan: WindowPlan | None = None) -> None:
        super().__init__(sentences)
        self.captioner, self.plan = captioner, plan or WindowPlan()
        self.name = "captioned"
        self.parts = {"captioned": (0, sentences.dim)}

    @cached_property
    def identity(self) -> EncoderIdentity:
        seen, said = self.captioner.identity, self.sentences.identity
        weights = hashlib.sha256(f"{seen.weights_sha256}{said.weights_sha256}".encode()).hexdigest()
        told = {"captioner": dict(seen.preprocessing), "sentences": dict(said.preprocessing)}
        return EncoderIdentity("captioned", weights, {**told, "windows": self.plan.as_dict()})

    def captions_of(self, video: Path) -> Sequence[Caption]:
        """What the model says of a video, window by window. Raises InputError where the video cannot be read."""
        said: list[Caption] = []
        waiting: list[FrameWindow] = []
        for window in windows_of(video, self.plan):
            waiting.append(window)
            if len(waiting) == _BATCH:
                said += self._said(waiting)
                waiting = []
        return said + self._said(waiting)

    def _said(self, windows: Sequence[FrameWindow]) -> list[Caption]:
        return [
            Caption(window.start_s, window.end_s, text)
            for window, texts in zip(windows, self.captioner.describe(windows), strict=True)
            for text in texts
            if text
        ]
