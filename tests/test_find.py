"""The table of all events: written by detect, never doubled, read by find and by DuckDB."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cli_cases import call, error_of, leftovers
from refinevad.apps.archive import events_table
from refinevad.apps.archive.events_table import COLUMNS, EventsTable, read_events
from refinevad.detection.found import Detection
from refinevad.errors import InputError
from refinevad.scoring.events import Event
from refinevad.timeline import Timeline
from videos import film

pytest.importorskip("pyarrow", reason="pyarrow is not installed: refinevad[archive]")


def detection(video: str, *events: tuple[float, float, str, float]) -> Detection:
    """(start, end, category, peak) of each event, in ten seconds of video."""
    bounds = np.arange(11)
    return Detection(
        video=video,
        duration_s=10.0,
        frames=250,
        rate_hz=25.0,
        timeline=Timeline(bounds * 25, bounds.astype(float)),
        scores=np.zeros(10),
        categories=("fighting", "fall"),
        category_scores=np.zeros((10, 2)),
        events=tuple(
            Event(start_s=start, end_s=end, peak=peak, peak_s=start, category=kind, probabilities={kind: 1.0})
            for start, end, kind, peak in events
        ),
        threshold=0.5,
        low_threshold=0.4,
        alerts_per_hour=6.0,
        video_score=0.9,
        model={"run": "mine"},
    )


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Three videos, changed on the 1st, 2nd and 3rd of November at noon; the last one is quiet."""
    folder = tmp_path / "found"
    given = {
        "a.mp4": [(1.0, 2.0, "fighting", 0.95), (4.0, 5.0, "fall", 0.6)],
        "b.mp4": [(2.5, 3.5, "Fighting", 0.9)],
        "c.mp4": [],
    }
    with EventsTable(folder) as table:
        for day, (name, events) in enumerate(given.items(), start=1):
            video = tmp_path / name
            video.touch()
            noon = datetime(2026, 11, day, 12, tzinfo=UTC).timestamp()
            os.utime(video, (noon, noon))
            table.add(video, detection(name, *events), f"{video.stem}.json")
    return folder


def starts(found: Path, capsys: pytest.CaptureFixture[str], *options: object) -> list[float]:
    """Seconds at which what was found begins, in the order given."""
    capsys.readouterr()
    code = call("find", found, "--json", "-", *options)
    events = json.loads(capsys.readouterr().out)["events"]
    assert code == (0 if events else 1)
    return [event["start_s"] for event in events]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], [1.0, 2.5, 4.0]),
        (["--category", "fighting"], [1.0, 2.5]),
        (["--category", "fall", "--category", "FIGHTING"], [1.0, 2.5, 4.0]),
        (["--min-score", "0.9"], [1.0, 2.5]),
        (["--min-score", "0.91"], [1.0]),
        (["--after", "2026-11-02"], [2.5]),
        (["--after", "2026-11-02T14:00+02:00"], [2.5]),
        (["--after", "2026-11-02T12:00:01"], []),
        (["--before", "2026-11-02"], [1.0, 4.0]),
        (["--video", "b.m", "--category", "fall"], []),
    ],
)
def test_what_is_asked_for_is_found(
    options: list[str], wanted: list[float], found: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert starts(found, capsys, *options) == wanted


def test_a_table_for_people(found: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("find", found, "--most", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["video", "from", "s", "to", "s", "category", "score"],
        ["a.mp4", "1.0", "2.0", "fighting", "0.95"],
        ["b.mp4", "2.5", "3.5", "Fighting", "0.90"],
    ]
    assert lines[3:] == ["3 events, of which 2 are shown"]


def test_a_video_analysed_again_is_never_doubled(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EventsTable(found) as table:
        table.add(tmp_path / "a.mp4", detection("a.mp4", (9.0, 9.5, "fall", 0.5)), "a.json")
        table.add(tmp_path / "a.mp4", detection("a.mp4", (7.0, 8.0, "fall", 0.8)), "a.json")
    assert starts(found, capsys) == [2.5, 7.0]
    with EventsTable(found) as table:
        table.add(tmp_path / "b.mp4", detection("b.mp4"), "b.json")
    assert starts(found, capsys) == [7.0]
    assert leftovers(found) == []


def test_a_name_that_is_no_utf_8_is_kept_as_it_is_shown(tmp_path: Path) -> None:
    """A recorder's Latin-1: its bytes are no text, which is all that the table's columns hold."""
    video = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    video.write_bytes(b"")
    found = detection(video.name, (1.0, 2.0, "fall", 0.9))
    for _ in range(2):  # a second run replaces the first
        with EventsTable(tmp_path) as table:
            table.add(video, found, f"{video.stem}.json")
    rows = read_events(tmp_path / "events.parquet").to_pylist()
    assert [row["video"] for row in rows] == [f"{tmp_path}/caf\\udce9.mp4"]
    assert rows[0]["record"] == "caf\\udce9.json"


def test_what_was_found_before_a_stop_is_kept(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        with EventsTable(found) as table:
            table.add(tmp_path / "c.mp4", detection("c.mp4", (3.0, 4.0, "fall", 0.7)), "c.json")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert starts(found, capsys) == [1.0, 2.5, 3.0, 4.0]


def test_duckdb_reads_it(found: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    with duckdb.connect() as database:
        asked = f"select start_s, probabilities ->> 'fall' from '{found}/events.parquet' where category = 'fall'"
        assert database.sql(asked).fetchall() == [(4.0, "1.0")]


def test_detect_writes_it_and_says_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, out = film(tmp_path / "v.mp4", 60), tmp_path / "found"
    for _ in range(2):
        assert call("detect", video, "--model", "fighting", "--threshold", 0, "--no-report", "--out", out) == 0
    record = json.loads((out / "v.json").read_text())
    rows = read_events(out / "events.parquet").to_pylist()
    assert [(row["video"], row["record"]) for row in rows] == [(str(video), "v.json")] * len(record["events"])
    assert [row["start_s"] for row in rows] == [event["start_s"] for event in record["events"]]
    assert len(rows) >= 1


def test_what_is_no_such_table_is_one_sentence(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow
    from pyarrow import parquet

    other = tmp_path / "other"
    other.mkdir()
    parquet.write_table(pyarrow.table({"video": ["a"]}), other / "events.parquet")
    assert call("find", other) == 2
    assert "it has other columns" in error_of(capsys)
    with pytest.raises(InputError, match="is no table of events"), EventsTable(other) as table:
        table.add(tmp_path / "a.mp4", detection("a.mp4"), "a.json")
    (other / "events.parquet").write_bytes((found / "events.parquet").read_bytes()[:300])
    for bad in (other, tmp_path / "none"):
        assert call("find", bad) == 2
        assert "events.parquet" in error_of(capsys)
    for options in (("--after", "noon"), ("--min-score", "2"), ("--most", "0")):
        assert call("find", found, *options) == 2
        assert options[0] in error_of(capsys)
    monkeypatch.setattr(events_table, "can_write", lambda: False)
    assert call("find", found) == 2
    assert error_of(capsys).endswith("events.parquet needs pyarrow; pip install 'refinevad[archive]'")


def test_its_columns(found: Path) -> None:
    table = read_events(found / "events.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table["model"].unique().to_pylist() == ["mine"]
