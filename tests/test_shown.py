"""Names from elsewhere never reach a terminal or a log as they are."""

import io
import logging
import sys

import pytest

from refinevad.apps.cli import main
from refinevad.apps.terminal import note, table
from refinevad.files.shown import shown

CLEAR = "\x1b[2J"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a plain name.mp4", "a plain name.mp4"),
        ("Straße 日本 🎥", "Straße 日本 🎥"),
        (f"{CLEAR}x", "\\x1b[2Jx"),
        ("a\nb\rc\td\x00\x7f", "a\\nb\\rc\\td\\x00\\x7f"),
        ("\x9b2J", "\\x9b2J"),  # the same command in one character
        ("gpj\u202e.mp4", "gpj\\u202e.mp4"),  # shown as 4pm.jpg
        ("a\u2028b", "a\\u2028b"),
        ("\udcff", "\\udcff"),  # a byte of a file's name that is no UTF-8
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_moves_a_terminal_is_spelt_out(text: str, said: str) -> None:
    assert shown(text) == said
    assert shown(said) == said


def test_notes_tables_and_errors_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    note(f"video {CLEAR} is damaged")
    print(table([("name", "AUC"), (f"{CLEAR}fall", "0.9")]))
    assert main(["detect", f"{CLEAR}.mp4", "--model", f"{CLEAR}run", "--out", "x"]) == 2
    with pytest.raises(SystemExit):
        main(["detect", "a.mp4", "--model", "m", "--out", "x", f"--{CLEAR}"])
    said = capsys.readouterr()
    assert "\x1b" not in said.err
    assert "\x1b" not in said.out
    assert said.err.count("\\x1b[2J") >= 2


def test_a_library_logs_one_of_a_kind_a_minute() -> None:
    quiet = pytest.importorskip("refinevad.apps.service.quiet", reason="the service needs the extra `service`")
    now, written = [0.0], io.StringIO()
    logger = logging.Logger("a library")
    logger.addHandler(logging.StreamHandler(written))
    logger.addFilter(quiet.Sparingly(60.0, lambda: now[0]))

    def fail(text: str) -> None:
        try:
            raise ValueError(text)
        except ValueError:
            logger.error("failed %s", CLEAR, exc_info=sys.exc_info())

    for number in range(1000):
        fail(f"{CLEAR}{number}")
        logger.warning("bad request from %s", f"10.0.0.{number}")
    first = written.getvalue()
    assert first.count("ValueError") == 2  # the line that raises, and what it said
    assert first.count("bad request") == 1
    assert "\x1b" not in first
    now[0] = 61.0
    logger.warning("something else")
    fail("again")
    assert "failed \\x1b[2J (999 more like it)" in written.getvalue()
    assert "something else\n" in written.getvalue()
