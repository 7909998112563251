"""The page in a real browser, its service in this process: reviewing at speed, timelines of many cameras, people."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("argon2", reason="argon2-cffi is not installed")

import uvicorn

from patience import patience, wait_until
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.service.passwords import hash_password
from service_house import TOKEN, House
from service_parts import CATEGORIES, JPEG
from test_page import CHROMIUM, FLAGS, NOTHING, SECOND_MS, UNNAMED
from videos import write_video

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: chromium)")
PASSWORD = "ten letters"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        sync_api.expect.set_options(timeout=patience(60 * SECOND_MS))
        yield opened
        opened.close()


@pytest.fixture
def housed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[House, str]]]:
    """A function that serves a house with real clocks: it, and its address."""
    monkeypatch.setattr("service_house.ManualClock", lambda wall_s: SystemClock())
    servers: list[tuple[uvicorn.Server, threading.Thread, House]] = []

    def start(**options: Any) -> tuple[House, str]:
        house = House(tmp_path / str(len(servers)), **options)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(house.app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        servers.append((server, thread, house))
        wait_until(lambda: server.started, "the service does not start")
        return house, f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, thread, house in servers:
        server.should_exit = True
        thread.join(patience(30))
        house.store.close()


@pytest.fixture
def opened(browser: "sync_api.Browser") -> Iterator[Callable[..., "sync_api.Page"]]:
    """A function that opens a view in a fresh browser; what the browser complains of lies in `page.complaints`."""
    contexts = []

    def open_(address: str, view: str, **options: Any) -> "sync_api.Page":
        context = browser.new_context(base_url=address, **options)
        context.set_default_timeout(patience(60 * SECOND_MS))
        contexts.append(context)
        page = context.new_page()
        page.complaints = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
        page.goto(f"/#/{view}")
        return page

    yield open_
    for context in contexts:
        context.close()


def with_events(house: House, count: int) -> list[str]:
    """Events of the last minutes, newest first: of the first there is a clip, of the second none that plays."""
    names = [f"e{number}" for number in range(count)]
    for number, name in enumerate(names):
        clip, snapshot = f"clips/{name}.mp4", f"snapshots/{name}.jpg"
        if number == 1:
            (house.store.media / clip).write_bytes(b"no video")
        else:
            write_video(house.store.media / clip, frames=10, rate=10, size=(160, 90))
        (house.store.media / snapshot).write_bytes(JPEG)
        house.add_event(name, time.time() - 60.0 * (number + 1), clip=clip, snapshot=snapshot)
    return names


def in_sight(page: "sync_api.Page", name: str) -> bool:
    box = page.get_by_role("button", name=name, exact=False).bounding_box()
    height = (page.viewport_size or {})["height"]
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= height


def verdicts(house: House, names: list[str]) -> list[str | None]:
    found = [house.store.events.get(name) for name in names]
    return [None if event is None or event.review is None else event.review.verdict for event in found]


def test_events_are_reviewed_at_speed(housed: Any, opened: Any) -> None:
    """Verdicts in sight, an undo, a note, one who is unsure, many at once, and the next clip loads meanwhile."""
    house, address = housed()
    names = with_events(house, 6)
    asked: list[str] = []
    page = opened(address, f"review/{names[0]}?review=", viewport={"width": 1024, "height": 640})
    page.on("request", lambda request: asked.append(request.url))
    page.locator("video").wait_for()
    assert in_sight(page, "Confirm")
    assert page.evaluate("scrollY") == 0
    wait_until(lambda: any(f"{names[2]}/clip" in url or f"{names[1]}/clip" in url for url in asked), "nothing is ahead")
    page.keyboard.press("j")  # what nobody can play shows its picture
    # beneath the snapshot, or alone once the browser has found that this one is no picture
    sync_api.expect(page.locator(".stage-review .screen p")).to_contain_text("cannot play the clip")
    page.keyboard.press("k")
    page.keyboard.press("n")
    page.keyboard.type("two people")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    wait_until(lambda: verdicts(house, names) == ["unsure", None, None, None, None, None], "no verdict is given")
    sync_api.expect(page.locator(".queue .current")).to_contain_text("to review")  # on it goes
    said = house.store.events.get(names[0])
    assert said is not None
    assert said.review is not None
    assert said.review.note == "two people"
    page.keyboard.press("u")
    wait_until(lambda: verdicts(house, names)[0] is None, "the verdict is not taken back")
    for name in (names[2], names[4]):
        place = names.index(name)
        page.locator(".queue li").nth(place).get_by_role("checkbox").click(modifiers=["Shift"] if place == 4 else [])
    sync_api.expect(page.locator(".chosen")).to_contain_text("3 chosen")
    page.locator(".chosen").get_by_role("button", name="Dismiss").click()
    wait_until(lambda: verdicts(house, names)[2:5] == ["dismissed"] * 3, "not all of them are dismissed")
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: verdicts(house, names) == [None] * 6, "they are not taken back together")
    page.get_by_role("combobox", name="Verdict").select_option("unsure")
    sync_api.expect(page.get_by_text("No event fits")).to_be_visible()
    assert page.complaints == []


def test_on_a_phone_a_finger_reviews_and_every_tab_is_in_sight(housed: Any, opened: Any) -> None:
    house, address = housed(token=True)
    names = with_events(house, 3)
    page = opened(address, "review?review=", **PHONE)
    page.get_by_text("The token is lost").tap()
    sync_api.expect(page.get_by_text("--make-token")).to_be_visible()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in", exact=True).tap()
    page.locator("video").wait_for()
    for button in ("Confirm", "Unsure"):
        assert in_sight(page, button), button
    for tab in page.get_by_label("Views").get_by_role("link").all():
        box = tab.bounding_box()
        assert box["x"] >= 0, tab.inner_text()
        assert box["x"] + box["width"] <= 390, tab.inner_text()
    page.get_by_role("button", name="Confirm").tap()
    wait_until(lambda: verdicts(house, names)[0] == "confirmed", "a tap gives no verdict")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(UNNAMED) == []
    assert page.complaints == []


def test_several_cameras_lie_on_one_timeline_that_opens_on_what_happened(housed: Any, opened: Any) -> None:
    house, address = housed()
    begin = time.time() - 2 * 86_400
    for name in ("yard", "gate"):
        house.engine.watched[name] = CameraConfig(name, parse_address(f"rtsp://10.0.0.5/{name}"), house.run)
        house.store.cameras.register(name, "rtsp://10.0.0.5", "first")
    for camera, run, digest, offset in (
        ("door", "old", "1", 0),
        ("door", "first", "2", 300),
        ("yard", "first", "2", 0),
    ):
        rows = [ScoreRow(begin + offset + second, 1.0, 0.4, (0.0, 0.0)) for second in range(300)]
        house.store.scores.add(camera, run, CATEGORIES, rows, digest * 64)
    house.add_event("e1", begin + 100)
    found = house.store.events.get("e1")
    assert found is not None
    house.store.events.upsert(replace(found.event, id="e2", camera="yard"))
    page = opened(address, "timeline")  # of two days ago: the last on which something happened
    rows = page.locator(".camera-day:not(.axis)")
    sync_api.expect(rows).to_have_count(2)
    sync_api.expect(page.get_by_text("No scores on this day: gate.")).to_be_visible()
    sync_api.expect(rows.first.locator("a.mark")).to_have_count(1)
    box, strip = rows.first.locator("a.mark").bounding_box(), rows.first.locator("canvas").bounding_box()
    shown = page.locator(".axis .over span").all_inner_texts()
    assert 2 <= len(shown) <= 20, shown
    assert 0.2 < (box["x"] - strip["x"]) / strip["width"] < 0.6, "the ten minutes fill no part of what is shown"
    page.get_by_role("button", name="Whole day").click()
    sync_api.expect(page.get_by_role("button", name="What happened")).to_be_visible()
    rows.first.locator("a.of").click()
    sync_api.expect(page.locator(".legend li")).to_have_text(["first, in force last", "old"])
    assert not NOTHING.search(page.locator("main").inner_text())
    page.get_by_label("Camera", exact=True).select_option("")
    sync_api.expect(rows).to_have_count(2)
    assert page.complaints == []


def test_one_tile_s_long_error_leaves_no_hole_and_what_is_over_is_no_fault(housed: Any, opened: Any) -> None:
    house, address = housed()
    for name in ("yard", "file"):
        house.engine.watched[name] = CameraConfig(name, parse_address(f"rtsp://10.0.0.5/{name}"), house.run)
    plain, said = house.engine.statuses, {"yard": ("waiting", "it cannot be reached " * 20), "file": ("ended", "")}
    house.engine.statuses = lambda: [  # type: ignore[method-assign]
        replace(each, state=said[each.name][0], reason=said[each.name][1]) if each.name in said else each
        for each in plain()
    ]
    page = opened(address, "cameras", viewport={"width": 1440, "height": 900})
    yard = page.locator(".tile[data-camera=yard]")
    sync_api.expect(yard.locator(".blank")).to_contain_text("it cannot be reached")
    heights = {page.locator(f".tile[data-camera={name}] .body").bounding_box()["height"] for name in ("door", "yard")}
    assert max(heights) - min(heights) < 8
    sync_api.expect(page.get_by_role("status").filter(has_text="1 of 2 live · 1 over")).to_be_visible()
    pause, remove = (yard.get_by_role("button", name=f"{what} yard").bounding_box() for what in ("Pause", "Remove"))
    assert remove["x"] - (pause["x"] + pause["width"]) > 40
    assert page.complaints == []


def test_people_log_in_by_name_and_are_shown_what_they_may_do(housed: Any, opened: Any) -> None:
    house, address = housed()
    with_events(house, 2)
    for name, role in (("ana", "admin"), ("eve", "viewer")):
        house.store.people.add(name, role, hash_password(PASSWORD))

    def log_in(name: str, view: str, **options: Any) -> Any:
        page = opened(address, view, **options)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill("a wrong guess")
        page.keyboard.press("Enter")
        sync_api.expect(page.get_by_role("alert")).to_contain_text("No user has this name")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_label("Views").wait_for()
        return page

    eve = log_in("eve", "review?review=")
    eve.locator("video").wait_for()
    sync_api.expect(eve.get_by_role("button", name="Confirm")).to_be_hidden()
    eve.goto("/#/cameras")
    eve.locator(".tile").wait_for()
    sync_api.expect(eve.get_by_role("button", name="Remove door")).to_be_hidden()
    ana = log_in("ana", "system")
    ana.get_by_role("button", name="Add a user").click()
    dialog = ana.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ben")
    dialog.get_by_label("Role").select_option("reviewer")
    dialog.get_by_label("Password").fill("short")
    ana.keyboard.press("Enter")
    sync_api.expect(dialog.get_by_role("alert")).to_contain_text("10 to 200 letters")
    dialog.get_by_label("Password").fill(PASSWORD)
    ana.keyboard.press("Enter")
    ana.get_by_label("Role of ben").select_option("viewer")
    sync_api.expect(ana.get_by_text("ben is viewer now.")).to_be_visible()
    assert {user.name: user.role for user in house.store.people.all()} == {
        "ana": "admin",
        "ben": "viewer",
        "eve": "viewer",
    }
    sync_api.expect(ana.locator(".changes")).to_contain_text("logged in")
    ana.locator(".logins li").filter(has_text="eve").get_by_role("button", name=re.compile("End the login")).click()
    eve.goto("/#/timeline")
    sync_api.expect(eve.get_by_label("Password", exact=True)).to_be_visible()  # she is asked to log in again
    ana.get_by_label("Account of ana").click()
    ana.get_by_role("button", name="Log out").click()
    sync_api.expect(ana.get_by_label("Password", exact=True)).to_be_visible()
    assert not house.store.logins.all(time.time())
    assert ana.complaints == eve.complaints == []
