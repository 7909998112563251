"""A new camera's threshold, learnt from its own quiet hours: what a run brings was set on minutes of other cameras.

While a camera has fewer than LEARN_HOURS of scores by the model in force, its threshold follows them, hour by hour: the
lowest one that keeps BUDGET_A_DAY, or twice the rate that so few hours can vouch for, so that one true event among them
moves nothing. With LEARN_HOURS it is learnt, and stays until the model, its masks or a person change it. Events that
someone confirmed are no quiet hours (quiet_hours.py). It moves within MOST_LOGITS of the run's own, either way. A
threshold that a person set is never touched, and a recording teaches nothing.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol, runtime_checkable

from refinevad.apps.live.clock import DAY_S, Clock
from refinevad.apps.live.repeating import repeating
from refinevad.apps.live.status import CameraStatus, Learning
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.quiet_hours import quiet_curves
from refinevad.apps.live.storage.store import Store
from refinevad.budget import BUDGET_A_DAY, LEARN_HOURS, vouched_per_hour
from refinevad.errors import InputError
from refinevad.scoring.events import Calibration, calibrate

LEAST_HOURS = 1.0  # before that nothing is moved
MOST_LOGITS = 3.0
EVERY_S = 3600.0
_LOOKED_BACK_S = 2 * DAY_S  # a camera may be away for a while
_MOVED = 1e-3  # of a threshold; less is not worth ending an event for


@runtime_checkable
class LearningEngine(Protocol):
    """What is asked of the engine (engine/engine.py)."""

    def learners(self) -> list[tuple[str, str, Calibration]]: ...

    def status(self, name: str) -> CameraStatus: ...

    def learn(self, name: str, scored_by: str, found: Learning) -> None: ...


class Learner:
    """Follows the cameras of an engine; `tell` is given a sentence for the operator."""

    def __init__(self, engine: LearningEngine, store: Store, clock: Clock, tell: Callable[[str], None]) -> None:
        self._engine, self._store, self._clock, self._tell = engine, store, clock, tell

    def look(self) -> None:
        """Look at each camera that has no threshold by hand. Raises StorageError."""
        for name, scored_by, own in self._engine.learners():
            try:
                learnt = self._learnt(name, scored_by, own)
                before = self._engine.status(name).threshold
                moved = abs(before - learnt.threshold) >= _MOVED
                learnt = learnt if moved else replace(learnt, threshold=before)
                self._engine.learn(name, scored_by, learnt)
                self._note(name, scored_by, learnt, moved)
            except InputError:  # it was removed meanwhile
                continue
            if moved:
                self._tell(
                    f"{name}: threshold {before:.4g} -> {learnt.threshold:.4g}, {learnt.state} of "
                    f"{learnt.quiet_hours:.1f} hours of its own"
                )

    def _note(self, name: str, scored_by: str, learnt: Learning, moved: bool) -> None:
        """Keep what is new: a threshold that moved, and that it is learnt now; not what a restart finds again."""
        last = next(iter(self._store.learnt.of(name, scored_by)[-1:]), None)
        same = last is not None and abs(last.threshold - learnt.threshold) < _MOVED
        over = last is not None and last.quiet_hours >= LEARN_HOURS
        if (moved and not same) or (learnt.state == "learnt" and not over):
            self._store.learnt.add(name, learnt.threshold, learnt.quiet_hours, scored_by)

    def _learnt(self, name: str, scored_by: str, own: Calibration) -> Learning:
        history = self._store.learnt.of(name, scored_by)
        if history and history[-1].quiet_hours >= LEARN_HOURS:
            return Learning("learnt", history[-1].threshold, history[-1].quiet_hours)
        now = self._clock.now()
        try:
            curves, _ = quiet_curves(self._store, name, [(now - _LOOKED_BACK_S, now)], scored_by)
        except InputError:  # it has no scores by this model yet
            return Learning("learning", own.threshold, 0.0)
        hours = sum(timeline.shown_s for _, timeline in curves) / 3600
        if hours < LEAST_HOURS:
            return Learning("learning", own.threshold, hours)
        rate = BUDGET_A_DAY / 24
        if hours < LEARN_HOURS:
            rate = max(rate, 2 * vouched_per_hour(hours))
        threshold = bounded(calibrate(curves, rate, own).threshold, own.threshold)
        return Learning("learnt" if hours >= LEARN_HOURS else "learning", threshold, hours)


def bounded(threshold: float, own: float) -> float:
    """A threshold within MOST_LOGITS of the run's own."""
    near = min(max(own, 1e-6), 1 - 1e-6)
    middle = math.log(near / (1 - near))
    low, high = (1 / (1 + math.exp(-(middle + step))) for step in (-MOST_LOGITS, MOST_LOGITS))
    return min(max(threshold, low), high)


def learning(learner: Learner, tell: Callable[[str], None], every_s: float = EVERY_S) -> AbstractContextManager[None]:
    """Look every hour, on a thread, beginning a moment after the cameras begin."""

    def look() -> None:
        try:
            learner.look()
        except StorageError as error:
            tell(f"learning thresholds waits: {error}")

    return repeating("learning", look, every_s, first_s=min(every_s, 60.0))
