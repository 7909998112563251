"""The report in a real browser: the curve is drawn, clicks and keys move the video, nothing is complained of."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from patience import patience
from refinevad.apps.report.evaluation_report import write_demo_report
from refinevad.apps.report.evaluation_section import Evaluation, VideoCurve
from refinevad.apps.report.writer import write_detection
from refinevad.detection.found import Detection
from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.reading import probe

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("background-networking", "component-update", "sync", "quic", "gpu")
FLAGS = ["--no-sandbox", "--no-first-run", *(f"--disable-{service}" for service in QUIET)]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: chromium)")
CURVE = (37, 99, 166)  # --curve of the light style
HOT = (202, 100, 58)  # --event (194, 65, 12) at 0.8 over --grid (236, 238, 241)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a ten-second video with the video beside it, under a name that must be quoted."""
    folder = tmp_path_factory.mktemp("report")
    video = folder / "door #1 50%.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for index in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((90, 160, 3), 2 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_detection(detection(100, 10.0, ((2.0, 3.5), (6.0, 8.0))), folder, video, stem="short")
    short = detection(100, 10.0, ((2.0, 3.5),))
    added = np.stack([np.linspace(-1.0, 3.0, 20), np.zeros(20)], axis=1)
    paths = PathCurves({"direct": "direct path", "refined": "MoTAR + CORE"}, np.zeros(20), added, True)
    write_detection(replace(short, paths=paths), folder, video, stem="paths")
    long = detection(108_000, 10.0, tuple((1000.0 + 700 * i, 1010.0 + 700 * i) for i in range(14)))
    write_detection(long, folder, None, stem="long")
    found = detection(100, 10.0, ((2.0, 3.5),))
    curves = [VideoCurve("a.mp4", "fall", found.timeline, found.scores, found.events, ((2.0, 4.0),))]
    curves.append(VideoCurve("b.mp4", "normal", found.timeline, found.scores))
    write_demo_report(folder / "demo.html", Evaluation("demo", {"auc": 0.8}, curves, 0.6), found, video)
    return folder


def detection(frames: int, rate_hz: float, spans: tuple[tuple[float, float], ...]) -> Detection:
    timeline = Timeline.uniform(frames, rate_hz, SegmentRule(seconds=0.5))
    scores = np.full(timeline.segments, 0.1)
    events = []
    for index, (start, end) in enumerate(spans):
        scores[timeline.segment_at(start) : timeline.segment_at(end)] = 0.8
        category = ("fighting", "fall")[index % 2]
        events.append(Event(start, end, 0.8, (start + end) / 2, category, {category: 1.0}))
    return Detection(
        video="door.mp4",
        duration_s=timeline.duration_s,
        frames=frames,
        rate_hz=rate_hz,
        timeline=timeline,
        scores=scores,
        categories=("fighting", "fall"),
        category_scores=np.stack([scores, scores / 2], axis=1),
        events=tuple(events),
        threshold=0.6,
        low_threshold=0.4,
        alerts_per_hour=1.0,
        video_score=0.8,
        model={"run": "r", "encoder": "lite", "version": "0"},
    )


def open_page(
    browser: "sync_api.Browser", path: Path, *, width: int = 1280, dark: bool = False
) -> tuple["sync_api.Page", list[str]]:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
    )
    context.set_default_timeout(patience(30_000))
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".detection[data-drawn]")
    return page, complaints


def painted(page: "sync_api.Page", selector: str, colour: tuple[int, int, int]) -> int:
    """How many pixels of a canvas have about this colour."""
    return int(
        page.evaluate(
            """([selector, colour]) => { const canvas = document.querySelector(selector);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let at = 0; at < data.length; at += 4)
              if (data[at + 3] > 200 && colour.every((value, part) => Math.abs(data[at + part] - value) < 24)) count++;
            return count; }""",
            [selector, list(colour)],
        )
    )


def wait_for_time(page: "sync_api.Page", second: float) -> None:
    page.wait_for_function(
        "second => Math.abs(document.querySelector('video').currentTime - second) < 0.06", arg=second
    )


def click_plot(page: "sync_api.Page", share: float) -> None:
    """Click so far from the plot's left end; the plot may still be laid out anew, and its width another by then."""
    plot, moved = page.locator(".plot .u-over"), "before => document.querySelector('video').currentTime !== before"
    before = page.evaluate("document.querySelector('video').currentTime")
    for _ in range(3):
        box = plot.bounding_box()
        assert box
        plot.click(position={"x": share * box["width"], "y": 60})
        with suppress(sync_api.TimeoutError):
            page.wait_for_function(moved, arg=before, timeout=patience(3_000))
            return


def test_curve_events_and_keys_move_the_video(browser: "sync_api.Browser", folder: Path) -> None:
    page, complaints = open_page(browser, folder / "short.html")
    page.wait_for_selector(".stage video", state="visible")
    assert painted(page, ".plot canvas", CURVE) > 1000  # a line of 1000 pixels across
    # 3.5 s of 10 at 0.8 in a row of 16 pixels height; the strip is nothing but those and pale cells
    assert painted(page, ".strip canvas", HOT) > 0.3 * 16 * 1000
    assert page.locator(".events img").count() == 2
    assert page.evaluate("[...document.images].every(image => image.naturalWidth === 160)")
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")  # it knows its length
    page.locator(".events .frame").nth(1).click()
    wait_for_time(page, 7.0)
    assert page.locator(".events > li.current h3").inner_text() == "fall"
    assert page.locator(".now .score").inner_text() == "0.80"
    click_plot(page, 0.25)  # a quarter of ten seconds
    wait_for_time(page, 2.5)
    assert "event: fighting" in page.locator(".readout").inner_text()
    page.mouse.move(5, 5)
    page.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    wait_for_time(page, 3.5)
    page.keyboard.press("n")
    wait_for_time(page, 7.0)
    page.keyboard.press("Home")
    wait_for_time(page, 0.0)
    assert page.locator(".plot").get_attribute("aria-valuenow") == "0.0"
    assert complaints == []


def test_the_playhead_follows_the_playing_video(browser: "sync_api.Browser", folder: Path) -> None:
    page, complaints = open_page(browser, folder / "short.html")
    page.wait_for_selector(".stage video", state="visible")
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    wait_for_time(page, 0.0)
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').paused")
    page.wait_for_timeout(200)
    share = page.evaluate(
        """() => parseFloat(document.querySelector('.plot .playhead').style.left)
        / document.querySelector('.plot .u-over').clientWidth"""
    )
    assert share == pytest.approx(page.evaluate("document.querySelector('video').currentTime") / 10.0, abs=0.02)
    assert complaints == []


def test_a_long_video_zooms_to_single_segments(browser: "sync_api.Browser", folder: Path) -> None:
    page, complaints = open_page(browser, folder / "long.html")
    assert page.locator("video").count() == 0
    page.locator(".tool.next").click()
    page.mouse.move(5, 5)
    assert page.locator(".tool.whole").is_enabled()
    assert painted(page, ".plot canvas", CURVE) > 1000
    said = page.locator(".readout").inner_text()
    assert said.startswith("28:25.0"), said  # the first event is at the start already: peak 1705 s of the second one
    assert "score 0.80" in said
    page.locator(".tool.whole").click()
    assert page.locator(".tool.whole").is_disabled()
    assert complaints == []


def test_a_player_whose_clock_begins_with_the_sound_shows_the_events_picture(
    browser: "sync_api.Browser", tmp_path: Path
) -> None:
    """Pictures begin 3 s after the sound, each greyer than the one before: that of second 6 is the sixtieth."""
    video = tmp_path / "late.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 13 * 16000, 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 16000, start
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        for index in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((90, 160, 3), 2 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = 30 + index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = replace(detection(100, 10.0, ((5.55, 6.55),)), start_s=probe(video).start_s)
    write_detection(found, tmp_path, video, stem="late")
    page, complaints = open_page(browser, tmp_path / "late.html")
    page.wait_for_selector(".stage:not([hidden])")
    page.click(".jump button")
    wait_for_time(page, 9.05)
    page.wait_for_function("() => !document.querySelector('video').seeking")
    shown = cv2.imdecode(np.frombuffer(page.locator("video").screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    grey = float(np.median(shown[: len(shown) // 3]))  # the controls lie below
    assert grey == pytest.approx(2 * 60, abs=4)
    assert page.text_content(".readout").startswith("00:06.")
    assert complaints == []


@pytest.mark.parametrize(("per_stretch", "drag"), [(20, (0.0, 0.9)), (3000, (0.4, 0.62))])
def test_nothing_is_drawn_in_a_hole(
    per_stretch: int, drag: tuple[float, float], browser: "sync_api.Browser", tmp_path: Path
) -> None:
    """Two stretches of segments with ten minutes between them, drawn whole and, of many, zoomed in."""
    starts = [*np.arange(per_stretch) * 0.5, *(600 + (per_stretch + np.arange(per_stretch)) * 0.5)]
    line = Timeline.of(
        range(2 * per_stretch), starts, 2 * per_stretch, starts[-1] + 0.5, {per_stretch - 1: per_stretch / 2}
    )
    scores = np.full(line.segments, 0.7)
    found = detection(100, 10.0, ())
    rows = np.stack([scores, scores], axis=1)
    found = replace(found, timeline=line, duration_s=line.duration_s, scores=scores, category_scores=rows)
    write_detection(found, tmp_path, None, stem="hole")
    page, complaints = open_page(browser, tmp_path / "hole.html")
    page.focus(".plot")
    for _ in range(int(per_stretch / 2 // 60) + 5):
        page.keyboard.press("PageUp")
    assert "no pictures" in page.text_content(".readout")
    box = page.locator(".plot .u-over").bounding_box()
    assert box is not None
    for share in drag:
        page.mouse.move(box["x"] + 1 + share * (box["width"] - 2), box["y"] + 20, steps=4)
        page.mouse.down() if share == drag[0] else page.mouse.up()
    page.wait_for_selector(".tool.whole:not([disabled])")
    page.wait_for_timeout(300)
    # of what is zoomed to a quarter has pictures, or a sixtieth: a line two or three pixels high
    assert 0 < painted(page, ".plot canvas", CURVE) < 0.3 * box["width"] * 3
    page.mouse.move(box["x"] + 5, box["y"] + 20)
    assert "score 0.70" in page.text_content(".readout")
    assert [text for text in complaints if "Canvas2D" not in text] == []  # that the test reads pixels twice


def test_a_phone_shows_it_all_without_sideways_scrolling(browser: "sync_api.Browser", folder: Path) -> None:
    for name, dark in (("short.html", False), ("demo.html", True)):
        page, complaints = open_page(browser, folder / name, width=390, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        level = max(int(part) for part in background.strip("rgb()").split(","))
        assert (level < 60) == dark
        assert complaints == []


def test_videos_are_filtered_by_outcome(browser: "sync_api.Browser", folder: Path) -> None:
    page, complaints = open_page(browser, folder / "demo.html")
    assert page.locator(".videos > li:visible").count() == 2
    page.locator("[data-filter=quiet]").click()
    assert page.locator(".videos > li:visible b").inner_text() == "b.mp4"
    page.locator("[data-filter='']").click()
    assert page.locator(".videos > li:visible").count() == 2
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_curves_by_path_lie_under_the_scores_and_zoom_with_them(
    width: int, browser: "sync_api.Browser", folder: Path
) -> None:
    page, complaints = open_page(browser, folder / "paths.html", width=width)
    over, drawn = (page.locator(place).bounding_box() for place in (".plot .u-over", "svg.by-path"))
    assert over
    assert drawn
    assert drawn["x"] == pytest.approx(over["x"], abs=1.0)
    assert drawn["width"] == pytest.approx(over["width"], abs=1.0)
    assert drawn["y"] > over["y"] + over["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("svg.by-path").get_attribute("viewBox") == "0 0 600 96"
    y = over["y"] + 60
    page.mouse.move(over["x"] + 0.2 * over["width"], y)
    page.mouse.down()
    page.mouse.move(over["x"] + 0.6 * over["width"], y, steps=5)
    page.mouse.up()
    page.wait_for_selector(".whole:not([disabled])")
    left, _, across, _ = map(float, str(page.locator("svg.by-path").get_attribute("viewBox")).split())
    assert (left, across) == (pytest.approx(120, abs=6), pytest.approx(240, abs=6))  # 2 to 6 s of ten
    page.locator(".whole").click()
    assert page.locator("svg.by-path").get_attribute("viewBox") == "0 0 600 96"
    assert complaints == []
