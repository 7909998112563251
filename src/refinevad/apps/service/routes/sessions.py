"""Logging in and out with a browser, by the service's token or by name and password."""

from fastapi import APIRouter, HTTPException, Request, Response

import refinevad
from refinevad.apps.live.storage.records import Role
from refinevad.apps.service.access import host_of, session_of, too_many
from refinevad.apps.service.audit import By
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.passwords import hash_password, is_password
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import LogIn, PasswordChange, SessionOut
from refinevad.apps.service.sessions import COOKIE

router = APIRouter(prefix="/session", tags=["session"])


@router.get("", **needs("anyone"))
def get_session(here: Here, who: Who) -> SessionOut:
    """Whether a login is needed, and whose this browser's is."""
    return _told(here, who.user, None if who.means == "nothing" else who.role)


@router.post("", **needs("anyone"))
def log_in(here: Here, who: Who, request: Request, response: Response, login: LogIn) -> SessionOut:
    """Present token or password once; the answer sets a cookie that no script can read and no other site can use."""
    if here.settings.token is None and not here.whoever.needed():
        return _told(here, "", "admin")
    host = host_of(request.scope)
    _require_patience(here, host)
    user, role = _proven(here, host, login)
    here.guesses.was_right(host)
    secret = here.sessions.open(user, who)
    here.audit.add(By(who.address, who.means, who.agent, user or ""), "logged in")
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(here.settings.session_s),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _told(here, user or "", role)


@router.delete("", status_code=204, **needs("anyone"))
def log_out(here: Here, who: Who, request: Request, response: Response) -> None:
    """Forget this login."""
    secret = session_of(request.headers)
    if here.sessions.find(secret) is not None:
        here.sessions.close(secret)
        here.audit.add(who, "logged out")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.put("/password", status_code=204, **needs("viewer"))
def change_password(here: Here, who: Who, request: Request, wanted: PasswordChange) -> None:
    """Another password for whoever is logged in by name; their other logins end."""
    user = here.store.people.find(who.user) if who.user else None
    if user is None or user.password is None:
        raise HTTPException(400, "there is no password to change: this login is not by a name and its password")
    host = host_of(request.scope)
    _require_patience(here, host)
    if not is_password(user.password, wanted.old):
        here.guesses.was_wrong(host)
        raise HTTPException(403, "the old password is another one")
    here.store.people.set_password(user.name, hash_password(wanted.new))
    here.sessions.end_all(user.name, but=session_of(request.headers))
    here.audit.add(who, "password changed", user.name)


def _require_patience(here: Context, host: str) -> None:
    """Answers 429 to an address that presented too many wrong ones."""
    if (wait_s := here.guesses.wait_s(host)) > 0:
        status, sentence, again_s = too_many(wait_s)
        raise HTTPException(status, sentence, {"retry-after": str(again_s)})


def _proven(here: Context, host: str, login: LogIn) -> tuple[str | None, Role]:
    """Name and role of who logs in; of no name by the token. Answers 401 where it is wrong, 400 where there is none."""
    if login.token is not None and login.name is None and login.password is None:
        if here.settings.token is not None and here.settings.token.matches(login.token.strip()):
            return None, "admin"
        here.guesses.was_wrong(host)
        raise HTTPException(401, "this token is not the service's; copy it again")
    if login.token is not None or login.name is None or login.password is None:
        raise HTTPException(400, "log in by `token`, or by `name` and `password`")
    user = here.store.people.find(login.name)
    if user is None or user.password is None:
        is_password(None, login.password)  # takes as long as a wrong one
    elif is_password(user.password, login.password):
        return user.name, user.role
    here.guesses.was_wrong(host)
    raise HTTPException(401, "no user has this name and this password")


def _told(here: Context, user: str, role: Role | None) -> SessionOut:
    people = here.whoever.needed()
    return SessionOut(
        needed=here.settings.token is not None or people,
        open=role is not None,
        version=refinevad.__version__,
        user=user or None,
        role=role,
        people=people,
    )
