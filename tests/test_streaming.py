"""A stream gets the scores and events of the recording under the same rule, whatever the chunks and the rate."""

import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cases import close, config, option_sets, random_bags, random_model
from fakes import BrokenEncoder, MeanEncoder
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detection, Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.events import EventRule, find_events
from refinevad.scoring.scores import score
from refinevad.scoring.windows import WindowRule
from refinevad.streaming import StreamingDetector, StreamOutput
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.reading import FrameReader
from test_tracking import assert_same, follow
from videos import write_video

torch.set_num_threads(1)
RULE = SegmentRule.default()


def checkpoint_of(model: RefineVAD, threshold: float = 0.5) -> Checkpoint:
    signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    return Checkpoint(model, "lite", signature, Calibration(threshold, 0.8 * threshold, 6.0, True, 1.0))


def choice(encoder: MeanEncoder | None = None) -> EncoderChoice:
    return EncoderChoice("lite", encoder or MeanEncoder(), None)


def curve(outputs: list[StreamOutput]) -> np.ndarray:
    return np.concatenate([output.segments.scores for output in outputs])


def shares(outputs: list[StreamOutput]) -> np.ndarray:
    return np.concatenate([output.segments.categories for output in outputs])


def expected(
    model: RefineVAD, values: np.ndarray, bounds: np.ndarray, rule: WindowRule
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and category scores from the rule's words, window by window, each scored as a whole video."""
    segments, categories = len(values), len(model.config.categories)
    total, weight = np.zeros((segments, 1 + categories)), np.zeros((segments, 1))
    zone = fade_in = 0
    for end in range(1, segments + 1):
        length = bounds[end] - bounds[end - 1]
        late = bounds[end] + length - bounds[zone + 1] > rule.delay_s + 1e-6
        full = bounds[end] + length - bounds[zone] > rule.window_s + 1e-6
        if not (late or full or end == segments):
            continue
        start = min(
            zone, next(i for i in range(end) if bounds[i] >= bounds[end] - rule.window_s - 1e-6 or i == end - 1)
        )
        alone = score(model, values[start:end])
        shared = (end - zone) // 8
        for segment in range(zone, end):
            p, share = (
                alone.segments[segment - start],
                alone.categories[segment - start] / alone.segments[segment - start],
            )
            w = min(1.0, (segment - zone + 1) / (fade_in + 1), (end - segment) / (shared + 1))
            total[segment] += w * np.concatenate([[math.log(p / (1 - p))], np.log(share)])
            weight[segment] += w
        zone, fade_in = end - shared, shared
    mean = total / weight
    scores = 1 / (1 + np.exp(-mean[:, 0]))
    posterior = np.exp(mean[:, 1:])
    return scores, scores[:, None] * posterior / posterior.sum(1, keepdims=True)


tokens_and_smoothing = st.fixed_dictionaries(
    {
        "merge_runs": st.booleans(),
        "relative_smoothing": st.sampled_from([0.0, 0.1]),
        "video_weight": st.sampled_from([0.0, 0.5]),
    }
)
rules = st.tuples(st.floats(0.5, 40), st.floats(0, 1)).map(lambda pair: WindowRule(pair[0], pair[0] * pair[1]))


@settings(deadline=None, max_examples=25)
@given(option_sets, tokens_and_smoothing, rules, st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_segments_pushed_one_by_one_score_as_the_rule_says(
    options: dict, more: dict, rule: WindowRule, segments: int, steady: bool, seed: int
) -> None:
    model = random_model(RefineVADConfig(**{**options, **more}), seed, 0.2)
    generator = np.random.default_rng(seed)
    values = random_bags([segments], options["channels"], seed)[0]
    values[generator.random(segments) < 0.1] = 0.0
    values = np.repeat(values, generator.integers(1, 4, segments), axis=0)[:segments]  # runs
    lengths = np.full(segments, 0.64) if steady else generator.uniform(0.3, 1.6, segments)
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    scores, categories = expected(model, values, bounds, rule)
    detector = StreamingDetector(checkpoint_of(model), rule)
    outputs = [detector.push_segment(values[i], bounds[i], bounds[i + 1]) for i in range(segments)]
    outputs.append(detector.flush())
    close(curve(outputs), scores, 1e-5)
    close(shares(outputs), categories, 1e-5)
    offline = score(model, values, bounds, rule)
    close(offline.segments, scores, 1e-5)
    close(offline.categories, categories, 1e-5)
    updates = [update for output in outputs for update in output.updates]
    event_rule = EventRule.of(checkpoint_of(model).calibration)
    timeline = Timeline(np.arange(segments + 1), bounds)
    names = model.config.categories
    assert_same(follow(updates), find_events(curve(outputs), shares(outputs), names, timeline, event_rule))


# a tenth of a second to ten of them between frames, or what cameras do
STEADY = {"constant": lambda n, g: np.arange(n) / 25, "ntsc": lambda n, g: np.arange(n) * 1001 / 30000}
VARIED = {
    "variable": lambda n, g: np.round(np.cumsum(g.uniform(0.01, 0.12, n)), 3),
    "stalled": lambda n, g: np.round(np.arange(n) / 20 + 3.0 * (np.arange(n) > n // 2), 3),
    "slow": lambda n, g: np.arange(n) * 1.0,
}


@pytest.fixture(scope="module", params=[*STEADY, *VARIED])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(3)
    times = {**STEADY, **VARIED}[request.param](140, generator)
    times = np.round(times - times[0], 3)
    pictures = (np.full((32, 48, 3), int(level), np.uint8) for level in generator.integers(0, 255, 140))
    return write_video(
        tmp_path_factory.mktemp("film") / f"{request.param}.mkv", pictures, times_s=times.tolist(), rate=25
    )


def small_model() -> RefineVAD:
    return random_model(config(channels=4, categories=("fall", "fight"), direct=True, smoothing=1), 5)


def assert_equal(outputs: list[StreamOutput], detection: Detection) -> None:
    close(curve(outputs), detection.scores, 1e-5)
    close(shares(outputs), detection.category_scores, 1e-5)
    start, end = (np.concatenate([getattr(o.segments, name) for o in outputs]) for name in ("start_s", "end_s"))
    close(start, detection.timeline.time_bounds[:-1], 1e-9)
    close(end, detection.timeline.time_bounds[1:], 1e-9)
    assert_same(follow([u for o in outputs for u in o.updates]), list(detection.events), 1e-5)


@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.7, 8), st.floats(0, 1))
def test_frames_of_a_recording_pushed_one_by_one_are_the_recording(film: Path, window_s: float, share: float) -> None:
    rule = WindowRule(window_s, window_s * share)
    checkpoint = checkpoint_of(small_model())
    detection = Detector(checkpoint, "run", choice(), rule).detect(film)
    reader = FrameReader(film)
    detector = StreamingDetector(checkpoint, rule, choice(), reader.info.rate_hz)
    outputs = [*(detector.push_frame(frame, time_s) for frame, time_s in reader), detector.flush()]
    assert_equal(outputs, detection)
    assert detector.counts.frames == detection.frames
    assert detector.counts.segments == detection.timeline.segments


def test_a_window_that_holds_the_video_changes_nothing(film: Path) -> None:
    checkpoint = checkpoint_of(small_model())
    whole = Detector(checkpoint, "run", choice()).detect(film)
    held = Detector(checkpoint, "run", choice(), WindowRule(window_s=200.0)).detect(film)
    close(held.scores, whole.scores, 1e-6)
    assert held.events == whole.events


def pictures(frames: int, seed: int = 0) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for _ in range(frames):
        yield np.full((16, 24, 3), generator.integers(0, 255), np.uint8)


def streaming(rule: WindowRule = WindowRule(6.4, 1.28), **options: object) -> StreamingDetector:  # noqa: B008
    return StreamingDetector(checkpoint_of(small_model()), rule, choice(), **options)


def test_rgb_arrays_are_frames_too() -> None:
    detector, other = streaming(), streaming()
    import av

    for place, picture in enumerate(pictures(60)):
        one = detector.push_frame(picture, place / 25)
        two = other.push_frame(av.VideoFrame.from_ndarray(picture, format="rgb24"), place / 25)
        assert (one.segments.scores == two.segments.scores).all()
    assert detector.counts.segments == 3


def test_frames_late_or_twice_are_dropped_and_counted() -> None:
    detector, clean = streaming(), streaming()
    outputs, wanted = [], []
    for place, picture in enumerate(pictures(60)):
        wanted.append(clean.push_frame(picture, place / 25))
        outputs.append(detector.push_frame(picture, place / 25))
        if place % 7 == 0:
            assert len(detector.push_frame(picture, place / 25).segments) == 0
            assert len(detector.push_frame(255 - picture, place / 25 - 4.9).segments) == 0
    outputs.append(detector.flush())
    wanted.append(clean.flush())
    assert detector.counts.late == 18
    assert detector.counts.frames == clean.counts.frames == 60
    np.testing.assert_array_equal(curve(outputs), curve(wanted))


def test_a_clock_that_jumps_back_is_a_source_that_began_again() -> None:
    detector, fresh = streaming(), streaming()
    first = [detector.push_frame(picture, 100 + place / 25) for place, picture in enumerate(pictures(50))]
    second = [detector.push_frame(picture, place / 25) for place, picture in enumerate(pictures(50, 1))]
    second.append(detector.flush())
    assert detector.counts.restarts == 1
    # the first push of the second source ends the first one
    assert len(curve([*first, second[0]])) == 4
    alone = [fresh.push_frame(picture, place / 25) for place, picture in enumerate(pictures(50, 1))]
    np.testing.assert_array_equal(curve(second[1:]), curve([*alone, fresh.flush()]))


@pytest.mark.parametrize("cut", [1, 16, 17, 40])
def test_after_a_gap_nothing_from_before_is_seen(cut: int) -> None:
    """Two recordings, one after the other: each as if alone, but for the numbers of the events."""
    detector, fresh = streaming(), streaming()
    shown = list(pictures(80))
    before = [detector.push_frame(picture, place / 25) for place, picture in enumerate(shown[:cut])]
    before.append(detector.gap())
    after = [detector.push_frame(picture, 60 + place / 25) for place, picture in enumerate(shown[cut:])]
    after.append(detector.flush())
    assert detector.counts.gaps == 1
    assert before[-1].segments.end_s[-1] == pytest.approx(cut / 25)
    alone = [fresh.push_frame(picture, 60 + place / 25) for place, picture in enumerate(shown[cut:])]
    np.testing.assert_array_equal(curve(after), curve([*alone, fresh.flush()]))
    updates = [update for output in before + after for update in output.updates]
    assert all(event.end_s <= cut / 25 + 1e-9 or event.start_s >= 60 for event in follow(updates))


def test_a_gap_before_anything_is_none() -> None:
    detector = streaming()
    output = detector.gap()
    assert (len(output.segments), output.updates) == (0, ())
    assert len(detector.flush().segments) == 0


def test_memory_does_not_grow_with_the_stream() -> None:
    model = small_model()
    detector = StreamingDetector(checkpoint_of(model), WindowRule(12.8, 6.4))
    values = random_bags([500], 4, 0)[0]
    held = []
    waiting = 0
    for place, vector in enumerate(values):
        output = detector.push_segment(vector, 0.64 * place, 0.64 * (place + 1))
        held.append(detector.held_segments)
        waiting += 1 - len(output.segments)
        assert waiting <= 11  # 6.4 s, and the one that closes the window
    assert max(held) == held[-1] == 20


def test_segments_that_do_not_advance_are_dropped_and_those_that_overlap_begin_later() -> None:
    detector = StreamingDetector(checkpoint_of(small_model()), WindowRule(6.4, 0.0))
    vector = np.ones(4, np.float32)
    assert len(detector.push_segment(vector, 10.0, 11.0).segments) == 1
    assert len(detector.push_segment(vector, 10.0, 11.0).segments) == 0
    assert detector.counts.late == 1
    assert detector.push_segment(vector, 10.5, 12.0).segments.start_s.tolist() == [11.0]
    assert detector.push_segment(vector, 15.0, 16.0).segments.start_s.tolist() == [15.0]  # a hole stays one
    assert detector.push_segment(vector, 2.0, 3.0).segments.start_s.tolist() == [2.0]
    assert (detector.counts.restarts, detector.counts.segments) == (1, 4)


def test_the_clock_stamps_arrival_and_score() -> None:
    """One tick a reading: a segment's last frame was pushed before the frame that ended the segment."""
    ticks = count()
    detector = streaming(WindowRule(6.4, 0.0), clock=lambda: float(next(ticks)))
    arrivals, outputs = [], []
    for place, picture in enumerate(pictures(40)):
        outputs.append(detector.push_frame(picture, place / 25))
        arrivals.append(next(ticks) - 1.0)
    found = {index: output for index, output in enumerate(outputs) if len(output.segments)}
    assert list(found) == [16, 32]
    for index, output in found.items():
        assert output.arrived.tolist() == [arrivals[index - 1]]
        assert arrivals[index - 1] < output.at < arrivals[index]


def test_what_no_stream_can_be_is_named() -> None:
    checkpoint = checkpoint_of(small_model())
    with pytest.raises(InputError, match="a stream needs a window in seconds"):
        StreamingDetector(checkpoint, WindowRule())
    with pytest.raises(InputError, match="rate above 0"):
        streaming(rate_hz=0.0)
    with pytest.raises(InputError, match="they differ in weights_sha256"):
        StreamingDetector(checkpoint, WindowRule(6.4), choice(MeanEncoder("1" * 64)))
    bare = StreamingDetector(checkpoint, WindowRule(6.4))
    with pytest.raises(InputError, match="opened without an encoder"):
        bare.push_frame(np.zeros((8, 8, 3), np.uint8), 0.0)
    with pytest.raises(InputError, match="number of seconds: got nan"):
        bare.push_frame(np.zeros((8, 8, 3), np.uint8), math.nan)
    with pytest.raises(InputError, match=r"takes 4 numbers a segment: got \(5,\)"):
        bare.push_segment(np.zeros(5, np.float32), 0.0, 0.64)
    with pytest.raises(InputError, match="a segment must last"):
        bare.push_segment(np.zeros(4, np.float32), 0.64, 0.64)
    broken = StreamingDetector(checkpoint, WindowRule(6.4), choice(BrokenEncoder()))
    broken.push_frame(np.zeros((8, 8, 3), np.uint8), 0.0)
    with pytest.raises(InputError, match="NaN or infinite values in the segment from 0"):
        broken.push_frame(np.zeros((8, 8, 3), np.uint8), 1.0)
