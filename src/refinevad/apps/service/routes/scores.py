"""Stored scores: a day to draw, and the alert rate that each threshold would have given."""

from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query

from refinevad.apps.live.clock import DAY_S, iso
from refinevad.apps.live.storage.alert_rate import alert_rates
from refinevad.apps.service.context import Here, Stretch
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import CurveOut, RateOut, RatesOut, ScoresOut
from refinevad.scoring.events import EventRule

router = APIRouter(prefix="/cameras/{name}", tags=["scores"])
LONGEST_S = 7 * DAY_S
MOST_CURVES = 3  # of models that were in force before: more can be told apart by nobody
THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


@router.get("/scores", **needs("viewer"))
def scores(
    here: Here,
    name: str,
    span: Stretch,
    buckets: Annotated[int, Query(ge=1, le=5000)] = 1440,
    each_model: Annotated[bool, Query(description="the curves of the other models, too")] = False,
) -> ScoresOut:
    """Highest and mean score in each of `buckets` equal parts, by the newest model of the stretch."""
    found = here.store.scores.buckets(name, span.start, span.end, buckets)
    scorers = here.store.scores.scorers(name, span.start, span.end)
    others = []
    for scorer in scorers[1 : 1 + MOST_CURVES] if each_model else ():
        curve = here.store.scores.buckets(name, span.start, span.end, buckets, scorer.fingerprint)
        run, count = Path(scorer.run).name, int(curve.count.sum())
        others.append(CurveOut(run=run, highest=_numbers(curve.highest), segments=count))
    return ScoresOut(
        camera=name,
        start=iso(span.start),
        width_s=found.width_s,
        highest=_numbers(found.highest),
        mean=_numbers(found.mean),
        segments=int(found.count.sum()),
        other_models=found.others,
        run=Path(scorers[0].run).name if scorers else None,
        others=others,
    )


@router.get("/alert-rates", **needs("viewer"))
def rates(here: Here, name: str, span: Stretch) -> RatesOut:
    """How many events each of 99 thresholds would have opened on the scores of the model in force, by the live rule."""
    if span.end - span.start > LONGEST_S:
        raise HTTPException(422, "alert rates are counted over at most 7 days; name a shorter stretch")
    status, calibration = here.camera(name).status, here.watch.calibration(name)
    curve = here.store.scores.between(name, span.start, span.end, status.scored_by)
    found = alert_rates(curve, [EventRule.of(calibration.at(threshold)) for threshold in THRESHOLDS])
    return RatesOut(
        camera=name,
        start=iso(span.start),
        end=iso(span.end),
        hours=found[0].hours,
        threshold=status.threshold,
        other_models=curve.others,
        rates=[RateOut(threshold=rate.threshold, alerts=rate.alerts, per_hour=rate.per_hour) for rate in found],
    )


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
