"""What people may do: each route states the least role it needs, holds requests to it, and says so in OpenAPI.

    viewer     looks: cameras, scores, events, clips
    reviewer   says what events were, analyses files, takes labels away
    admin      changes cameras, thresholds, the model, where events go, and who may come in

A bearer token, and this machine where nobody needs to log in, may do everything.
"""

from typing import Any, Literal, get_args

from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from refinevad.apps.live.storage.records import Role

ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
Need = Literal["anyone", "viewer", "reviewer", "admin"]


def needs(role: Need, **openapi: Any) -> dict[str, Any]:
    """Keywords of a route's decorator: `@router.get("", **needs("viewer"))`. `openapi`: more of its description."""
    said = {"openapi_extra": {"x-role": role, **openapi}}
    if role == "anyone":
        return said
    return {**said, "dependencies": [Depends(_Holder(role))]}


class _Holder:
    """A dependency that answers 403 where the role that the gate found is less than this one."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def __call__(self, connection: HTTPConnection) -> None:
        by = connection.scope["refinevad.by"]
        if ROLES.index(by.role) < ROLES.index(self._role):
            raise HTTPException(403, f"this needs the role {self._role}; {by.user or 'this login'} is {by.role}")
