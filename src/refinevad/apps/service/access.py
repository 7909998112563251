"""Who may come in: every request passes here before any route sees it.

- With a token, or users: `Authorization: Bearer TOKEN`, the cookie of a login, or the header in which a proxy that was
  named says who is logged in there. The page's own files, the login, and /healthz and /readyz, which tell nothing, are
  open; what follows holds for the login too. What each may do: roles.py.
- Without either only loopback is bound, and the Host must be a loopback name: a web page elsewhere that points its own
  name at 127.0.0.1 (DNS rebinding) is refused.
- A page of another site may make a browser ask for anything here, in a picture's address for example. Browsers say so
  (Sec-Fetch-Site), and such requests are refused. What costs much to answer must, where no token protects it, be asked
  for by our own page, by someone who typed the address, or with the header below.
- A browser sends cookies, and reaches loopback, on behalf of any page. So what changes something must carry the header
  `X-RefineVAD`, which no foreign page can send without asking first and being refused, and an Origin, where there is
  one, that is our own. Websockets, which need no asking, are held against their Origin. A bearer token needs neither:
  no browser adds it by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from math import ceil
from typing import Literal
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Role
from refinevad.apps.service.access_token import TokenHash, is_loopback
from refinevad.apps.service.audit import By
from refinevad.apps.service.bodies import refuse
from refinevad.apps.service.guesses import Guesses
from refinevad.apps.service.sessions import COOKIE, Sessions
from refinevad.apps.service.vouching import USER
from refinevad.apps.service.whoever import Whoever

GUARD = "x-refinevad"
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
OPEN_PATHS = frozenset(("/", "/favicon.ico", "/healthz", "/readyz", "/api/v1/session"))
OPEN_FOLDERS = ("/page/",)
COSTLY = frozenset(("/api/v1/labels.zip",))
Means = Literal["bearer", "cookie", "proxy", "local"]
Refusal = tuple[int, str, int | None]  # status, sentence, and after how many seconds to try again


@dataclass(frozen=True)
class Proof:
    """By what a request may come in, who is behind it (empty: nobody by name), and what they may do."""

    means: Means
    user: str
    role: Role


class AccessGate:
    """ASGI middleware that answers 401, 403 or 429 in the routes' place; 503 where nobody can be looked up."""

    def __init__(
        self, app: ASGIApp, token: TokenHash | None, sessions: Sessions, guesses: Guesses, whoever: Whoever
    ) -> None:
        self._app, self._token, self._sessions, self._guesses = app, token, sessions, guesses
        self._whoever = whoever

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            needed = self._token is not None or await run_in_threadpool(self._whoever.needed)
            proof = await self._proof(scope, headers, needed)
        except StorageError:
            proof, needed = (503, "storage cannot be reached; try again in a moment", None), True
        refusal = proof if isinstance(proof, tuple) else self._refusal(scope, headers, proof, needed)
        if refusal is None:
            scope["refinevad.session"] = session_of(headers)
            known = proof if isinstance(proof, Proof) else Proof("local", "", "viewer")
            said = proof.means if isinstance(proof, Proof) else "nothing"
            agent = headers.get("user-agent", "")
            scope["refinevad.by"] = By(host_of(scope), said, agent, known.user, known.role)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401 if refusal[0] == 401 else 4403, "reason": refusal[1]})
        else:
            status, sentence, again_s = refusal
            more = [] if again_s is None else [(b"retry-after", str(again_s).encode())]
            if status == 401:
                more.append((b"www-authenticate", b'Bearer realm="refinevad"'))
            await refuse(send, status, sentence, *more)

    def _refusal(self, scope: Scope, headers: Mapping[str, str], proof: Proof | None, needed: bool) -> Refusal | None:
        """Status and sentence where the request may not pass."""
        host, http = headers.get("host", ""), scope["type"] == "http"
        if not needed and not is_loopback(_name(host)):
            return 403, f"without a token the service answers to localhost alone, not to {host[:100]!r}", None
        if proof is None and not (http and _is_open(scope["path"])):
            return 401, "log in, or send Authorization: Bearer TOKEN", None
        means = None if proof is None else proof.means
        if means == "bearer":
            return None
        foreign = 403, "this request was made by a page of another origin", None
        site = headers.get("sec-fetch-site", "")
        if site in ("cross-site", "same-site") and not _is_page(scope):
            return foreign
        changes = http and scope["method"] not in SAFE
        costly = means == "local" and scope["path"] in COSTLY and site not in ("same-origin", "none")
        if http and not (changes or costly):
            return None
        if "origin" in headers and _place(headers["origin"]) != host:
            return foreign
        if http and GUARD not in headers:
            what = "what changes something" if changes else "without a token, what costs much"
            return 403, f"{what} must carry the header X-RefineVAD: 1", None
        return None

    async def _proof(self, scope: Scope, headers: Mapping[str, str], needed: bool) -> Proof | Refusal | None:
        """By what a request may come in; None: by nothing; a refusal while its address must wait, or nobody knows it.

        Raises StorageError where that cannot be looked up.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._token is not None and scheme.lower() == "bearer":
            host = host_of(scope)
            if (wait_s := self._guesses.wait_s(host)) > 0:
                return too_many(wait_s)
            if self._token.matches(given.strip()):
                self._guesses.was_right(host)
                return Proof("bearer", "", "admin")
            self._guesses.was_wrong(host)
            return None
        if not needed:
            return Proof("local", "", "admin")
        if vouched := scope.get(USER):
            user = await run_in_threadpool(self._whoever.find, vouched)
            if user is None:
                return 403, f"{vouched[:64]!r} is no user here; an admin adds them, without a password", None
            return Proof("proxy", user.name, user.role)
        session = session_of(headers)
        login = await run_in_threadpool(self._sessions.find, session) if session else None
        return None if login is None else Proof("cookie", login.user or "", login.role)


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


def _place(origin: str) -> str:
    """Host and port of an Origin header; empty where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_page(scope: Scope) -> bool:
    """The page itself, to which other sites may lead."""
    return scope["type"] == "http" and scope["path"] == "/" and scope["method"] in SAFE


def host_of(scope: Scope) -> str:
    """The client's address; empty where the server knows none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def too_many(wait_s: float) -> tuple[int, str, int]:
    """The refusal of an address that presented wrong tokens and must wait."""
    again_s = ceil(wait_s)
    return 429, f"too many wrong tokens or passwords came from this address; try again in {again_s} s", again_s
