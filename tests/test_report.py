"""The report on disk: JSON against its schema, CSV rows, and HTML that is whole, self-contained and escaped."""

import csv
import json
import re
import struct
from dataclasses import replace
from fractions import Fraction
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.report.evaluation_report import write_demo_report, write_evaluation_report
from refinevad.apps.report.evaluation_section import Evaluation, VideoCurve
from refinevad.apps.report.keyframes import extract_keyframes
from refinevad.apps.report.operating import operating_curves
from refinevad.apps.report.overview import BatchEntry
from refinevad.apps.report.path_section import lift_sentence
from refinevad.apps.report.writer import report_stems, write_detection, write_overview
from refinevad.detection.curve import MAX_POINTS, drawn_curve
from refinevad.detection.found import Detection
from refinevad.detection.wording import clock, length, verdict
from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import SegmentRule, Timeline

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;.mp4"


def detection(
    scores: list[float],
    events: tuple[Event, ...] = (),
    *,
    video: str = "door.mp4",
    categories: tuple[str, ...] = ("fighting", "fall"),
) -> Detection:
    """Segments of half a second at 10 frames a second."""
    timeline = Timeline.uniform(5 * len(scores), 10.0, SegmentRule(seconds=0.5))
    values = np.array(scores, dtype=np.float64)
    return Detection(
        video=video,
        duration_s=timeline.duration_s,
        frames=timeline.frames,
        rate_hz=10.0,
        timeline=timeline,
        scores=values,
        categories=categories,
        category_scores=np.repeat(values[:, None], len(categories), axis=1),
        events=events,
        threshold=0.6,
        low_threshold=0.4,
        alerts_per_hour=2.0,
        video_score=float(values.max()) if len(values) else 0.0,
        model={"run": "runs/a", "encoder": "lite", "version": "0.1.0"},
    )


def event(start: float, end: float, category: str = "fighting", peak: float = 0.9) -> Event:
    return Event(start, end, peak, (start + end) / 2, category, {category: 0.75, "fall": 0.25})


class Outline(HTMLParser):
    """Elements in order, with attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def check_schema(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> None:
    """The part of JSON Schema that the document uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    known = {"title", "description", "$schema", "$defs", "const", "type", "required", "properties", "items"}
    assert set(schema) <= known | {"additionalProperties", "minimum", "maximum", "uniqueItems"}, at
    if "const" in schema:
        assert value == schema["const"], at
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{at} is {type(value)}"
        assert not isinstance(value, bool), at
    if isinstance(value, int | float):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), at
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_schema(item, schema["items"], root, f"{at}[{index}]")
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value), at
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            assert inner, f"{at} has unknown {name}"
            check_schema(item, inner, root, f"{at}.{name}")


def read_schema() -> dict[str, Any]:
    text = files("refinevad.apps.report").joinpath("detection.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def test_json_follows_its_schema_and_holds_the_detection(tmp_path: Path) -> None:
    found = detection([0.1, 0.2, 0.9, 0.7, 0.3], (event(1.0, 2.0),))
    record = json.loads(write_detection(found, tmp_path, None).json.read_text(encoding="utf-8"))
    schema = read_schema()
    check_schema(record, schema, schema)
    assert (record["schema_version"], record["frames"], record["duration_s"]) == (2, 25, 2.5)
    assert record["segments"][2] == {
        "start_s": 1.0,
        "end_s": 1.5,
        "score": 0.9,
        "categories": {"fighting": 0.9, "fall": 0.9},
    }
    # two segments of half a second make a second; the last second is half as long
    assert record["seconds"] == [
        {"second": 0, "score": 0.15},
        {"second": 1, "score": 0.8},
        {"second": 2, "score": 0.3},
    ]
    assert record["events"][0]["probabilities"] == {"fighting": 0.75, "fall": 0.25}
    assert record["events"][0]["categories"] == record["events"][0]["probabilities"]  # as version 1 called it
    assert record["model"] == {"run": "runs/a", "encoder": "lite", "version": "0.1.0"}


BOTH = {"direct": "direct path", "refined": "MoTAR + CORE"}
AVERAGE = "an average training segment"


def by_path(direct: list[float], refined: list[float], base: float = -2.0) -> PathCurves:
    return PathCurves(BOTH, np.full(len(direct), base), np.column_stack([direct, refined]), from_training=True)


def test_json_splits_scores_and_events_by_path(tmp_path: Path) -> None:
    """Over the two segments of the event the direct path adds 3 and 1, the refined one 1 and 3.5."""
    paths = by_path([0.0, -1.0, 3.0, 1.0, 0.0], [0.5, -0.5, 1.0, 3.5, 0.0])
    scores = (1 / (1 + np.exp(-(paths.base + paths.added.sum(1))))).tolist()
    found = replace(detection(scores, (event(1.0, 2.0),)), paths=paths)
    written = write_detection(found, tmp_path, None)
    record = json.loads(written.json.read_text(encoding="utf-8"))
    schema = read_schema()
    check_schema(record, schema, schema)
    assert record["paths"] == {"names": BOTH, "above": "an average training segment"}
    assert record["segments"][2]["paths"] == {"base": -2.0, "direct": 3.0, "refined": 1.0}
    for segment in record["segments"]:
        logit = np.log(segment["score"] / (1 - segment["score"]))
        assert sum(segment["paths"].values()) == pytest.approx(logit, abs=1e-4)
    assert record["events"][0]["paths"] == {"direct": 2.0, "refined": 2.25}
    html = written.html.read_text(encoding="utf-8")
    told = "Direct path 47 %, MoTAR + CORE 53 % of what lifts this event above an average training segment."
    assert told in Outline(html).text
    lines = {attrs["class"]: attrs["points"] or "" for attrs in Outline(html).all("polyline")}
    assert set(lines) == set(BOTH)
    # the direct path's highest segment, [1.0, 1.5) of 2.5 s, at 3 of the largest part, 3.5: 48 - 46 * 3 / 3.5
    assert "240.0,8.6 360.0,8.6" in lines["direct"]
    assert 'data-high="+3.5"' in html


def test_a_run_with_one_path_says_so(tmp_path: Path) -> None:
    one = PathCurves({"refined": "MoTAR + CORE"}, np.zeros(4), np.array([[-2.0], [0.0], [2.0], [0.0]]), False)
    found = replace(detection([0.1, 0.5, 0.9, 0.5], (event(1.0, 1.5),)), paths=one)
    text = " ".join(Outline(write_detection(found, tmp_path, None).html.read_text()).text)
    assert "The score comes by one path, MoTAR + CORE: 100 % of it." in text
    assert "MoTAR + CORE 100 %: this run has no other path." in text
    curve = VideoCurve("a.mp4", "fall", found.timeline, found.scores, found.events, ((1.0, 1.5),), one)
    write_evaluation_report(tmp_path / "e.html", Evaluation("cameras", {"auc": 0.5}, [curve]))
    html = (tmp_path / "e.html").read_text()
    assert "Scores come by one path, MoTAR + CORE: 100 % of each." in " ".join(Outline(html).text)
    assert not Outline(html).all("ul")[1:]  # the list of videos alone


@pytest.mark.parametrize(
    ("lifts", "told"),
    [
        ((3.0, 1.0), "Direct path 75 %, MoTAR + CORE 25 % of what lifts this event above an average training segment."),
        ((2.0, 1.0), "Direct path 67 %, MoTAR + CORE 33 % of what lifts this event above an average training segment."),
        ((0.0, 1.0), "Direct path 0 %, MoTAR + CORE 100 % of what lifts this event above an average training segment."),
        (
            (2.5, -0.5),
            f"Lifted above {AVERAGE} by direct path (2.50), lowered by MoTAR + CORE (0.50); in logits.",
        ),
        (
            (-3.0, 1.0),
            f"Lifted above {AVERAGE} by MoTAR + CORE (1.00), lowered by direct path (3.00); in logits.",
        ),
        ((-0.5, -0.1), "No path lifts this event above an average training segment."),
        ((0.0, 0.0), "No path lifts this event above an average training segment."),
    ],
)
def test_what_is_said_of_an_events_paths(lifts: tuple[float, float], told: str) -> None:
    assert lift_sentence(by_path([0.0], [0.0]), dict(zip(BOTH, lifts, strict=True))) == told


def test_evaluation_splits_each_videos_curve_and_tells_its_highest_events(tmp_path: Path) -> None:
    """Of four events the three highest are told, in order of time."""
    peaks = [0.7, 0.9, 0.8, 0.95]
    events = tuple(event(float(start), start + 1.0, peak=peak) for start, peak in enumerate(peaks))
    flat = detection([0.5] * 8)
    paths = by_path([1.0] * 2 + [3.0] * 2 + [1.0] * 4, [1.0] * 8)
    curve = VideoCurve("a.mp4", "fall", flat.timeline, flat.scores, events, ((0.0, 4.0),), paths)
    plain = VideoCurve("b.mp4", "normal", flat.timeline, flat.scores)
    write_evaluation_report(tmp_path / "e.html", Evaluation("cameras", {"auc": 0.5}, [curve, plain]))
    html = (tmp_path / "e.html").read_text()
    told = [text for text in Outline(html).text if text.startswith("00:0")]
    assert [text[:33] for text in told] == [
        "00:01.0: Direct path 75 %, MoTAR ",
        "00:02.0: Direct path 50 %, MoTAR ",
        "00:03.0: Direct path 50 %, MoTAR ",
    ]
    assert "1 more event" in Outline(html).text
    drawn = [attrs.get("class") for attrs in Outline(html).all("polyline")]
    assert [drawn.count(path) for path in BOTH] == [1, 1]  # of the first video alone


def test_schema_check_refuses_a_broken_record(tmp_path: Path) -> None:
    schema = read_schema()
    record = json.loads(write_detection(detection([0.1, 0.9]), tmp_path, None).json.read_text())
    for breaking in ({"threshold": 1.5}, {"extra": 1}, {"frames": 2.5}, {"segments": [{"start_s": 0.0}]}):
        with pytest.raises(AssertionError):
            check_schema(record | breaking, schema, schema)


def test_formats_page_names_every_field() -> None:
    text = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    section = text.split("## Detection")[1].split("\n## ")[0]
    for name, inner in read_schema()["properties"].items():
        fields = inner.get("items", inner).get("properties", {})
        assert f"`{name}" in section
        for field in fields:
            assert re.search(rf"`{name}(\[\])?\.{field}`", section) or f"`.{field}`" in section, f"{name}.{field}"


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_detection(detection([0.1, float("nan")]), tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_csv_has_a_row_a_second_and_names_the_stronger_event(tmp_path: Path) -> None:
    found = detection([0.1] * 8, (event(0.5, 1.5, "fall", 0.7), event(1.5, 2.0, "fighting", 0.9)))
    with write_detection(found, tmp_path, None).csv.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["second", "score", "threshold", "event"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "3"]
    assert [row[3] for row in rows[1:]] == ["fall", "fighting", "", ""]  # [1.5, 2.0) does not touch second 2
    assert {(row[1], row[2]) for row in rows[1:]} == {("0.100000", "0.600000")}


def test_html_is_one_file_that_reaches_nothing_outside(tmp_path: Path) -> None:
    found = detection([0.1, 0.2, 0.9, 0.7], (event(1.0, 2.0),))
    html = write_detection(found, tmp_path, tmp_path / "door.mp4", {0: b"\xff\xd8picture"}).html.read_text()
    outline = Outline(html)
    assert [attrs["src"] for attrs in outline.all("video")] == ["door.mp4"]
    for tag, attrs in outline.elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            if name in attrs and tag != "video":
                assert (attrs[name] or "").startswith("data:"), (tag, attrs)
    assert "url(" not in html
    assert "@import" not in html
    # the plotting library's banner names its home; that comment is the only address in the file
    assert set(re.findall(r"https?://[\w./]+", html)) == {"https://github.com/leeoniya/uPlot"}
    policy = next(attrs["content"] for attrs in outline.all("meta") if "http-equiv" in attrs) or ""
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert "Permission is hereby granted, free of charge" in html  # the licence travels with the library
    assert len(outline.all("img")) == 1
    assert "1 event: fighting, 00:01.0–00:02.0, score 0.90" in outline.text
    for said in ("runs/a", "lite", "0.6000", "2 an hour"):
        assert said in outline.text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    category = "<svg onload=alert(2)>"
    found = detection([0.1, 0.9], (event(0.5, 1.0, category),), video=HOSTILE, categories=(category, "fall"))
    written = write_detection(found, tmp_path, tmp_path / "a b" / 'x?#"<.mp4', {}, stem="hostile")
    detect_page = written.html.read_text()
    entries = [BatchEntry(HOSTILE, found, 'a?b#".html'), BatchEntry(HOSTILE, failure="<b>broken</b>")]
    overview_page = write_overview(tmp_path, entries).read_text()
    curve = VideoCurve(HOSTILE, category, found.timeline, found.scores, found.events, ((0.5, 1.0),))
    shown = Evaluation(HOSTILE, {"auc": 0.5}, [curve], 0.6, {category: {"auc": 0.5}}, {category: {"auc": 0.5}})
    write_evaluation_report(tmp_path / "evaluation.html", shown)
    evaluation_page = (tmp_path / "evaluation.html").read_text()
    for html in (detect_page, overview_page, evaluation_page):
        outline = Outline(html)
        assert not [attrs for _, attrs in outline.elements if "onerror" in attrs or "onload" in attrs]
        assert not outline.all("b") or html is evaluation_page
        assert "onerror=alert(1)>" not in html
    assert HOSTILE in "".join(Outline(detect_page).text)
    assert Outline(detect_page).all("video")[0]["src"] == "a%20b/x%3F%23%22%3C.mp4"
    assert Outline(overview_page).all("a")[0]["href"] == "a%3Fb%23%22.html"
    data = re.search(r'<script type="application/json" id="detection-data">(.*?)</script>', detect_page, re.S)
    assert data
    assert json.loads(data[1])["categories"][0] == category


def test_a_detection_with_no_segment_is_still_a_page(tmp_path: Path) -> None:
    written = write_detection(detection([]), tmp_path, None)
    assert "No event above the threshold" in written.html.read_text()
    assert written.csv.read_text() == "second,score,threshold,event\n"


def test_a_day_is_drawn_with_few_points_and_every_peak() -> None:
    rng = np.random.default_rng(0)
    count = 135_000
    scores = rng.uniform(0.0, 0.4, count)
    peaks = rng.choice(count, 200, replace=False)
    scores[peaks] = 0.5 + 0.5 * rng.random(200)
    timeline = Timeline.uniform(count, 1 / 0.64, SegmentRule(frames=1))
    curve = drawn_curve(timeline, scores, scores[:, None])
    assert len(curve.x) == len(curve.y) <= MAX_POINTS
    assert (np.diff(curve.x) > 0).all()
    middles = 0.64 * np.arange(count) + 0.32
    for column in range(0, len(curve.starts), 37):
        inside = scores[(curve.starts[column] <= middles) & (middles < curve.ends[column])]
        assert curve.high[column] == max(inside) == curve.categories[column, 0]
        assert {curve.y[2 * column], curve.y[2 * column + 1]} == {min(inside), max(inside)}
    assert curve.y.max() == scores.max()
    assert curve.x[np.argmax(curve.y)] == pytest.approx(0.64 * np.argmax(scores) + 0.32)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(4, 60))
def test_drawing_never_loses_the_range(scores: list[float], points: int) -> None:
    timeline = Timeline.uniform(len(scores), 2.0, SegmentRule(frames=1))
    curve = drawn_curve(timeline, np.array(scores), np.zeros((len(scores), 0)), points)
    assert len(curve.x) <= points
    assert (curve.y.min(), curve.y.max()) == (min(scores), max(scores))
    assert (curve.starts[0], curve.ends[-1]) == (0.0, len(scores) / 2)


def test_short_curves_are_exact_steps() -> None:
    found = detection([0.1, 0.9])
    curve = drawn_curve(found.timeline, found.scores, found.category_scores)
    assert curve.x.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert curve.y.tolist() == [0.1, 0.1, 0.9, 0.9]


@pytest.mark.parametrize(
    ("second", "told"), [(0.0, "00:00.0"), (14.14, "00:14.1"), (59.96, "01:00.0"), (3723.44, "1:02:03.4")]
)
def test_clock(second: float, told: str) -> None:
    assert clock(second) == told


def test_lengths_and_verdicts_are_plain_words() -> None:
    assert [length(seconds) for seconds in (9.6, 245.0, 86_340.0)] == ["9.6 s", "4 min 05 s", "23 h 59 min"]
    two = detection([0.1] * 9, (event(0.0, 1.0, "fall", 0.7), event(2.0, 4.0, "fighting", 0.93)))
    assert verdict(two) == "2 events; strongest: fighting, 00:02.0–00:04.0, score 0.93"


def test_stems_tell_equal_names_apart() -> None:
    paths = [Path(text) for text in ("a/x.mp4", "b/X.mp4", "c/x.avi", "x-2.mp4")]
    assert report_stems(paths) == ["x", "X-2", "x-3", "x-2-2"]


def test_overview_puts_failures_and_high_scores_first(tmp_path: Path) -> None:
    quiet, loud = detection([0.1] * 4), detection([0.1, 0.9], (event(0.5, 1.0),))
    entries = [
        BatchEntry("quiet.mp4", quiet, "quiet.html"),
        BatchEntry("loud.mp4", loud, "loud.html"),
        BatchEntry("bad.mp4", failure="bad.mp4 is empty"),
    ]
    html = write_overview(tmp_path, entries).read_text()
    assert [html.index(f"{name}.mp4") for name in ("bad", "loud", "quiet")] == sorted(
        html.index(f"{name}.mp4") for name in ("bad", "loud", "quiet")
    )
    assert "1 event in 1 of 2 videos" in html
    assert html.count("<svg") == 2


def test_how_far_a_model_may_be_believed_stands_in_the_head_of_both_pages(tmp_path: Path) -> None:
    found, said = detection([0.1, 0.9], (event(0.5, 1.0),)), "model fighting: <b>one fight in eight</b>"
    for cautions, expected in (((said,), [said]), ((), [])):
        alone = write_detection(found, tmp_path, None, {}, cautions=cautions).html.read_text()
        overview = write_overview(tmp_path, [BatchEntry("door.mp4", found, "door.html")], cautions).read_text()
        for page in (alone, overview):
            told = re.findall(r'<p class="caution">(.*?)</p>', page)
            assert [unescape(sentence) for sentence in told] == expected
            assert "<b>one fight" not in page
            assert not told or page.index(told[0]) < page.index("<dl")


def test_operating_curves_by_hand() -> None:
    # ranked 0.9 true, 0.8 false, 0.5 true and false together, 0.1 false: 2 true frames, 3 false ones
    scores, truth = np.array([0.5, 0.9, 0.1, 0.8, 0.5]), np.array([True, True, False, False, False])
    curves = operating_curves(scores, truth, 0.6)
    assert curves.recall.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert curves.false_rate == pytest.approx([0.0, 0.0, 1 / 3, 2 / 3, 1.0])
    assert curves.precision == pytest.approx([1.0, 1 / 2, 2 / 4, 2 / 5])
    assert curves.base_rate == 0.4
    assert curves.at_threshold == pytest.approx((1 / 3, 0.5, 0.5))
    assert operating_curves(scores, truth, 0.95).at_threshold is None


def evaluation() -> Evaluation:
    flat = detection([0.1] * 8)
    curves = [
        VideoCurve("good.mp4", "fighting", flat.timeline, flat.scores, (event(1.0, 2.0),), ((1.0, 2.0),)),
        VideoCurve("late.mp4", "fighting", flat.timeline, flat.scores, (event(1.5, 2.5),), ((1.0, 2.0),)),
        VideoCurve("calm.mp4", "normal", flat.timeline, flat.scores),
        VideoCurve("alarm.mp4", "normal", flat.timeline, flat.scores, (event(0.0, 2.0),)),
        VideoCurve("missed.mp4", "fall", flat.timeline, flat.scores, (), ((0.0, 3.0),)),
        VideoCurve("unknown.mp4", "fall", flat.timeline, flat.scores, (event(0.0, 2.0),), None),
    ]
    metrics = {"auc": 0.8123, "map": {"0.1": 50.0, "0.5": 12.5}, "map_average": 31.25, "frames": 1234}
    controls = {"chance": {"auc": 0.5}, "trivial motion": {"auc": 0.7051}}
    return Evaluation("cameras", metrics, curves, 0.6, controls, {"fighting": {"auc": 0.9}, "fall": {"auc": 0.61}})


def test_evaluation_shows_controls_and_the_worst_video_first(tmp_path: Path) -> None:
    shown = evaluation()
    assert [round(video.wrong, 3) for video in shown.videos[:5]] == [0.0, 0.25, 0.0, 0.5, 0.75]
    outcomes = [video.outcome for video in shown.videos]
    assert outcomes == ["found", "found", "quiet", "false alarm", "missed", "found"]
    write_evaluation_report(tmp_path / "e.html", shown)
    html = (tmp_path / "e.html").read_text()
    order = re.findall(r'<b title="(\w+)\.mp4">', html)
    assert order == ["missed", "alarm", "late", "calm", "good", "unknown"]
    text = " ".join(Outline(html).text)
    for said in (
        "0.812",
        "0.500",
        "0.705",
        "trivial motion",
        "31.2",
        "12.5",
        "1,234",
        "0.610",
        "25 % of the time wrong",
    ):
        assert said in text
    assert "http" not in html.replace("http-equiv", "")


def test_demo_page_holds_both_parts(tmp_path: Path) -> None:
    found = detection([0.1, 0.9], (event(0.5, 1.0),))
    write_demo_report(tmp_path / "out" / "report.html", evaluation(), found, tmp_path / "clip.mp4", {})
    outline = Outline((tmp_path / "out" / "report.html").read_text())
    sections = [attrs["class"] for attrs in outline.all("section")]
    assert sections == ["detection", "evaluation"]
    assert outline.all("video")[0]["src"] == "../clip.mp4"
    assert "really" not in " ".join(outline.text)


def test_what_really_happens_stands_beside_what_was_found(tmp_path: Path) -> None:
    found, page = detection([0.1, 0.9], (event(0.5, 1.0),)), tmp_path / "report.html"
    write_demo_report(page, evaluation(), found, tmp_path / "clip.mp4", {}, truth=[(0.6, 0.9, "brawl")])
    html = page.read_text()
    assert "brawl, 00:00.6–00:00.9" in " ".join(Outline(html).text)
    data = re.search(r'id="detection-data">(.*?)</script>', html)
    assert data is not None
    assert json.loads(data[1])["truth"] == [[0.6, 0.9]]


def test_keyframe_is_the_frame_at_the_peak(tmp_path: Path) -> None:
    """Each frame of the video is one grey level; the JPEG must have the level of its second."""
    video = write_levels(tmp_path / "levels.mp4", [i * 1000 for i in range(60)], size=(640, 360))
    events = [
        Event(second, second + 0.1, peak, second, "fall", {}) for second, peak in ((5.05, 0.9), (0.0, 0.8), (1.7, 0.7))
    ]
    pictures = extract_keyframes(video, events, limit=2)
    assert sorted(pictures) == [0, 1]  # the two highest peaks
    for index, frame in ((0, 50), (1, 0)):
        picture = cv2.imdecode(np.frombuffer(pictures[index], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (270, 480, 3)
        assert picture.mean() == pytest.approx(20 + 3.5 * frame, abs=2.5)


@pytest.mark.parametrize(("width", "height", "shown"), [(2, 1, (32, 96)), (2**31 - 1, 1, (32, 48)), (1, 99, (32, 48))])
def test_pixels_that_nobody_has_are_taken_for_square(
    width: int, height: int, shown: tuple[int, int], tmp_path: Path
) -> None:
    """The width and height of a pixel stand in an MP4's `pasp`."""
    video = tmp_path / "v.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    content = video.read_bytes()
    assert content.count(b"pasp" + struct.pack(">II", 3, 2)) == 1
    video.write_bytes(content.replace(b"pasp" + struct.pack(">II", 3, 2), b"pasp" + struct.pack(">II", width, height)))
    (jpeg,) = extract_keyframes(video, [Event(0.1, 0.2, 0.9, 0.1, "fall", {})]).values()
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2] == shown


def write_levels(path: Path, ticks: list[int], size: tuple[int, int]) -> Path:
    """A video with frames of level 20 + 3.5 i at `ticks` of 1/10000 s, and a key frame every 25."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": "10", "g": "25"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 10_000)
        for index, tick in enumerate(ticks):
            level = np.full((size[1], size[0], 3), round(20 + 3.5 * index), np.uint8)
            frame = av.VideoFrame.from_ndarray(level, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 10_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_evaluation_says_how_sure_it_is(tmp_path: Path) -> None:
    gap = {"difference": 0.1, "ci95": [0.02, 0.2], "excludes_0": True}
    bias = {"auc": 0.7, "ci95": [0.6, 0.8], "low": {"from": 76800.0, "to": 76800.0, "videos": 3}}
    bias["high"] = {"from": 129600.0, "to": 307200.0, "videos": 4}
    metrics = {
        "auc": 0.8123,
        "auc_ci95": [0.7111, 0.9222],
        "within_auc": 0.6543,
        "within_weight": 0.0039,
        "map": {"0.1": 50.0, "0.5": 12.5},
        "map_ci95": {"0.1": [41.25, 61.75], "0.5": None},
        "map_average": 31.25,
        "map_average_ci95": [22.22, 38.88],
        "recall_at_fpr": {"0.05": 0.4321},
        "recall_at_fpr_ci95": {"0.05": [0.3333, 0.5444]},
        "alerts_per_hour_at_80_recall": 12.34,
        "auc_minus_video_mean": {**gap, "ci95": [-0.3, 0.4], "excludes_0": False},
        "resampled": {"unit": "video", "units": 50, "resamples": 1000, "note": ""},
        "scene_bias": {"resolution": bias, "brightness": None},
    }
    lower = {"difference": -6.04, "ci95": [-17.04, 3.44], "excludes_0": False}
    controls = {"ridge <b>": {"auc": 0.7, "model_minus_control": {"auc": gap, "map_average": lower, "ap": None}}}
    write_evaluation_report(tmp_path / "e.html", Evaluation("cameras", metrics, [], None, controls))
    outline = Outline((tmp_path / "e.html").read_text())
    text = " ".join(outline.text)
    for said in (
        "0.711 to 0.922",
        "0.333 to 0.544",
        "22.2 to 38.9",  # in the table
        "41.2 to 61.8",  # below its IoU
        "-6.0 [-17.0, +3.4] no",
        "0.0039",
        "AUC within videos",
        "+0.100 [+0.020, +0.200] yes",
        "+0.100 [-0.300, +0.400] no",
        "95 % intervals over 50 videos, 1,000 resamples",
        "resolution, pixels",
        "76,800 (3 videos)",
        "129,600 to 307,200 (4 videos)",
        "False alerts an hour at 80 % event recall",
        "12.3",
        "ridge <b>",
    ):
        assert said in text, said
    assert "brightness" not in text
