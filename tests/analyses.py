"""Stand-ins for the analysis of an uploaded file. They run in processes of their own, so nothing heavy is imported."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

RESULT = {
    "duration_s": 2.0,
    "threshold": 0.6,
    "events": [{"start_s": 0.5, "end_s": 1.0, "peak": 0.9, "peak_s": 0.7, "category": "fall", "categories": {}}],
    "notes": [],
    "curve": {"start_s": [0.0, 1.0], "end_s": [1.0, 2.0], "score": [0.9, 0.1]},
}


def analyse_at_once(path: str, run: str, pipe: Connection) -> None:
    """Half-way, then done; says which run it was given."""
    assert Path(path).is_file()
    pipe.send(("duration", 2.0))
    pipe.send(("progress", 0.5))
    pipe.send(("done", {**RESULT, "run": run}))


def analyse_for_ever(path: str, run: str, pipe: Connection) -> None:
    """Never comes to an end, as a decoder that hangs."""
    pipe.send(("progress", 0.1))
    time.sleep(600)


def analyse_and_crash(path: str, run: str, pipe: Connection) -> None:
    """Dies without a word, as a decoder that crashes."""
    os._exit(11)
