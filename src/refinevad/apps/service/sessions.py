"""Logins of browsers: a random cookie each, forgotten at logout, after a week, and where somebody ends it.

They are kept in storage, so that a restart logs nobody out; a look at one holds for some seconds, so that neither each
picture of a wall asks the database, nor a database that is away logs everybody out.
"""

import hashlib
import secrets
import threading
from dataclasses import replace

from refinevad.apps.live.clock import Anchor, Clock
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Login
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.access_token import TokenHash
from refinevad.apps.service.audit import By

COOKIE = "refinevad_session"
HOLDS_S = 5.0  # so long a look at a login, or at whether there are users, counts
_SEEN_EVERY_S = 300.0
_LONGEST = 200  # of a program's own description
_MOST = 2000  # looked at and held in memory


class Sessions:
    """The logins that count. Lengths are monotonic: setting the wall clock ends or lengthens none."""

    def __init__(self, store: Store, token: TokenHash | None, lasts_s: float) -> None:
        self._store, self._lasts_s = store, lasts_s
        self._clock: Clock = store.clock
        self._anchor = Anchor(store.clock)
        self._token = "" if token is None else _digest(token.stored())
        self._known: dict[str, tuple[float, Login]] = {}  # by digest: when it was looked at, monotonic
        self._lock = threading.Lock()

    def open(self, user: str | None, by: By) -> str:
        """A new login's secret; `user` None: by the token."""
        secret, now = secrets.token_urlsafe(32), self._now()
        token = self._token if user is None else ""
        agent = by.agent[:_LONGEST]
        login = Login(_digest(secret), user, "viewer", token, now, now, now + self._lasts_s, by.address[:100], agent)
        self._store.logins.add(login)
        return secret

    def find(self, secret: str) -> Login | None:
        """The login of a cookie, if it holds. Looking up a digest of 256 random bits tells a guesser nothing.

        Raises StorageError where the database is away and it was not looked at before.
        """
        if not secret:
            return None
        digest, now = _digest(secret), self._clock.monotonic()
        with self._lock:
            seen, login = self._known.get(digest, (0.0, None))
        if login is None or now - seen > HOLDS_S:
            try:
                login = self._look(digest, now)
            except StorageError:
                if login is None:
                    raise
        if login is None or login.ends <= self._now():
            return None
        return login if login.user is not None or login.token == self._token != "" else None

    def _look(self, digest: str, now: float) -> Login | None:
        login = self._store.logins.find(digest)
        with self._lock:
            self._known.pop(digest, None)
            if login is not None:
                self._known[digest] = (now, login)
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
        wall = self._now()
        if login is not None and wall - login.seen > _SEEN_EVERY_S:
            self._store.logins.see(digest, wall)
            login = replace(login, seen=wall)
        return login

    def valid(self, secret: str) -> bool:
        """Whether a login holds; True while that cannot be looked up."""
        try:
            return self.find(secret) is not None
        except StorageError:
            return True

    def close(self, secret: str) -> None:
        self.end(_digest(secret))

    def end(self, digest: str) -> bool:
        """End a login at once; whether there was one."""
        with self._lock:
            self._known.pop(digest, None)
        return self._store.logins.end(digest)

    def all(self, user: str | None = None) -> list[Login]:
        """Those that hold, the newest first."""
        return self._store.logins.all(self._now(), user)

    def end_all(self, user: str, but: str = "") -> None:
        """End a user's logins, but for the one with this secret."""
        self._store.logins.end_all(user, _digest(but) if but else "")
        self.forget()

    def forget(self) -> None:
        """Look at each login anew: a role has changed, or someone is gone."""
        with self._lock:
            self._known.clear()

    def _now(self) -> float:
        return self._anchor.wall(self._clock.monotonic())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
