"""Logging in and out with a browser."""

from fastapi import APIRouter, HTTPException, Request, Response

import refinevad
from refinevad.apps.service.access import session_of
from refinevad.apps.service.context import Here
from refinevad.apps.service.schemas import Login, SessionOut
from refinevad.apps.service.sessions import COOKIE

router = APIRouter(prefix="/session", tags=["session"])


@router.get("")
def get_session(here: Here, request: Request) -> SessionOut:
    """Whether a token is needed, and whether this browser has presented it."""
    return _told(here, session_of(request.headers))


@router.post("")
def log_in(here: Here, request: Request, response: Response, login: Login) -> SessionOut:
    """Present the token once; the answer sets a cookie that scripts cannot read and other sites cannot make use of."""
    if here.settings.token is not None:
        if not here.settings.token.matches(login.token.strip()):
            raise HTTPException(401, "this token is not the service's; copy it again")
        secret = here.sessions.open()
        response.set_cookie(
            COOKIE,
            secret,
            max_age=int(here.settings.session_s),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return _told(here, secret)
    return _told(here, "")


@router.delete("", status_code=204)
def log_out(here: Here, request: Request, response: Response) -> None:
    """Forget this login."""
    here.sessions.close(session_of(request.headers))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _told(here: Here, secret: str) -> SessionOut:
    needed = here.settings.token is not None
    return SessionOut(needed=needed, open=not needed or here.sessions.valid(secret), version=refinevad.__version__)
