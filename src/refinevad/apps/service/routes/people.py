"""Who may come in: users, and the browsers that are logged in."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request

from refinevad.apps.service.access import session_of
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.passwords import hash_password
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import LoginOut, NewUser, UserChange, UserOut

router = APIRouter(tags=["people"])


@router.get("/users", **needs("admin"))
def list_users(here: Here) -> list[UserOut]:
    """In order of name."""
    return [UserOut.of(user) for user in here.store.people.all()]


@router.post("/users", status_code=201, **needs("admin"))
def add_user(here: Here, who: Who, new: NewUser) -> UserOut:
    """The first one must be an admin; from then on everybody has to log in."""
    hashed = None if new.password is None else hash_password(new.password)
    user = here.store.people.add(new.name, new.role, hashed)
    here.whoever.forget()
    here.audit.add(who, "user added", new.name, role=new.role, password=hashed is not None)
    return UserOut.of(user)


@router.patch("/users/{name}", **needs("admin"))
def change_user(here: Here, who: Who, name: str, change: UserChange) -> UserOut:
    """Another role, from now on, or another password, which ends their logins."""
    before = _user(here, name)
    if change.role is not None and change.role != before.role:
        here.store.people.set_role(name, change.role)
        here.audit.add(who, "role set", name, before=before.role, after=change.role)
    if change.password is not None:
        here.store.people.set_password(name, hash_password(change.password))
        here.sessions.end_all(name)
        here.audit.add(who, "password set", name)
    _look_anew(here)
    return _user(here, name)


@router.delete("/users/{name}", status_code=204, **needs("admin"))
def remove_user(here: Here, who: Who, name: str) -> None:
    """Their logins end; what they said of events stays."""
    _user(here, name)
    here.store.people.remove(name)
    _look_anew(here)
    here.audit.add(who, "user removed", name)


@router.get("/logins", **needs("viewer"))
def list_logins(here: Here, who: Who, request: Request, everyone: Annotated[bool, Query()] = False) -> list[LoginOut]:
    """The browsers that are logged in as you are; as an admin with `everyone`: all of them."""
    if everyone and who.role != "admin":
        raise HTTPException(403, "the logins of others are an admin's to see")
    mine = here.sessions.find(session_of(request.headers))
    found = here.sessions.all(None if everyone else who.user or None)
    return [
        LoginOut.of(login, mine is not None and login.digest == mine.digest)
        for login in found
        if everyone or (login.user or "") == who.user
    ]


@router.delete("/logins/{login_id}", status_code=204, **needs("viewer"))
def end_login(here: Here, who: Who, login_id: str) -> None:
    """End a login of your own; as an admin anybody's."""
    allowed = (each for each in here.sessions.all() if who.role == "admin" or (each.user or "") == who.user)
    login = next((each for each in allowed if each.digest[:16] == login_id), None)
    if login is None or not here.sessions.end(login.digest):
        raise HTTPException(404, "no such login; it may have ended")
    here.audit.add(who, "login ended", login.user or "by token", address=login.address)


def _user(here: Context, name: str) -> UserOut:
    user = here.store.people.find(name)
    if user is None:
        raise HTTPException(404, f"there is no user {name!r}")
    return UserOut.of(user)


def _look_anew(here: Context) -> None:
    here.sessions.forget()
    here.whoever.forget()
