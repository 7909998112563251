"""A camera's own threshold, from the hours in which nothing happened on it."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.clock import DAY_S
from refinevad.apps.live.storage.alert_rate import stretches
from refinevad.apps.live.storage.records import ReviewedEvent, ScoreCurve
from refinevad.apps.live.storage.store import Store
from refinevad.errors import InputError
from refinevad.scoring.events import Calibration, calibrate
from refinevad.timeline import Timeline

AROUND_EVENT_S = 30.0  # before and after a confirmed event the scene is not quiet yet, or not again
LONGEST_S = 31 * DAY_S
_PAGE = 1000  # events held at a time


def calibrate_camera(
    store: Store,
    camera: str,
    quiet: Sequence[tuple[float, float]],
    alerts_per_hour: float,
    scored_by: str = "",
    moved: Calibration | None = None,
    unseen: bool = True,
) -> tuple[Calibration, int]:
    """Calibration on stored scores in quiet stretches (Unix seconds), and how many events were cut out of them.

    `scored_by`: fingerprint of the model that the threshold is for; scores of others are left out. Without one it is
    the model that scored the newest of the stretches. `moved`: its calibration, whose threshold would be moved.

    Events that someone confirmed or relabelled did happen, whatever the stretch was called: they are left out.
    Those somebody was unsure of may have: they are left out, too. `unseen` False: so are those nobody has looked at.
    Dismissed and unreviewed ones stay: what the threshold must rise above.

    Raises:
        InputError: stretches that do not last, reach over more than 31 days, or hold no scores.
    """
    curves, left_out = quiet_curves(store, camera, quiet, scored_by, unseen)
    return calibrate(curves, alerts_per_hour, moved), left_out


def quiet_curves(
    store: Store, camera: str, quiet: Sequence[tuple[float, float]], scored_by: str = "", unseen: bool = True
) -> tuple[list[tuple[Float[np.ndarray, "_segment"], Timeline]], int]:
    """What `calibrate_camera` calibrates on: scores without a hole in them, with their times from 0.

    Raises:
        InputError: as `calibrate_camera`.
    """
    if any(not start < end for start, end in quiet):
        raise InputError("a quiet stretch must end after it starts")
    if sum(end - start for start, end in quiet) > LONGEST_S:
        raise InputError("quiet stretches reach over 31 days at most; name shorter ones")
    curves, left_out, others = [], set[str](), 0
    spans = _joined(quiet)
    scored_by = scored_by or next(filter(None, (store.scores.scorer(camera, *span) for span in spans[::-1])), "")
    for start, end in spans:
        curve = store.scores.between(camera, start, end, scored_by)
        others += curve.others
        keep = np.ones(len(curve.time), dtype=bool)
        for found in _events(store, camera, start - AROUND_EVENT_S, end + AROUND_EVENT_S, True if unseen else None):
            if found.review is None or found.review.verdict != "dismissed":
                left_out.add(found.event.id)
                late = curve.time > found.event.end + AROUND_EVENT_S
                keep &= late | (curve.time + curve.length_s < found.event.start - AROUND_EVENT_S)
        kept = ScoreCurve(
            curve.time[keep], curve.length_s[keep], curve.score[keep], curve.category_names, curve.categories[keep]
        )
        curves += [(kept.score[part], _from_zero(timeline)) for part, timeline in stretches(kept)]
    if not curves and others:
        raise InputError(
            f"the scores of camera {camera!r} in these hours are another model's; wait until the one in force has some"
        )
    if not curves:
        raise InputError(f"no scores are stored of camera {camera!r} in these hours; choose hours in which it was on")
    return curves, len(left_out)


def _events(store: Store, camera: str, start: float, end: float, reviewed: bool | None) -> Iterator[ReviewedEvent]:
    """All events that touch a stretch, a page at a time."""
    skip = 0
    while page := store.events.find(camera=camera, start=start, end=end, reviewed=reviewed, limit=_PAGE, skip=skip):
        skip += len(page)
        yield from page


def _from_zero(timeline: Timeline) -> Timeline:
    """A stretch of wall time as a video of its own: it lasts as long, and begins at 0."""
    return Timeline(timeline.frame_bounds, timeline.time_bounds - timeline.time_bounds[0])


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping stretches as one, so that no score counts twice."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
