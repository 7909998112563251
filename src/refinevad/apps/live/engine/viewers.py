"""Who watches which camera on a page: one stream from the camera's process, handed to all of them.

A process sends only while somebody watches. Who joins later gets the head and what has come since the newest keyframe;
so much is held for each camera that is watched, `MOST_BYTES` at most.
"""

import threading
from collections.abc import Callable

from refinevad.apps.live.capture.messages import Command, Fragment, Opened, View, ViewBegun
from refinevad.apps.live.engine.fleet import Died, News

MOST_BYTES = 16 << 20
Take = Callable[[ViewBegun | Fragment], None]


class _Watched:
    """One camera that is watched."""

    def __init__(self) -> None:
        self.viewers: list[Take] = []
        self.begun: ViewBegun | None = None
        self.head: Fragment | None = None
        self.since: list[Fragment] = []  # from the newest keyframe on; empty where there were too many
        self.bytes = 0

    def hold(self, news: ViewBegun | Fragment) -> None:
        """Keep what the next one who joins needs."""
        if isinstance(news, ViewBegun):
            self.begun, self.head, self.since, self.bytes = news, None, [], 0
        elif self.head is None:
            self.head = news
        else:
            if news.keyframe:
                self.since, self.bytes = [], 0
            if news.keyframe or self.since:
                self.since.append(news)
                self.bytes += len(news.data)
            if self.bytes > MOST_BYTES:
                self.since, self.bytes = [], 0


class Viewers:
    """See the module's text. Safe to share between threads; viewers are called on the fleet's thread, and must return
    at once."""

    def __init__(self, command: Callable[[str, Command], None]) -> None:
        self._command, self._watched, self._lock = command, dict[str, _Watched](), threading.Lock()

    def join(self, camera: str, take: Take) -> Callable[[], None]:
        """Hand a camera's stream to `take` from now on; returns the function that ends it."""
        with self._lock:
            first = camera not in self._watched
            watched = self._watched.setdefault(camera, _Watched())
            if watched.begun is not None:
                take(watched.begun)
            if watched.head is not None:
                for fragment in (watched.head, *watched.since):
                    take(fragment)
            watched.viewers.append(take)
        if first:
            self._command(camera, View(True))

        def leave() -> None:
            with self._lock:
                if take not in watched.viewers:
                    return
                watched.viewers.remove(take)
                last = not watched.viewers and self._watched.get(camera) is watched
                if last:
                    del self._watched[camera]
            if last:
                self._command(camera, View(False))

        return leave

    def hear(self, camera: str, news: News) -> bool:
        """Take what came from a camera's process; whether it was meant for viewers alone."""
        if isinstance(news, Opened | Died | ViewBegun | Fragment):
            with self._lock:
                watched = self._watched.get(camera)
                if watched is not None and isinstance(news, ViewBegun | Fragment):
                    watched.hold(news)
                    for take in watched.viewers:
                        take(news)
            if watched is not None and isinstance(news, Opened):  # perhaps of another process, which does not know
                self._command(camera, View(True))
        return isinstance(news, ViewBegun | Fragment)
