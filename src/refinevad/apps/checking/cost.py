"""What training will cost in minutes, by rates measured on this machine for a few seconds."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch

from refinevad.apps.checking.facts import SetFacts
from refinevad.datasets.dataset import categories_of
from refinevad.encoders.choice import DEFAULT_ENCODER, open_encoder
from refinevad.timeline import SegmentRule
from refinevad.training.recipe import DEFAULT_MODEL, DEFAULT_TRAINING
from refinevad.video.recording import Recording

CLIPS = 12  # encoded to measure by
STEPS = 4
_INPUTS = 177  # of the default: motion alone


@dataclass(frozen=True)
class Cost:
    """Minutes that `train` will take, on so many worker processes."""

    extract_min: float
    train_min: float
    workers: int

    @property
    def sentence(self) -> str:
        """In words."""
        return (
            f"expected cost of train on this machine: {self.extract_min + self.train_min:.0f} min "
            f"({self.extract_min:.1f} for features by {self.workers} processes, {self.train_min:.1f} for the models), "
            "by rates measured now"
        )


def measure(facts: SetFacts, workers: int) -> Cost:
    """Raises InputError where the default encoder is not installed or the video that is measured cannot be decoded."""
    hours = sum(video.duration_s for video in facts.videos) / 3600
    extract = 0.0
    if facts.index is None:
        pixels = sorted(facts.videos, key=lambda video: video.width * video.height)
        usual = pixels[len(pixels) // 2]
        extract = hours * 60 * seconds_a_second(facts.root / usual.item.path) / workers
    lengths = [round(video.duration_s / 0.64) for video in facts.videos]
    return Cost(extract, _training_s(lengths, len(categories_of(facts.items))) / 60, workers)


def seconds_a_second(path: Path) -> float:
    """Seconds that one process decodes and encodes for each second of a video, by its first segments."""
    encoder, rule = open_encoder(DEFAULT_ENCODER), SegmentRule.default()
    reader = iter(Recording(path, encoder.needs, rule).whole())
    encoder.encode_clips([next(reader)])  # opens what is opened once
    began = time.perf_counter()
    clips = list(islice(reader, CLIPS))
    if not clips:
        return 0.0
    encoder.encode_clips(clips)
    return (time.perf_counter() - began) / (len(clips) * (rule.seconds or 1.0))


def _training_s(segments: Sequence[int], categories: int) -> float:
    """Seconds of all steps of the default's models: one a fold and the run's own."""
    from refinevad.model_choice import open_model
    from refinevad.model_config import RefineVADConfig

    options = {**DEFAULT_MODEL, "channels": _INPUTS, "categories": tuple(map(str, range(max(categories, 1))))}
    model = open_model(RefineVADConfig.from_dict(options))
    length, batch = max(int(median(segments)), 1), int(DEFAULT_TRAINING["batch"])
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, length, _INPUTS)).astype(np.float32))
    mask = torch.ones(batch, length, dtype=torch.bool)
    took = []
    for _ in range(STEPS):
        began = time.perf_counter()
        output = model(values, mask)
        (output.logits.square().mean() + output.share_logits.square().mean()).backward()
        took.append(time.perf_counter() - began)
    models = int(DEFAULT_TRAINING["cross_fit"]) + 1
    return min(took[1:]) * int(DEFAULT_TRAINING["steps"]) * models
