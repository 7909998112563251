"""What the engine tells, which comes on its thread, to websockets, which live on the event loop.

Each client has a bounded queue. A client that reads too slowly loses its oldest messages and is told how many, so that
it can ask for what it shows afresh; it never holds up the engine or another client.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from refinevad.apps.live.clock import iso
from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, ScoreBatch

CLIENT_MESSAGES = 500
Payload = Mapping[str, Any]


class Client:
    """One websocket's queue."""

    def __init__(self) -> None:
        self._waiting: deque[Payload] = deque()
        self._missed = 0
        self._ready = asyncio.Event()

    def put(self, message: Payload) -> None:
        if len(self._waiting) >= CLIENT_MESSAGES:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(message)
        self._ready.set()

    async def take(self, timeout_s: float) -> list[Payload]:
        """What waits; nothing after `timeout_s` of silence."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except TimeoutError:
            return []
        self._ready.clear()
        messages = list(self._waiting)
        self._waiting.clear()
        if self._missed:
            messages.insert(0, {"type": "missed", "count": self._missed})
            self._missed = 0
        return messages


class Feed:
    """All clients; a Listener of the engine."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """To be called on the event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        self._loop = None

    def join(self) -> Client:
        client = Client()
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        self._clients.discard(client)

    def publish(self, message: Payload) -> None:
        """Hand a message to all clients; from any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
                loop.call_soon_threadsafe(self._spread, message)

    def _spread(self, message: Payload) -> None:
        for client in self._clients:
            client.put(message)

    # --- as the engine's listener

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        self.publish({"type": "cameras-changed", "camera": camera.name, "added": added})

    def on_scores(self, batch: ScoreBatch) -> None:
        rows = [[iso(row.time), round(row.length_s, 4), round(row.score, 4)] for row in batch.rows]
        self.publish({"type": "scores", "camera": batch.camera, "scores": rows})

    def on_event(self, envelope: Envelope) -> None:
        self.publish({"type": "event", **envelope})

    def on_state(self, status: CameraStatus) -> None:
        health = [{"name": one.name, "since": iso(one.since), "text": one.text} for one in status.health]
        document = {"state": status.state, "trouble": status.reason or status.notice or None, "health": health}
        self.publish({"type": "state", "camera": status.name, **document})
