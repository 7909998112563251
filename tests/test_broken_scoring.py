"""A thread that scores and breaks off: nothing is looked at any more, and whoever asks is told."""

import threading
from pathlib import Path

import pytest

from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.engine.scoring import Scoring


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_says_that_it_scores_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(self: Scoring) -> None:
        raise RuntimeError("a fault of ours")

    engine = Engine(EngineOptions(), media=tmp_path)
    assert engine.broken is None
    monkeypatch.setattr(Scoring, "_round", breaks)
    engine.start()
    try:
        for thread in [thread for thread in threading.enumerate() if thread.name == "scoring"]:
            thread.join(20)
        assert engine.broken == "scoring broke off, and no camera is looked at: start again"
    finally:
        engine.stop()
    # what hears the cameras has ended, too: else the process would wait for theirs for ever
    assert not [thread for thread in threading.enumerate() if thread.name == "fleet" and thread.is_alive()]
