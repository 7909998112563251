"""What the engine tells reaches storage: scores under the model that gave them, also over a swap."""

from pathlib import Path

import numpy as np

from live_cases import START, open_store
from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.engine.live_model import ModelShelf
from refinevad.apps.live.settings.config import LiveConfig
from refinevad.apps.live.status import ScoreBatch
from refinevad.apps.live.storage.records import ScoreRow
from watch_cases import checkpoint


def batch(model: str, fingerprint: str, start: float, score: float) -> ScoreBatch:
    rows = tuple(ScoreRow(START + start + second, 1.0, score, (0.5,)) for second in range(3))
    return ScoreBatch("door", model, ("fall",), rows, fingerprint)


def test_scores_before_a_swap_are_written_as_the_first_model_s(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    delivery = Delivery.open(LiveConfig((), media=tmp_path / "media", outbox=tmp_path / "outbox.db"), store)
    delivery.on_scores(batch("runs/a", "1" * 64, 0.0, 0.9))
    delivery.on_scores(batch("runs/a", "2" * 64, 3.0, 0.1))  # trained again into the same folder
    delivery.stop()
    for fingerprint, score in (("1" * 64, 0.9), ("2" * 64, 0.1)):
        curve = store.scores.between("door", START, START + 9.0, fingerprint)
        np.testing.assert_allclose(curve.score, [score] * 3, rtol=1e-6)
        assert curve.others == 3
    store.close()


def test_a_fingerprint_is_of_weights_categories_and_window(tmp_path: Path) -> None:
    """Not of the folder's name, nor of the thresholds: scores are the same whatever they are held against."""
    from fakes import replaced

    with replaced():
        checkpoint().save(tmp_path / "a")
        checkpoint(0.9).save(tmp_path / "b")
        shelf, shorter = ModelShelf(6.4, 1.28), ModelShelf(3.2, 1.28)
        first = shelf.open(tmp_path / "a")
        assert len(first.fingerprint) == 64
        assert shelf.open(tmp_path / "b").fingerprint == first.fingerprint
        assert shorter.open(tmp_path / "a").fingerprint != first.fingerprint
        assert shelf.open(tmp_path / "a") is first
        checkpoint(0.3).save(tmp_path / "a")  # calibrated anew: opened anew
        assert shelf.open(tmp_path / "a").checkpoint.calibration.threshold == 0.3
