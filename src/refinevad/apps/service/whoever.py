"""Whether anybody has to log in, and who somebody is that a proxy vouches for."""

from refinevad.apps.live.storage.records import User
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.sessions import HOLDS_S


class Whoever:
    """The users, as each request asks for them. Safe to share between threads."""

    def __init__(self, store: Store, login: bool) -> None:
        """`login`: somebody has to, whatever is found. Once there are users it stays so until the program ends."""
        self._store, self._needed = store, login
        self._looked = float("-inf")
        self._known: dict[str, tuple[float, User]] = {}

    def needed(self) -> bool:
        """Whether there are users. Raises StorageError where that was never known."""
        now = self._store.clock.monotonic()
        if not self._needed and now - self._looked > HOLDS_S:
            self._needed = self._store.people.any()
            self._looked = now
        return self._needed

    def find(self, name: str) -> User | None:
        """A user by name, as of some seconds ago at most. Raises StorageError."""
        now = self._store.clock.monotonic()
        looked, user = self._known.get(name, (float("-inf"), None))
        if user is None or now - looked > HOLDS_S:
            user = self._store.people.find(name)
            if user is None:
                self._known.pop(name, None)
            else:
                self._known[name] = (now, user)
        return user

    def forget(self) -> None:
        """Somebody was added, changed or removed."""
        self._known.clear()
        self._looked = float("-inf")
