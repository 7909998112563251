"""All figures of a test set of UCF-Crime's size: 290 videos, 1,109,680 frames, 13 categories.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py

Scores, truth and lengths are made up: 140 anomalous videos with one event or two, 150 normal ones; scores walk at
random, as smooth as a model's, the controls' jump at every segment, the slower case. CPU seconds, the median of
several rounds in turn. `refinevad metrics` prints one protocol; `refinevad evaluate` prints that with mAP by both,
figures of events and of each category, and the same of the controls.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from refinevad.apps.terminal import table
from refinevad.datasets.benchmarks import UCF_CRIME
from refinevad.datasets.dataset import Item
from refinevad.judging.evaluation import Judged, summarise
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.scoring.events import EventRule, find_events
from refinevad.scoring.scores import Scores
from refinevad.timeline import FIELD_SEGMENT_FRAMES, SegmentRule, Timeline

RULE = EventRule(0.8, 0.5)  # opens above 0.8, lasts until 0.5
CONTROLS = 3  # as many as `refinevad evaluate` shows


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=UCF_CRIME.test_videos)
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(table(rows(args.videos, args.rounds)))
    return 0


def rows(videos: int, rounds: int) -> list[tuple[str, ...]]:
    """What is printed, and the CPU seconds it takes."""
    truth = made_up_truth(videos, (UCF_CRIME.test_frames or 0) * videos // UCF_CRIME.test_videos)
    generator = np.random.default_rng(1)
    judged = [judge(video, truth.categories, generator) for video in truth.videos]
    controls = {
        f"control {number}": [VideoPrediction.of(generator.random(video.timeline.segments)) for video in truth.videos]
        for number in range(CONTROLS)
    }
    predictions = {
        one.item.path: VideoPrediction(
            one.scores.segments, np.concatenate([1 - one.scores.segments[:, None], one.scores.categories], axis=1)
        )
        for one in judged
    }
    works: dict[str, Callable[[], object]] = {
        "refinevad metrics, strict": lambda: evaluate_predictions(predictions, truth, "strict"),
        "refinevad metrics, legacy": lambda: evaluate_predictions(predictions, truth, "legacy"),
        "refinevad evaluate, the model": lambda: summarise(judged, truth, {}, "strict"),
        f"refinevad evaluate, {CONTROLS} controls too": lambda: summarise(judged, truth, controls, "strict"),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            before = time.process_time()
            work()
            taken[name].append(time.process_time() - before)
    size = f"{len(truth.videos):,} videos, {truth.frames:,} frames"
    return [(size, "CPU s"), *((name, f"{statistics.median(seconds):.2f}") for name, seconds in taken.items())]


def made_up_truth(videos: int, frames: int) -> Truth:
    """Videos of unequal lengths, `frames` together but for rounding; about half of them with one event or two."""
    generator = np.random.default_rng(0)
    shares = np.exp(generator.normal(0.0, 1.0, videos))
    lengths = np.maximum(100, shares / shares.sum() * frames).astype(int)
    found = []
    for number, length in enumerate(lengths.tolist()):
        label = UCF_CRIME.categories[number % len(UCF_CRIME.categories)]
        anomalous = number < videos * 140 // 290
        events = ((length // 4, length // 3), (length // 2, 2 * length // 3))[: 1 + number % 2] if anomalous else ()
        timeline = Timeline.uniform(length, UCF_CRIME.rate_hz, SegmentRule(frames=FIELD_SEGMENT_FRAMES))
        spans = tuple(TrueSpan(start, end, label) for start, end in events)
        found.append(VideoTruth(f"video-{number}", (label,) if anomalous else (), timeline, spans, events))
    return Truth(UCF_CRIME.columns, tuple(found))


def judge(video: VideoTruth, categories: tuple[str, ...], generator: np.random.Generator) -> Judged:
    """Scores that walk at random, and the events they make."""
    segments = video.timeline.segments
    scores = 1.0 / (1.0 + np.exp(-np.cumsum(generator.normal(0.0, 0.3, segments))))
    shares = generator.dirichlet(np.ones(len(categories)), segments) * scores[:, None]
    events = find_events(scores, shares, categories, video.timeline, RULE)
    said = Scores(scores, shares, shares.max(axis=0), np.zeros(segments))
    return Judged(Item(video.name, video.labels, "test"), video.timeline, said, tuple(events), video.events_s)


if __name__ == "__main__":
    sys.exit(main())
