"""Logging in and out with a browser."""

from fastapi import APIRouter, HTTPException, Request, Response

import refinevad
from refinevad.apps.service.access import host_of, session_of, too_many
from refinevad.apps.service.context import Here, Who
from refinevad.apps.service.schemas import Login, SessionOut
from refinevad.apps.service.sessions import COOKIE

router = APIRouter(prefix="/session", tags=["session"])


@router.get("")
def get_session(here: Here, request: Request) -> SessionOut:
    """Whether a token is needed, and whether this browser has presented it."""
    return _told(here, session_of(request.headers))


@router.post("")
def log_in(here: Here, who: Who, request: Request, response: Response, login: Login) -> SessionOut:
    """Present the token once; the answer sets a cookie that scripts cannot read and other sites cannot make use of."""
    if here.settings.token is not None:
        host = host_of(request.scope)
        if (wait_s := here.guesses.wait_s(host)) > 0:
            status, sentence, again_s = too_many(wait_s)
            raise HTTPException(status, sentence, {"retry-after": str(again_s)})
        if not here.settings.token.matches(login.token.strip()):
            here.guesses.was_wrong(host)
            raise HTTPException(401, "this token is not the service's; copy it again")
        here.guesses.was_right(host)
        secret = here.sessions.open()
        here.audit.add(who, "logged in")
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
def log_out(here: Here, who: Who, request: Request, response: Response) -> None:
    """Forget this login."""
    secret = session_of(request.headers)
    if here.sessions.valid(secret):
        here.sessions.close(secret)
        here.audit.add(who, "logged out")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _told(here: Here, secret: str) -> SessionOut:
    needed = here.settings.token is not None
    return SessionOut(needed=needed, open=not needed or here.sessions.valid(secret), version=refinevad.__version__)
