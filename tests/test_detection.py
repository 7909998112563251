"""A detection as people use it from Python: of frames and of arrays, as JSON, a table, a plot, a notebook's cell."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder
from refinevad.apps.report.writer import write_detection
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detection.found import Detection
from refinevad.detection.tables import event_of_segment
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.scoring.events import Event
from refinevad.scoring.windows import WindowRule
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.reading import FrameReader
from test_streaming import checkpoint_of, small_model
from videos import write_video

SIZE = (32, 24)


def detector(window: WindowRule | None = None, rule: SegmentRule | None = None) -> Detector:
    checkpoint = checkpoint_of(small_model())
    if rule is not None:
        signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": rule.as_dict()}
        checkpoint = Checkpoint(checkpoint.model, "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0))
    return Detector(checkpoint, "run", EncoderChoice("lite", MeanEncoder(), None), window)


def shades(count: int, seed: int = 0) -> list[np.ndarray]:
    levels = np.random.default_rng(seed).integers(0, 255, count)
    return [np.full((SIZE[1], SIZE[0], 3), int(level), np.uint8) for level in levels]


def same(one: Detection, other: Detection) -> None:
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.category_scores, other.category_scores)
    np.testing.assert_allclose(one.times_s, other.times_s, atol=1e-9)
    np.testing.assert_array_equal(one.timeline.frame_bounds, other.timeline.frame_bounds)
    assert [e.category for e in one.events] == [e.category for e in other.events]
    np.testing.assert_allclose([e.start_s for e in one.events], [e.start_s for e in other.events], atol=1e-9)


# -- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::refinevad.video.reading.DamagedVideoWarning")
@pytest.mark.parametrize("rule", [SegmentRule.default(), SegmentRule(frames=16)])
@pytest.mark.parametrize(
    "times",
    [
        np.arange(90) / 25,
        np.round(np.cumsum(np.random.default_rng(1).uniform(0.02, 0.09, 90)), 3),
        np.round(np.arange(90) / 25 + 30.0 * (np.arange(90) >= 50), 3),  # a hole of half a minute
    ],
)
def test_frames_are_detected_in_as_their_file_is(rule: SegmentRule, times: np.ndarray, tmp_path: Path) -> None:
    times = np.round(times - times[0], 3)
    film = write_video(tmp_path / "v.mkv", shades(90), size=SIZE, times_s=times.tolist(), rate=25)
    reader = FrameReader(film)
    one = detector(rule=rule)
    found = one.detect_frames(
        [(time_s + 1000.0, frame) for frame, time_s in reader], "v.mkv", rate_hz=reader.info.rate_hz
    )
    wanted = one.detect(film)
    assert len(wanted.scores) > 3
    same(found, wanted)
    assert found.start_s == 1000.0
    assert found.frames == 90


def test_arrays_are_frames_whose_rate_the_first_ones_tell() -> None:
    """A frame each ten seconds: at 25 a second each step would be a hole, by their own rate none is."""
    one = detector(rule=SegmentRule(frames=2))
    pictures = [(10.0 * place, picture) for place, picture in enumerate(shades(20))]
    found = one.detect_frames(pictures)
    assert found.rate_hz == pytest.approx(0.1)
    assert found.timeline.early_ends is None
    assert found.times_s[:3].tolist() == [[0.0, 20.0], [20.0, 40.0], [40.0, 60.0]]
    assert found.duration_s == pytest.approx(200.0)  # the last frame lasts as long as the others
    assert found.notes == ()
    holes = one.detect_frames(pictures, rate_hz=25.0)
    assert len(holes.timeline.breaks) >= 18  # a jump behind a first stamp is not believed
    assert any("nothing is scored there" in note for note in holes.notes)


def test_frames_are_taken_one_by_one() -> None:
    """Of a stream that never ends no more is held than a few frames: they are asked for as they are needed."""
    alive: set[int] = set()
    most = 0

    class Picture(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def pictures() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal most
        for place in range(400):
            picture = np.full((8, 8, 3), place % 256, np.uint8).view(Picture)
            alive.add(id(picture))
            most = max(most, len(alive))
            yield place / 25, picture

    assert detector().detect_frames(pictures()).frames == 400
    assert most < 60


def test_one_frame_is_enough_and_none_is_too_few() -> None:
    assert detector().detect_frames([(7.0, shades(1)[0])]).scores.shape == (1,)
    with pytest.raises(InputError, match="frames has no frame: give at least one"):
        detector().detect_frames(iter(()))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ((float("nan"), np.zeros((4, 4, 3), np.uint8)), "time of frame 1 of cam is no number"),
        ((float("inf"), np.zeros((4, 4, 3), np.uint8)), "time of frame 1 of cam is no number"),
        (("soon", np.zeros((4, 4, 3), np.uint8)), "time of frame 1 of cam is no number"),
        ((1.0, np.zeros((4, 4), np.uint8)), r"shape \(height, width, 3\): got shape \(4, 4\)"),
        ((1.0, np.zeros((4, 4, 4), np.uint8)), r"shape \(height, width, 3\)"),
        ((1.0, np.zeros((0, 4, 3), np.uint8)), r"shape \(height, width, 3\)"),
        ((1.0, np.zeros((4, 4, 3), np.float32)), "uint8, 0 to 255: got float32"),
        ((1.0, "picture.jpg"), "got str"),
        ((1.0, None), "got NoneType"),
    ],
)
def test_what_is_no_frame_is_named(frame: tuple[object, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        detector().detect_frames([(0.0, shades(1)[0]), frame], "cam")


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(rate_hz: float) -> None:
    with pytest.raises(InputError, match="above 0 frames a second"):
        detector().detect_frames([(0.0, shades(1)[0])], rate_hz=rate_hz)
    with pytest.raises(InputError, match="above 0 frames a second"):
        detector().detect_features(np.ones((3, 4)), rate_hz=rate_hz)


def test_times_that_go_back_are_treated_as_a_files_and_told() -> None:
    times = np.arange(60) / 25
    times[30] = 900.0  # one stamp that leaves its neighbours
    found = detector().detect_frames(list(zip(times.tolist(), shades(60), strict=True)), "cam")
    assert found.frames == 60
    assert found.duration_s == pytest.approx(2.4)
    assert found.notes == ("1 time stamp leaves its neighbours in cam; the frames were put between those",)


# -- arrays ----------------------------------------------------------------------------------------------------------


def test_an_array_is_segments_one_behind_the_other() -> None:
    values = np.random.default_rng(0).normal(size=(7, 4))
    found = detector().detect_features(values, "v")
    np.testing.assert_allclose(found.times_s[:, 0], 0.64 * np.arange(7))
    np.testing.assert_allclose(found.times_s[:, 1], 0.64 * np.arange(1, 8))
    assert found.scores.shape == (7,)
    by_frames = detector(rule=SegmentRule(frames=16)).detect_features(values, rate_hz=8.0)
    np.testing.assert_allclose(by_frames.times_s[:, 0], 2.0 * np.arange(7))
    assert by_frames.frames == 112
    np.testing.assert_array_equal(by_frames.scores, found.scores)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones(4), r"shape \(segments, channels\)"),
        (np.ones((0, 4)), r"at least one of each"),
        (np.ones((3, 5)), "5 numbers a segment, the model takes 4"),
        (np.array([["a"] * 4]), r"must be numbers"),
        (np.array([[1.0, np.nan, 1.0, 1.0]]), "NaN or infinite values \\(first: segment 0\\)"),
        (np.ones((3, 4), dtype=object), "must be numbers"),
    ],
)
def test_what_is_no_array_of_the_models_features_is_named(values: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detector().detect_features(values, "v")


def test_segments_of_frames_need_a_rate() -> None:
    with pytest.raises(InputError, match="segments of v are 16 frames each: give rate_hz"):
        detector(rule=SegmentRule(frames=16)).detect_features(np.ones((3, 4)), "v")


# -- shown -----------------------------------------------------------------------------------------------------------


def found(events: int = 1, name: str = "v.mp4") -> Detection:
    """Ten segments of one second with a hole behind the fourth, and events of half a second each."""
    timeline = Timeline.of(
        [*range(0, 250, 25)], [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0], 250, 16.0, {3: 4.0}
    )
    said = tuple(Event(11.0 + i / 2, 11.5 + i / 2, 0.9, 11.2, "fall <b>", {"fall <b>": 1.0}) for i in range(events))
    scores = np.linspace(0.1, 0.9, 10)
    return Detection(
        name, 16.0, 250, 25.0, timeline, scores, ("fall <b>",), scores[:, None], said, 0.5, 0.4, 6.0, 0.8,
        {"run": "r", "encoder": "lite", "version": "0"}, notes=("no pictures from 4.0 to 10.0 s in <v>",),
    )  # fmt: skip


def test_times_say_where_there_are_no_pictures() -> None:
    assert found().times_s[2:6].tolist() == [[2.0, 3.0], [3.0, 4.0], [10.0, 11.0], [11.0, 12.0]]


def test_json_is_the_document_that_detect_writes(tmp_path: Path) -> None:
    detection = found()
    written = write_detection(detection, tmp_path, None, {}).json
    assert detection.to_json() == written.read_text(encoding="utf-8")
    assert json.loads(detection.to_json())["events"][0]["start_s"] == 11.0


def test_a_segment_belongs_to_the_event_its_middle_lies_in() -> None:
    timeline = Timeline(np.arange(6), np.arange(6.0))
    events = (Event(1.0, 3.0, 0.9, 2.0, "a", {"a": 1.0}), Event(3.6, 5.0, 0.9, 4.0, "a", {"a": 1.0}))
    scores = np.zeros(5)
    detection = Detection("v", 5.0, 5, 1.0, timeline, scores, ("a",), scores[:, None], events, 0.5, 0.4, 6.0, 0.0, {})
    assert event_of_segment(detection).tolist() == [-1, 0, 0, -1, 1]


def test_a_table_has_a_row_a_segment() -> None:
    pandas = pytest.importorskip("pandas")
    table = found().to_pandas()
    assert list(table.columns) == ["start_s", "end_s", "score", "category.fall <b>", "event"]
    assert table["start_s"].tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 14, 15]
    assert table["score"].tolist() == np.linspace(0.1, 0.9, 10).tolist()
    assert [None if place is pandas.NA else place for place in found(2).to_pandas()["event"]] == [
        *[None] * 5, 1, *[None] * 4
    ]  # fmt: skip


def test_a_plot_is_drawn_where_one_is_given() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = found().plot()
    assert axes.get_xlim() == (0, 16.0)
    assert np.isnan(axes.lines[0].get_ydata()).sum() == 1  # no line across the hole
    _, own = pyplot.subplots()
    assert found().plot(own) is own
    pyplot.close("all")


@pytest.mark.parametrize(("call", "package"), [("to_pandas", "pandas"), ("plot", "matplotlib")])
def test_what_is_not_installed_is_named(call: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(InputError, match=f"needs {package} .*pip install {package}"):
        getattr(found(), call)()


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("polyline", "rect", "line") or not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebooks_cell_is_whole_small_and_its_own() -> None:
    html = found(3, "<script>alert(1)</script>.mp4")._repr_html_()
    page = Page(html)
    assert page.open == []
    assert "script" not in page.tags
    assert page.addresses == []
    assert "<script>alert(1)</script>.mp4" in page.text
    assert "fall <b>" in page.text
    assert "no pictures from 4.0 to 10.0 s in <v>" in page.text
    assert page.tags.count("tr") == 1 + 3
    assert page.tags.count("polyline") == 2  # one each side of the hole
    assert len(html) < 20_000


def test_a_notebooks_cell_shows_twenty_events_and_says_how_many_more() -> None:
    page = Page(found(23)._repr_html_())
    assert page.tags.count("tr") == 1 + 20
    assert "and 3 more in .events" in page.text
    assert "more in .events" not in Page(found(20)._repr_html_()).text
    quiet = Page(found(0)._repr_html_())
    assert "table" not in quiet.tags
    assert "No event above the threshold" in quiet.text


def test_a_detection_tells_itself_in_a_line() -> None:
    assert repr(found()) == "<Detection in v.mp4, 16.0 s: 1 event: fall <b>, 00:11.0–00:11.5, score 0.90>"
