"""mAP@IoU: by hand, and strict against a slow loop over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.errors import InputError
from refinevad.judging.localisation import (
    IOU_THRESHOLDS,
    LocalisationVideo,
    TrueSpan,
    map_legacy,
    map_strict,
)

COLUMNS = ("normal", "fire", "fight")


def strict_by_loops(videos: list[LocalisationVideo], columns: tuple[str, ...], iou: float) -> float:
    """The definition, frame by frame, with sets and loops. The oracle of `map_strict`."""
    per_class = []
    for c, name in enumerate(columns):
        if c == 0:
            continue
        truths, found = [], []
        for i, video in enumerate(videos):
            if video.normal:
                continue
            curve = [
                float(video.values[t, c])
                for t in range(len(video.values))
                for _ in range(int(video.frame_bounds[t]), int(video.frame_bounds[t + 1]))
            ]
            for span in video.spans:
                inside = {f for f in range(span.start, span.end) if f < len(curve)}
                if span.category == name and inside:
                    truths.append((i, inside))
            if not curve:
                continue
            threshold = max(curve) - (max(curve) - min(curve)) * 0.6
            top = sorted(curve, reverse=True)[: max(len(curve) // 16, 1)]
            bonus = 0.7 * sum(top) / len(top)
            run: list[int] = []
            for f in range(len(curve) + 1):
                if f < len(curve) and curve[f] > threshold:
                    run.append(f)
                    continue
                if len(run) >= 2 and bonus > 0:
                    found.append((max(curve[g] for g in run) + bonus, i, run[0], set(run)))
                run = []
        if not truths:
            continue
        found.sort(key=lambda p: (-round(p[0], 9), p[1], p[2]))
        hits, area, free = 0, 0.0, list(truths)
        for rank, (_, i, _, inside) in enumerate(found, start=1):
            best, best_iou = None, 0.0
            for entry in free:
                if entry[0] == i:
                    value = len(entry[1] & inside) / len(entry[1] | inside)
                    if value >= iou and value > best_iou:
                        best, best_iou = entry, value
            if best is not None:
                free.remove(best)
                hits += 1
                area += hits / rank
        per_class.append(area / len(truths))
    return 100 * sum(per_class) / len(per_class)


def random_videos(seed: int) -> list[LocalisationVideo]:
    """Up to five videos of uneven segments, some flat, some normal; the first always has a true interval."""
    rng = np.random.default_rng(seed)
    videos = []
    for i in range(rng.integers(1, 6)):
        lengths = rng.integers(1, 9, size=rng.integers(1, 25))
        bounds = np.append(0, np.cumsum(lengths))
        values = rng.random((len(lengths), 3))
        if rng.random() < 0.2:
            values[:, 1] = values[0, 1]  # a flat curve proposes nothing
        starts = np.sort(rng.integers(0, bounds[-1], size=rng.integers(1, 4)))
        spans = tuple(
            TrueSpan(int(s), int(s + rng.integers(1, 30)), str(rng.choice(["fire", "fight", "A"]))) for s in starts
        )
        normal = i > 0 and rng.random() < 0.3
        videos.append(LocalisationVideo(values, bounds, spans if i else (TrueSpan(0, 5, "fire"), *spans), normal))
    return videos


@given(st.integers(0, 2**32 - 1))
def test_strict_equals_the_loops(seed: int) -> None:
    videos = random_videos(seed)
    result = map_strict(videos, COLUMNS)
    for iou in IOU_THRESHOLDS:
        assert result.map[f"{iou:.1f}"] == pytest.approx(strict_by_loops(videos, COLUMNS, iou), abs=1e-9)


def _video(fire: list[float], spans: tuple[TrueSpan, ...], normal: bool = False, length: int = 16) -> LocalisationVideo:
    values = np.stack([1 - np.array(fire), np.array(fire), np.full(len(fire), 0.01)], axis=1)
    return LocalisationVideo(values, np.arange(len(fire) + 1) * length, spans, normal)


def test_iou_of_half_open_intervals_by_hand() -> None:
    # Proposal [16, 48); truth [32, 64): 16 shared of 48, IoU 1/3.
    video = _video([0.1, 0.9, 0.9, 0.1], (TrueSpan(32, 64, "fire"),))
    result = map_strict([video], COLUMNS)
    assert [result.map[f"{iou:.1f}"] for iou in IOU_THRESHOLDS] == [100, 100, 100, 0, 0]
    assert result.per_class["fight"]["0.1"] is None  # nothing to find: not in the mean
    assert result.average == pytest.approx(60)


def test_each_true_interval_is_found_once_and_order_is_by_score() -> None:
    # Two proposals, [0, 16) at 0.8 and [32, 48) at 0.9; only the weaker one is true: precision 1/2 there.
    video = _video([0.8, 0.1, 0.9, 0.1], (TrueSpan(0, 16, "fire"),))
    assert map_strict([video], COLUMNS).map["0.5"] == pytest.approx(50)
    # Both lie in the one true interval, which takes one: 1 / 1.
    both = _video([0.8, 0.1, 0.9, 0.1], (TrueSpan(0, 48, "fire"),))
    assert map_strict([both], COLUMNS).map["0.3"] == pytest.approx(100)


def test_runs_stop_at_a_video_and_single_frames_do_not_count() -> None:
    end = _video([0.1, 0.9], (TrueSpan(16, 32, "fire"),))
    start = _video([0.9, 0.1], (TrueSpan(0, 16, "fire"),))
    assert map_strict([end, start], COLUMNS).map["0.5"] == pytest.approx(100)
    single = _video([0.1, 0.9, 0.1], (TrueSpan(1, 2, "fire"),), length=1)
    assert map_strict([single], COLUMNS).map["0.1"] == 0


def test_normal_videos_cost_legacy_but_not_strict() -> None:
    quiet = _video([0.1, 0.5, 0.1], (TrueSpan(16, 32, "fire"),))
    noisy = _video([0.1, 0.9, 0.1], (TrueSpan(0, 48, "A"),), normal=True)
    fight = LocalisationVideo(quiet.values[:, [0, 2, 1]], quiet.frame_bounds, (TrueSpan(16, 32, "fight"),), False)
    assert map_strict([quiet, noisy, fight], COLUMNS).map["0.5"] == pytest.approx(100)
    legacy = map_legacy([quiet, noisy, fight], COLUMNS)
    # fire: the normal video's proposal comes first (1/2); fight: 1; normal, whose label "A" is no column: 0.
    assert legacy.map["0.5"] == pytest.approx(100 * (0.5 + 1 + 0) / 3)
    named = map_legacy([quiet, noisy, fight], ("A", "fire", "fight"))
    assert named.per_class["A"]["0.1"] is not None


def test_legacy_is_zero_when_a_class_proposes_nothing() -> None:
    flat = _video([0.1, 0.9, 0.1], (TrueSpan(16, 32, "fire"),))  # "fight" is flat everywhere
    assert map_legacy([flat], COLUMNS).average == 0
    assert map_strict([flat], COLUMNS).average == pytest.approx(100)


def test_strict_ends_true_intervals_with_the_video_and_legacy_does_not() -> None:
    video = _video([0.1, 0.9], (TrueSpan(16, 80, "fire"),))  # 32 frames: strict truth [16, 32)
    assert map_strict([video], COLUMNS).map["0.5"] == pytest.approx(100)
    # in `legacy` IoU is 16 / 64; fight needs a proposal for the mean to exist
    video.values[:, 2] = [0.2, 0.1]
    legacy = map_legacy([video], COLUMNS)
    assert legacy.per_class["fire"]["0.2"] == pytest.approx(100)
    assert legacy.per_class["fire"]["0.3"] == 0


def test_what_cannot_be_judged_is_refused() -> None:
    video = _video([0.1, 0.9], (), normal=True)
    with pytest.raises(InputError, match="no anomalous video"):
        map_strict([video], COLUMNS)
    with pytest.raises(InputError, match="do not fit"):
        map_legacy([video], ("normal", "fire"))
    with pytest.raises(InputError, match="no video"):
        map_legacy([], COLUMNS)
