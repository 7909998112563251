"""The page in a real browser, against the real service: a process with a tiny model that watches a small clip."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fakes import MeanEncoder
from patience import patience, wait_until
from refinevad.apps.live.clock import iso
from refinevad.apps.live.storage.records import EventRecord, ScoreRow
from refinevad.apps.live.storage.stored import open_stored
from refinevad.apps.service.access_token import make_token_file
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.features.store import Provenance
from refinevad.model_choice import open_model
from refinevad.model_config import RefineVADConfig
from refinevad.timeline import SegmentRule
from videos import write_video

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("background-networking", "component-update", "sync", "quic", "gpu")
FLAGS = ["--no-sandbox", "--no-first-run", *(f"--disable-{service}" for service in QUIET)]
FAKES = Path(__file__).with_name("fakes.py")
SECOND_MS = 1000
NOTHING = re.compile(r"\b(null|undefined|NaN|\[object)\b")  # what scripts show by mistake
UNNAMED = """[...document.querySelectorAll('button, a, input, select, video, canvas[role]')]
  .filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.closest('label') || e.title))
  .map(e => e.outerHTML)"""
DROPPED = """([name, content]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
  return carried;
}"""
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: chromium)")


def make_run(folder: Path) -> Path:
    """A model of random weights whose every score lies above its threshold: an event begins at once and stays on."""
    torch.manual_seed(0)
    config = RefineVADConfig(channels=4, categories=("fall", "fight"), width=8, heads=2)
    signature = Provenance(MeanEncoder().identity.as_dict(), SegmentRule(seconds=0.4).as_dict()).signature
    calibration = Calibration(1e-6, 1e-7, 6.0, True, 1.0)
    Checkpoint(open_model(config).eval(), "lite", signature, calibration).save(folder)
    return folder


class Service:
    """`refinevad serve` in a process of its own, on a port that it keeps over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.port = folder, folder / "data", 0
        self.run = make_run(folder / "runs" / "tiny")
        write_video(folder / "street.mp4", frames=3000, rate=10, size=(160, 90))
        self.config = folder / "cameras.toml"
        self.config.write_text(f'model = "{self.run}"\n[[camera]]\nname = "street"\nsource = "street.mp4"\n')
        self.token = make_token_file(folder / "token")
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["serve", "--config", self.config, "--model", self.run, "--data", self.data, "--port", self.port]
        arguments += ["--token-file", self.folder / "token", "--window", 4, "--delay", 0, "--json", "-"]
        with (self.folder / "stderr.txt").open("a") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(FAKES), *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        assert self.process.stdout is not None
        answer = "".join(iter(self.process.stdout.readline, "}\n")) + "}"
        self.port = int(json.loads(answer)["address"].rpartition(":")[2])

    def stop(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(patience(60))
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    if service.process is not None:
        service.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        sync_api.expect.set_options(timeout=patience(60 * SECOND_MS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def login(browser: "sync_api.Browser", service: Service) -> dict[str, Any]:
    """What the browser holds after a login through the page."""
    context = browser.new_context(base_url=service.address)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Token").fill("a guess")
    page.get_by_role("button", name="Log in").click()
    sync_api.expect(page.get_by_role("alert")).to_contain_text("not the service's")
    page.get_by_label("Token").fill(service.token)
    page.keyboard.press("Enter")
    sync_api.expect(page.get_by_role("heading", name="Cameras")).to_be_visible(timeout=patience(60 * SECOND_MS))
    assert page.evaluate("document.cookie") == ""  # no script can read it
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


class Visit:
    """A page that is logged in, and what the browser complained of."""

    def __init__(self, browser: "sync_api.Browser", service: Service, login: dict[str, Any], **options: Any) -> None:
        self.context = browser.new_context(base_url=service.address, storage_state=login, **options)
        self.context.set_default_timeout(patience(60 * SECOND_MS))
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))

    def open(self, view: str) -> "sync_api.Page":
        self.page.goto(f"/#/{view}")
        self.page.get_by_role("heading", level=1).wait_for()
        return self.page

    def api(self, path: str) -> Any:
        return self.page.evaluate("async (path) => (await fetch('/api/v1' + path)).json()", path)


@pytest.fixture
def visit(browser: "sync_api.Browser", service: Service, login: dict[str, Any]) -> Iterator[Visit]:
    visit = Visit(browser, service, login)
    yield visit
    visit.context.close()


def add_events(service: Service, count: int) -> list[str]:
    """Events of yesterday with a clip each, newest first."""
    store, day = open_stored(str(service.data)), time.time() - 86_400
    names = [f"past-{number}" for number in range(count)]
    for number, name in enumerate(names):
        write_video(store.media / "clips" / f"{name}.mp4", frames=20, rate=10, size=(160, 90))
        probabilities = {"fall": 0.75, "fight": 0.25}
        start = day - 60.0 * number
        event = EventRecord(name, "street", start, start + 2, 0.9, start + 1, "fall", probabilities, "ended", "tiny")
        store.events.upsert(replace(event, clip=f"clips/{name}.mp4"))
    store.close()
    return names


def test_the_wall_shows_pictures_scores_and_the_event(visit: Visit) -> None:
    page = visit.open("cameras")
    tile = page.locator(".tile[data-camera=street]")
    for state in ("has-picture", "alarmed"):  # in the order in which they come true
        sync_api.expect(tile).to_have_class(re.compile(rf"\b{state}\b"))
    sync_api.expect(tile.locator(".state")).to_have_text("live")
    assert tile.locator("img").evaluate("picture => picture.naturalWidth") == 160
    painted = "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    wait_until(lambda: tile.locator("canvas").evaluate(painted) > 2, "the strip stays empty")
    before = tile.locator("canvas").evaluate("c => c.toDataURL()")
    wait_until(lambda: tile.locator("canvas").evaluate("c => c.toDataURL()") != before, "the strip stands still")
    assert [complaint for complaint in visit.complaints if "404" not in complaint] == []


def test_where_an_open_event_comes_from_lies_over_the_live_picture(visit: Visit) -> None:
    """Of an event that began before the page was opened; the picture of 160 x 90 fills its frame."""
    where = {"rows": 3, "columns": 4, "cells": [0.5, 0.5, *[0.0] * 10], "box": [0.0, 0.0, 0.5, 1 / 3]}
    visit.page.route("**/api/v1/events/*", lambda route: route.fulfill(json={"where": where}))
    page = visit.open("cameras")
    tile = page.locator(".tile[data-camera=street]")
    drawn = tile.locator("svg.where")
    sync_api.expect(drawn.locator("rect.cell")).to_have_count(2)
    assert drawn.get_attribute("viewBox") == "0 0 160 90"
    assert drawn.bounding_box() == tile.locator(".screen img").bounding_box()
    visit.page.unroute("**/api/v1/events/*")


def test_review_draws_the_place_and_the_curve_follows_the_clip(visit: Visit, service: Service) -> None:
    """A box of half the width and a third of the height from the upper left; a clip of 2 s that ends 5 s after it."""
    store, start = open_stored(str(service.data)), time.time() - 200_000
    write_video(store.media / "clips" / "placed.mp4", frames=20, rate=10, size=(160, 90))
    cells = [0.5, 0.5, *[0.0] * 10]
    where = {"rows": 3, "columns": 4, "cells": cells, "box": [0.0, 0.0, 0.5, 1 / 3]}
    why = {"paths": {"direct": 0.75, "refined": 0.25}, "categories": {"fall": 1.0}, "score": 0.9, "without": 0.2}
    event = EventRecord("placed", "street", start, start + 2, 0.9, start + 1, "fall", {"fall": 1.0}, "ended", "tiny")
    store.events.upsert(replace(event, clip="clips/placed.mp4", located={"where": where, "why": why}))
    rows = [ScoreRow(start - 10 + second, 1.0, 0.9 if 10 <= second < 12 else 0.1, (1.0,)) for second in range(30)]
    store.scores.add("street", "tiny", ("fall",), rows)
    store.close()
    page = visit.open("review/placed")
    drawn = page.locator(".stage-review svg.where")
    sync_api.expect(drawn.locator("rect.cell")).to_have_count(2)
    box = drawn.locator("rect.box:not(.back)")
    assert [float(box.get_attribute(name)) for name in ("x", "y", "width", "height")] == [0, 0, 80, 30]
    why_told = page.locator(".why")
    sync_api.expect(why_told).to_contain_text("It came from the upper left of the picture: without what is marked")
    sync_api.expect(why_told).to_contain_text("0.20 in place of 0.90. By path: direct path 75 %, MoTAR + CORE 25 %")
    page.get_by_role("button", name="Show where").click()
    sync_api.expect(drawn).to_be_hidden()
    page.reload()
    sync_api.expect(page.locator(".stage-review video")).to_be_visible()
    sync_api.expect(drawn).to_be_hidden()
    page.get_by_role("button", name="Show where").click()
    sync_api.expect(drawn).to_be_visible()
    curve = page.locator(".clip-curve")
    sync_api.expect(curve).to_have_attribute("aria-label", re.compile("highest 0.90"))
    video = page.locator(".stage-review video")
    video.evaluate("video => video.pause()")
    # it shows from 5 s before the clip to 5 s behind it, 12 s: of the clip's 2 s the middle is the curve's
    for second, share in ((0.0, 5 / 12), (1.0, 6 / 12), (2.0, 7 / 12)):
        video.evaluate("(video, second) => { video.currentTime = second }", second)
        wait_until(lambda share=share: abs(cursor(page) - share) < 0.01, "the cursor does not follow the clip")
    curve.click(position={"x": curve.bounding_box()["width"] / 2, "y": 10})
    wait_until(lambda: abs(video.evaluate("video => video.currentTime") - 1.0) < 0.1, "a press goes nowhere")
    assert visit.complaints == []


def cursor(page: "sync_api.Page") -> float:
    """Where the cursor of the curve under a clip stands, as a share of its width."""
    return float(page.locator(".clip-cursor").evaluate("one => parseFloat(one.style.left)")) / 100


def test_why_events_cannot_be_kept_stands_above_every_view(visit: Visit) -> None:
    reasons = ["the outbox cannot be written (disk is full); events go out from memory", "storage takes no events"]
    body = {"status": "unready", "reasons": reasons}
    visit.page.route("**/readyz", lambda route: route.fulfill(status=503, json=body))
    page = visit.open("cameras")
    said = page.locator("#link-state")
    sync_api.expect(said).to_have_text(". ".join(reasons))
    page.goto("/#/review")
    sync_api.expect(said).to_be_visible()
    visit.page.unroute("**/readyz")
    page.reload()
    sync_api.expect(page.get_by_role("heading", level=1)).to_be_visible()
    sync_api.expect(said).to_be_hidden()


def test_a_camera_is_added_and_a_bad_address_keeps_what_was_typed(visit: Visit) -> None:
    page = visit.open("cameras")
    page.get_by_role("button", name="Add a camera").click()
    page.get_by_label("Name", exact=True).fill("yard")
    page.get_by_label("Address").fill("ftp://10.0.0.7/b")
    page.keyboard.press("Enter")
    sync_api.expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("scheme 'ftp' is not opened")
    assert page.get_by_label("Name", exact=True).input_value() == "yard"
    page.get_by_label("Address").fill("rtsp://127.0.0.1:9/none")
    page.keyboard.press("Enter")
    tile = page.locator(".tile[data-camera=yard]")
    tile.get_by_role("button", name="Remove yard").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    sync_api.expect(tile).to_have_count(0)
    assert [complaint for complaint in visit.complaints if "40" not in complaint] == []


def test_what_is_wrong_with_a_camera_stands_on_its_picture(visit: Visit) -> None:
    health = [{"name": "frozen", "since": iso(time.time()), "text": "its picture stands still: start the camera again"}]

    def ailing(route: "sync_api.Route") -> None:
        cameras = [{**camera, "health": health, "trouble": health[0]["text"]} for camera in route.fetch().json()]
        route.fulfill(json=cameras)

    visit.page.route("**/api/v1/cameras", ailing)
    page = visit.open("cameras")
    tile = page.locator(".tile[data-camera=street]")
    sync_api.expect(tile.locator(".ailing")).to_have_text("frozen")
    sync_api.expect(tile.locator(".trouble")).to_contain_text("stands still")
    sync_api.expect(page.get_by_role("status").filter(has_text="1 with a fault")).to_be_visible()
    page.goto("/#/system")
    sync_api.expect(page.get_by_role("row", name=re.compile("street"))).to_contain_text("frozen")
    visit.page.unroute("**/api/v1/cameras")


def test_masks_and_zones_are_drawn_with_mouse_finger_and_keys(visit: Visit, browser: "sync_api.Browser") -> None:
    page = visit.open("cameras/street/zones")
    stage = page.locator(".polygons")
    page.locator(".drawing-stage.has-picture").wait_for()
    page.get_by_role("button", name="Draw a mask").click()
    box = stage.bounding_box()
    assert box is not None

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*at(0.1, 0.2))
    page.mouse.down()
    page.mouse.move(*at(0.3, 0.5), steps=3)
    page.mouse.move(*at(0.4, 0.6), steps=3)
    page.mouse.up()
    page.get_by_label("Name of mask 1").fill("tree")
    page.get_by_label("Name of mask 1").press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Draw a zone").click()
    for keys in ("Enter", *("Shift+ArrowRight",) * 4, "Enter", *("Shift+ArrowDown",) * 4, "ArrowDown", "Enter", "c"):
        page.keyboard.press(keys)
    page.keyboard.press("Tab")  # to the first corner, one step up
    page.keyboard.press("ArrowUp")
    sync_api.expect(page.locator(".as-text")).to_contain_text("points = [[0.5, 0.49], [0.7, 0.5], [0.7, 0.71]]")
    sync_api.expect(page.get_by_text("Not saved yet.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    sync_api.expect(page.get_by_text("Saved: street is opened again")).to_be_visible()
    stored = visit.api("/cameras/street/zones")
    assert [area["name"] for area in stored["mask"]] == ["tree"]
    corners = [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6], [0.1, 0.6]]
    np.testing.assert_allclose(stored["mask"][0]["points"], corners, atol=2e-3)
    assert 0.95 < visit.api("/cameras/street")["hidden"] < 0.99  # all but a triangle of 0.2 x 0.21 / 2
    assert [complaint for complaint in visit.complaints if "404" not in complaint] == []
    _on_a_phone(browser, visit)


def _on_a_phone(browser: "sync_api.Browser", before: Visit) -> None:
    """With a finger: the zone goes, and a corner of the mask is dragged; a tap that sets no third corner is none."""
    state = before.context.storage_state()
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(base_url=before.page.url.partition("/#")[0], storage_state=state, **options)
    context.set_default_timeout(patience(60 * SECOND_MS))
    page = context.new_page()
    page.goto("/#/cameras/street/zones")
    page.get_by_role("button", name="Delete zone 1").tap()
    page.get_by_label("Name of tree").tap()
    page.locator(".polygons").scroll_into_view_if_needed()
    box = page.locator(".polygons").bounding_box()
    assert box is not None
    finger = context.new_cdp_session(page)
    for kind, x, y in (("Start", 0.4, 0.6), ("Move", 0.6, 0.7), ("Move", 0.8, 0.9), ("End", 0, 0)):
        points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}] if kind != "End" else []
        finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    sync_api.expect(page.get_by_label("Corner 3 of tree: 80 % from the left, 90 % from the top")).to_be_visible()
    with page.expect_response("**/zones") as answer:
        page.get_by_role("button", name="Save").tap()
    assert answer.value.ok, answer.value.text()
    stored = before.api("/cameras/street/zones")
    assert stored["zone"] == []
    np.testing.assert_allclose(stored["mask"][0]["points"][2], [0.8, 0.9], atol=0.01)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Delete tree").tap()
    page.get_by_role("button", name="Save").tap()
    sync_api.expect(page.get_by_text("None: the whole picture counts.")).to_be_visible()
    wait_until(lambda: before.api("/cameras/street")["hidden"] == 0, "the whole picture does not count again")
    context.close()


def test_a_day_with_its_event_and_what_a_threshold_would_have_meant(visit: Visit) -> None:
    page = visit.open("timeline")
    slider = page.get_by_role("slider", name="Threshold to try")
    slider.wait_for()
    wait_until(lambda: visit.api("/events?limit=1")["events"] != [], "no event is stored")
    day = f"start={iso(time.time() - 3600)}&end={iso(time.time() + 3600)}&buckets=1"
    wait_until(lambda: visit.api(f"/cameras/street/scores?{day}")["segments"] > 0, "no scores are stored")
    page.reload()
    mark = page.locator(".lane a.mark").first
    mark.wait_for()
    assert mark.get_attribute("aria-label")
    slider.wait_for()
    slider.fill("0.99")
    sync_api.expect(page.locator(".rate")).to_contain_text("0 alerts")
    page.get_by_role("button", name="Use this threshold").click()
    sync_api.expect(page.get_by_text("street now alerts above 0.99.")).to_be_visible()
    assert visit.api("/cameras/street")["threshold"] == pytest.approx(0.99)
    page.get_by_role("button", name="Use the model's own").click()
    wait_until(lambda: visit.api("/cameras/street")["threshold"] < 0.01, "the threshold does not come back")
    page.locator(".lane a.mark").last.press("Enter")  # marks so close may lie over one another
    page.get_by_role("heading", name="Review").wait_for()
    assert visit.complaints == []


def test_events_are_reviewed_by_keyboard(visit: Visit, service: Service) -> None:
    names = add_events(service, 4)
    page = visit.open(f"review/{names[0]}")
    current = page.locator(".queue .current")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[0]}/clip")
    wait_until(
        lambda: page.locator("video").evaluate("v => v.readyState >= 1 && v.videoWidth") == 160,
        "the clip does not load",
    )
    page.keyboard.press("j")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[1]}/clip")
    page.keyboard.press("k")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[0]}/clip")
    page.keyboard.press("c")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[1]}/clip")  # on it goes
    page.keyboard.press("d")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[2]}/clip")
    page.keyboard.press("r")
    category = page.get_by_label("Category", exact=False).last
    category.fill("cat on the wall")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("video")).to_have_attribute("src", f"/api/v1/events/{names[3]}/clip")
    page.keyboard.press("?")
    sync_api.expect(page.get_by_role("dialog")).to_contain_text("next event")
    page.keyboard.press("Escape")
    sync_api.expect(page.get_by_role("dialog")).to_have_count(0)
    said = {event["id"]: event for event in visit.api("/events?review=any")["events"]}
    assert [said[name]["review"]["verdict"] for name in names[:3]] == ["confirmed", "dismissed", "relabelled"]
    assert said[names[2]]["label"] == "cat on the wall"
    assert current.count() == 1
    page.reload()
    page.get_by_role("heading", name="Review").wait_for()
    assert names[0] in page.url
    assert visit.complaints == []


def test_the_keys_lead_through_the_views_and_the_system_shows_where_events_go(visit: Visit) -> None:
    page = visit.open("cameras")
    page.get_by_label("street, large", exact=True).wait_for()  # before it there is nothing that `j` could go to
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "street, large"
    for key, title in (("2", "Timeline"), ("3", "Review"), ("4", "Analyse a file"), ("5", "System"), ("1", "Cameras")):
        page.keyboard.press(key)
        page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.keyboard.press("5")
    sync_api.expect(page.get_by_role("row", name=re.compile("database"))).to_contain_text("none")
    assert not NOTHING.search(page.locator("main").inner_text())
    assert [complaint for complaint in visit.complaints if "404" not in complaint] == []


def test_a_file_is_dropped_in_and_its_result_opens(visit: Visit, tmp_path: Path) -> None:
    video = write_video(tmp_path / "my clip.mp4", frames=40, rate=10, size=(160, 90))
    (tmp_path / "notes.txt").write_text("no video")
    page = visit.open("analyse")
    sync_api.expect(page.get_by_text("No analyses yet")).to_be_visible()
    page.set_input_files("#file", str(tmp_path / "notes.txt"))
    sync_api.expect(page.locator(".job[data-name='notes.txt'] small")).to_contain_text("no video")
    dropped = page.evaluate_handle(DROPPED, [video.name, base64.b64encode(video.read_bytes()).decode()])
    page.dispatch_event("main", "dragover", {"dataTransfer": dropped})
    sync_api.expect(page.locator(".drop")).to_have_class(re.compile(r"\bover\b"))
    page.dispatch_event("main", "drop", {"dataTransfer": dropped})
    row = page.locator(".job[data-name='my clip.mp4']")
    sync_api.expect(row.locator(".tag")).to_have_text("done")
    row.get_by_role("link", name="Open my clip.mp4").click()
    sync_api.expect(page.locator(".verdict")).to_contain_text("1 event")
    page.locator(".plot canvas").wait_for()
    assert not NOTHING.search(page.locator("main").inner_text())
    wait_until(lambda: page.locator("video").evaluate("v => v.videoWidth") == 160, "the video does not load")
    page.reload()
    sync_api.expect(page.get_by_role("heading", name="my clip.mp4")).to_be_visible()
    assert [complaint for complaint in visit.complaints if "415" not in complaint] == []


# The answer to an upload arrives, and is told to the page when `answer()` is called.
LATE_ANSWER = """
window.XMLHttpRequest = class extends XMLHttpRequest {
  set onload(told) { super.onload = (event) => { window.answer = () => told.call(this, event); }; }
};
"""


def test_a_file_is_shown_once_while_the_answer_to_its_upload_is_on_its_way(visit: Visit, tmp_path: Path) -> None:
    video = write_video(tmp_path / "late answer.mp4", frames=40, rate=10, size=(160, 90))
    visit.context.add_init_script(LATE_ANSWER)
    page = visit.open("analyse")
    page.set_input_files("#file", str(video))
    row = page.locator(".job[data-name='late answer.mp4']")
    sync_api.expect(row.locator(".tag")).to_have_text("done")
    page.wait_for_function("() => Boolean(window.answer)")
    page.evaluate("window.answer()")
    page.wait_for_timeout(300)
    assert row.count() == 1
    sync_api.expect(row.locator(".tag")).to_have_text("done")
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_view_whole(
    browser: "sync_api.Browser", service: Service, login: dict[str, Any], scheme: str
) -> None:
    visit = Visit(browser, service, login, viewport={"width": 360, "height": 740}, has_touch=True, color_scheme=scheme)
    for view in ("cameras", "timeline", "review", "analyse", "system"):
        page = visit.open(view)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
        unnamed = page.evaluate(UNNAMED)
        assert unnamed == [], view
        assert not NOTHING.search(page.locator("main").inner_text()), view
    level = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
    assert (max(map(int, level)) < 60) == (scheme == "dark")
    visit.context.close()


def test_a_killed_service_closes_its_event_and_the_page_comes_back(visit: Visit, service: Service) -> None:
    """kill -9 in mid-event: after the restart the event is closed, another begins, and the page goes on."""
    page = visit.open("cameras")
    wait_until(lambda: bool(visit.api("/cameras")[0]["open_event"]), "no event is on")
    event = visit.api("/cameras")[0]["open_event"]
    wait_until(lambda: visit.api(f"/events/{event}").get("state") in ("new", "open"), "the event is not stored")
    service.stop(signal.SIGKILL)
    sync_api.expect(page.locator("#link-state")).to_contain_text("Connection lost")
    service.start()
    sync_api.expect(page.locator("#link-state")).to_be_hidden()  # the login holds over the restart
    page.locator(".tile").wait_for()
    wait_until(lambda: visit.api(f"/events/{event}")["state"] in ("closed-by-restart", "ended"), "the event stays open")
    wait_until(lambda: visit.api("/cameras")[0]["open_event"] not in (None, event), "nothing is watched any more")


def test_a_stopped_service_ends_its_event_and_exits_0(service: Service) -> None:
    assert service.stop(signal.SIGTERM) == 0
    store = open_stored(str(service.data))
    assert [found.event.id for found in store.events.find(states=("new", "open"))] == []
    assert any(found.event.state == "ended" and found.event.clip for found in store.events.find())
    store.close()
    assert "Traceback" not in (service.folder / "stderr.txt").read_text()
