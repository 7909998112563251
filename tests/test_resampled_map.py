"""mAP over resamples: for each draw, the definition by loops on a set that holds every copy as a video of its own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.judging.localisation import IOU_THRESHOLDS, LocalisationVideo, TrueSpan, map_strict
from refinevad.judging.resampled_map import map_samples
from test_localisation import COLUMNS, random_videos, strict_by_loops


def copies(videos: Sequence[LocalisationVideo], counts: Sequence[int]) -> list[LocalisationVideo]:
    return [video for video, count in zip(videos, counts, strict=True) for _ in range(count)]


def expected(videos: Sequence[LocalisationVideo], counts: Sequence[int]) -> dict[str, float]:
    """By frames, sets and loops alone; nan where no video with a true interval was drawn."""
    drawn = [video for video in copies(videos, counts) if not video.normal]
    true = [span for video in drawn for span in video.spans if span.category in COLUMNS[1:]]
    seen = [span for video in drawn for span in video.spans if span.start < video.frame_bounds[-1]]
    if not [span for span in true if span in seen]:
        return {name: float("nan") for name in [*(f"map/{iou}" for iou in IOU_THRESHOLDS), "map_average"]}
    found = {f"map/{iou}": strict_by_loops(drawn, COLUMNS, iou) for iou in IOU_THRESHOLDS}
    return {**found, "map_average": sum(found.values()) / len(found)}


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_each_draw_equals_its_videos_by_loops(seed: int, tied: bool) -> None:
    """Scores of a few levels, too: proposals of one video and of several then tie."""
    videos = random_videos(seed)
    if tied:
        videos = [replace(video, values=np.round(3 * video.values) / 3) for video in videos]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(videos), np.full(len(videos), 1 / len(videos)), size=3)
    counts = np.concatenate([np.ones((1, len(videos)), dtype=np.int64), drawn])
    found = map_samples(videos, COLUMNS, counts.astype(np.float64))
    for row, of_row in enumerate(counts.tolist()):
        for name, value in expected(videos, of_row).items():
            assert found[name][row] == pytest.approx(value, nan_ok=True), (name, of_row)


@given(st.integers(0, 2**32 - 1))
def test_the_set_as_it_is_has_the_figures_that_are_told(seed: int) -> None:
    videos = random_videos(seed)
    found, told = map_samples(videos, COLUMNS, np.ones((1, len(videos)))), map_strict(videos, COLUMNS)
    assert {name: values[0] for name, values in found.items() if name != "map_average"} == pytest.approx(
        {f"map/{iou}": value for iou, value in told.map.items()}
    )
    assert found["map_average"][0] == pytest.approx(told.average)


def test_a_draw_by_hand() -> None:
    """A finds its event with the score 0.9, B proposes beside its own with 0.95. Each once: the hit is second of two
    proposals, for two true intervals: 1/2 / 2. A twice: hits first and second of two. B twice: no hit at all."""
    bounds = np.arange(0, 90, 10)

    def video(values: list[float], event: tuple[int, int]) -> LocalisationVideo:
        columns = np.stack([np.zeros(8), np.zeros(8), np.array(values)], axis=1)
        return LocalisationVideo(columns, bounds, (TrueSpan(*event, "fight"),), False)

    a = video([0.0, 0.0, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0], (20, 40))
    b = video([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.95, 0.95], (0, 20))
    found = map_samples([a, b], COLUMNS, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [2.0, 1.0]]))
    assert found["map/0.5"].tolist() == pytest.approx([25.0, 100.0, 0.0, 100 * (1 / 2 + 2 / 3) / 3])
