"""Cameras in the page, in a real browser against real parts: tested before they are saved, edited, seen large."""

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from patience import wait_until
from servers import RtspServer
from test_page import Visit, browser, login, pytestmark, service, sync_api, visit  # noqa: F401

NOW = "video => [video.videoWidth, video.currentTime, video.paused]"


def test_a_camera_is_tested_added_seen_large_and_edited(visit: Visit, rtsp: Callable[..., RtspServer]) -> None:  # noqa: F811
    server = rtsp(login=("viewer", "s3cret"))
    page = visit.open("cameras")
    page.get_by_role("button", name="Add a camera").first.click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("yard")
    form.get_by_label("Address").fill(server.url.removeprefix("rtsp://"))
    form.get_by_role("button", name="Test").click()
    form.get_by_role("button", name=re.compile("^Use rtsp")).click()
    sync_api.expect(form.locator(".refused")).to_contain_text("asks for a user name and password")
    form.get_by_label("User name").fill("viewer")
    form.get_by_label("Password").fill("s3cret")
    form.get_by_role("button", name="Test").click()
    sync_api.expect(form.locator(".looked")).to_contain_text("H.264, 160 × 120")
    assert form.locator(".looked img").evaluate("picture => picture.naturalWidth") == 160
    form.get_by_role("button", name="Add", exact=True).click()
    tile = page.locator(".tile[data-camera=yard]")
    sync_api.expect(tile).to_have_class(re.compile(r"\bhas-picture\b"))
    tile.get_by_role("link", name="yard, large").click()
    stage = page.locator(".large-stage")
    sync_api.expect(stage.locator(".live-video")).to_have_attribute("data-mode", "video")
    video = stage.locator("video")
    width, begun, paused = video.evaluate(NOW)
    assert (width, paused) == (160, False)
    wait_until(lambda: video.evaluate(NOW)[1] > begun + 1, "the video stands still")
    sync_api.expect(page.locator(".large-score .value")).to_contain_text(re.compile(r"\d\.\d\d"))
    page.keyboard.press("f")
    wait_until(lambda: page.evaluate("document.fullscreenElement?.className") == stage.get_attribute("class"), "it is")
    page.keyboard.press("f")
    page.keyboard.press("g")
    sync_api.expect(page.locator(".grid .cell")).to_have_count(2)
    sync_api.expect(page.locator(".cell[data-camera=yard] .live-video")).to_have_attribute("data-mode", "video")
    page.get_by_role("button", name="9", exact=True).click()
    sync_api.expect(page.locator(".grid")).to_have_attribute("data-size", "9")
    page.keyboard.press("Escape")
    tile.get_by_role("button", name="Edit yard").click()
    assert form.get_by_label("Address").input_value() == server.url
    assert form.get_by_label("Password").input_value() == ""
    assert "s3cret" not in page.content()
    form.get_by_label("Record all the time").check()
    form.get_by_role("button", name="Save").click()
    sync_api.expect(form).to_have_count(0)
    camera = visit.api("/cameras/yard")
    assert (camera["record"], camera["login"]) == (True, True)
    wait_until(lambda: visit.api("/cameras/yard")["state"] == "live", "the same login, again")
    tile.get_by_role("button", name="Remove yard").click()
    form.get_by_role("button", name="Remove").click()
    sync_api.expect(tile).to_have_count(0)
    assert [complaint for complaint in visit.complaints if "404" not in complaint] == []
