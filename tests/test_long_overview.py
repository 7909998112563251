"""The page over thousands of videos: small enough to open, and narrowed to what is looked for."""

from pathlib import Path

import pytest

from refinevad.apps.report.overview import LONG, MOST_CURVES, BatchEntry
from refinevad.apps.report.writer import write_overview
from test_find import detection

CHROMIUM = Path("/usr/bin/chromium")


def entries(count: int) -> list[BatchEntry]:
    """Every tenth video has a fight; the last one cannot be read."""
    made = [
        BatchEntry(name, detection(name, *([(1.0, 2.0, "fighting", 0.9)] if place % 10 == 0 else [])), f"{place}.html")
        for place in range(count - 1)
        for name in [f"camera-{place % 2}/{place:04}.mp4"]
    ]
    return [*made, BatchEntry("bad.mp4", failure="it is <empty>")]


def test_curves_are_drawn_of_the_first_alone(tmp_path: Path) -> None:
    few = write_overview(tmp_path / "few", entries(LONG - 1)).read_text()
    assert few.count("<svg") == LONG - 2
    assert 'id="narrow"' not in few
    many = write_overview(tmp_path / "many", entries(3 * MOST_CURVES)).read_text()
    assert many.count("<svg") == MOST_CURVES - 1  # the first row is of the video that cannot be read
    assert many.count("<a href=") == 3 * MOST_CURVES - 1
    assert "it is &lt;empty&gt;" in many


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: chromium)")
def test_rows_are_narrowed_by_every_word(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = write_overview(tmp_path, entries(101))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(path.as_uri())
        page.fill("#narrow", "Camera-0 FIGHTING")
        page.wait_for_selector("#narrowed:not(:empty)", state="attached")
        assert page.text_content("#narrowed") == "10 of 101 videos"
        assert page.locator(".overview tbody tr:visible").count() == 10
        page.fill("#narrow", "")
        page.wait_for_selector("#narrowed:empty", state="attached")
        assert page.locator(".overview tbody tr:visible").count() == 101
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
