"""benchmarks/kill_nine.py: rounds are killed for real, and what is missing is called lost."""

import json
import random
import runpy
from pathlib import Path

import pytest

from live_cases import envelope, open_store
from refinevad.apps.live.delivery.sinks.database import DatabaseSink
from refinevad.apps.live.delivery.sinks.folder import FolderSink

PATH = Path(__file__).parents[1] / "benchmarks" / "kill_nine.py"
SCRIPT = runpy.run_path(str(PATH))


def test_two_kills_lose_nothing(tmp_path: Path) -> None:
    outcome = SCRIPT["kill"](tmp_path, "", 2, 10.0, random.Random(1))
    assert outcome.rounds == 2
    assert outcome.begun >= 6  # two cameras, three starts
    assert outcome.begun == outcome.found
    assert (outcome.lost, outcome.alone) == ((), ())


@pytest.mark.parametrize("missing", ["storage", "folder", "end", "new"])
def test_what_is_missing_is_called_lost(tmp_path: Path, missing: str) -> None:
    store, tally = open_store(tmp_path), SCRIPT["Tally"]()
    database, kept = DatabaseSink("database", store), FolderSink("kept", tmp_path / "kept", store.media)
    for event in ("e1", "e2"):
        for kind in ("new", "end"):
            item = envelope(kind, event)  # type: ignore[arg-type]
            faulty = event == "e2"
            if not (faulty and missing == "new" and kind == "new"):
                tally.take(json.dumps(item))
            if not (faulty and (missing == "storage" or (missing == "end" and kind == "end"))):
                database.deliver(item)
            if not (faulty and missing == "folder"):
                kept.deliver(item)
    tally.take('{"kind": "ne')  # cut off
    store.close()
    outcome = SCRIPT["look"](tmp_path, f"sqlite:///{tmp_path / 'live.db'}", tally)
    if missing == "new":
        assert (outcome.lost, outcome.alone) == ((), ("e2",))
    else:
        assert (outcome.begun, outcome.found, outcome.lost, outcome.alone) == (2, 1, ("e2",), ())
