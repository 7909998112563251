"""The model in force, and swapping it for another RUN of the same folder."""

from pathlib import Path

from fastapi import APIRouter

from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import ModelChange, ModelOut
from refinevad.checkpoint import CALIBRATION, CONFIG, WEIGHTS
from refinevad.errors import InputError
from refinevad.run_folder import read_run

router = APIRouter(prefix="/model", tags=["model"])


@router.get("", **needs("viewer"))
def get_model(here: Here) -> ModelOut:
    return _told(here)


@router.put("", **needs("admin"))
def swap_model(here: Here, who: Who, change: ModelChange) -> ModelOut:
    """Watch with another RUN from now on, and after a restart; open events end, and streams stay connected."""
    chosen = _choices(here).get(change.run)
    if chosen is None:
        raise InputError(f"no run is called {change.run!r}; choose one of {', '.join(_choices(here)) or 'none'}")
    before = here.watch.model
    here.watch.swap_model(chosen)
    here.audit.add(who, "model swapped", change.run, before=None if before is None else before.name)
    return _told(here)


def _choices(here: Context) -> dict[str, Path]:
    """Finished runs that lie beside the model the service was started with."""
    if here.settings.runs is None:
        return {}
    whole = (path.parent for path in sorted(here.settings.runs.glob(f"*/{WEIGHTS}")))
    return {path.name: path for path in whole if (path / CONFIG).exists() and (path / CALIBRATION).exists()}


def _told(here: Context) -> ModelOut:
    run, choices = here.watch.model, list(_choices(here))
    if run is None:
        return ModelOut(
            run=None, encoder=None, categories=[], threshold=None, alerts_per_hour=None, certified=None, choices=choices
        )
    facts = read_run(run)
    return ModelOut(
        run=run.name,
        encoder=facts.encoder,
        categories=list(facts.model.categories),
        threshold=facts.calibration.threshold,
        alerts_per_hour=facts.calibration.alerts_per_hour,
        certified=facts.calibration.certified,
        choices=choices,
    )
