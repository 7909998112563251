"""Who may come in: every request passes here before any route sees it.

- With a token: `Authorization: Bearer TOKEN`, or the cookie of a login. The page's own files, the login, and
  /healthz and /readyz, which tell nothing, are open; what follows holds for the login too.
- Without one only loopback is bound, and the Host must be a loopback name: a web page elsewhere that points its own
  name at 127.0.0.1 (DNS rebinding) is refused.
- A browser sends cookies, and reaches loopback, on behalf of any page. So what changes something must carry the header
  `X-RefineVAD`, which no foreign page can send without asking first and being refused, and an Origin, where there is
  one, that is our own. Websockets, which need no asking, are held against their Origin. A bearer token needs neither:
  no browser adds it by itself.
"""

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Literal
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from refinevad.apps.live.tokens import TokenHash, is_loopback
from refinevad.apps.service.sessions import COOKIE, Sessions

GUARD = "x-refinevad"
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
OPEN_PATHS = frozenset(("/", "/favicon.ico", "/healthz", "/readyz", "/api/v1/session"))
OPEN_FOLDERS = ("/page/",)
Means = Literal["bearer", "cookie", "local"]


class AccessGate:
    """ASGI middleware that answers 401 or 403 in the routes' place."""

    def __init__(self, app: ASGIApp, token: TokenHash | None, sessions: Sessions) -> None:
        self._app, self._token, self._sessions = app, token, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            scope["refinevad.session"] = session_of(headers)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401 if refusal[0] == 401 else 4403, "reason": refusal[1]})
        else:
            await _answer(send, *refusal)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and sentence where the request may not pass."""
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name(host)):
            return 403, f"without a token the service answers to localhost alone, not to {host[:100]!r}"
        means = self._means(headers)
        if means is None and not (scope["type"] == "http" and _is_open(scope["path"])):
            return 401, "log in, or send Authorization: Bearer TOKEN"
        if means == "bearer":
            return None
        changes = scope["type"] == "http" and scope["method"] not in SAFE
        if not changes and scope["type"] == "http":
            return None
        if "origin" in headers and urlsplit(headers["origin"]).netloc != host:
            return 403, "this request was made by a page of another origin"
        if changes and GUARD not in headers:
            return 403, "what changes something must carry the header X-RefineVAD: 1"
        return None

    def _means(self, headers: Mapping[str, str]) -> Means | None:
        """By what a request proves that it may come in; None: by nothing."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._token is not None and scheme.lower() == "bearer":
            return "bearer" if self._token.matches(given.strip()) else None
        if self._token is None:
            return "local"
        session = session_of(headers)
        return "cookie" if session and self._sessions.valid(session) else None


def session_of(headers: Mapping[str, str]) -> str:
    """The login's secret in a Cookie header; empty where there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def _name(host: str) -> str:
    """A Host header without its port; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="refinevad"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
