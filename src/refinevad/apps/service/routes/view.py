"""A camera's stream as it comes, over a websocket: fragmented MP4 that a page plays with Media Source Extensions."""

import asyncio
from collections import deque
from contextlib import suppress

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from refinevad.apps.live.capture.messages import Fragment, ViewBegun
from refinevad.apps.service.context import Context
from refinevad.apps.service.routes.live import LOGGED_OUT, MOST_MESSAGES, TOO_MUCH
from refinevad.errors import InputError

router = APIRouter()
UNKNOWN, TOO_SLOW = 4404, 4408
MOST_WAITING_BYTES = 8 << 20  # of one client: about 10 s of 6 Mbit/s


class Screen:
    """What waits for one client. One that takes it too slowly is dropped: it may begin anew."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most_bytes: int = MOST_WAITING_BYTES) -> None:
        self._loop, self._most_bytes = loop, most_bytes
        self._waiting: deque[ViewBegun | Fragment] = deque()
        self._bytes = 0
        self._ready = asyncio.Event()
        self.slow = asyncio.Event()

    def take(self, news: ViewBegun | Fragment) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._put, news)

    def _put(self, news: ViewBegun | Fragment) -> None:
        if self.slow.is_set():
            return
        self._bytes += len(news.data) if isinstance(news, Fragment) else 0
        if self._bytes > self._most_bytes:
            self._waiting.clear()
            self.slow.set()
        else:
            self._waiting.append(news)
        self._ready.set()

    async def next(self, timeout_s: float) -> list[ViewBegun | Fragment]:
        """What waits; nothing after `timeout_s`."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except TimeoutError:
            return []
        self._ready.clear()
        news, self._bytes = list(self._waiting), 0
        self._waiting.clear()
        return news


@router.websocket("/ws/cameras/{name}")
async def view(socket: WebSocket, name: str) -> None:
    """`begin` (codec, width, height; `reason`: it cannot be shown so), then binary pieces of MP4; `ping` in between.

    Closed with 4408 where the client takes less than comes, 4404 where no camera of that name is watched.
    """
    here: Context = socket.app.state.context
    await socket.accept()
    screen = Screen(asyncio.get_running_loop())
    try:
        leave = here.watch.engine.view(name, screen.take)
    except InputError:
        await socket.close(UNKNOWN, "no such camera is watched")
        return
    tasks = {asyncio.create_task(_send(socket, here, screen)), asyncio.create_task(screen.slow.wait())}
    tasks.add(asyncio.create_task(_until_gone(socket)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if screen.slow.is_set():
            with suppress(RuntimeError, WebSocketDisconnect):
                await asyncio.wait_for(socket.close(TOO_SLOW, "more comes than is taken"), 1.0)
    finally:
        leave()
        for task in tasks:
            task.cancel()


async def _until_gone(socket: WebSocket) -> None:
    for _ in range(MOST_MESSAGES):
        if (await socket.receive())["type"] == "websocket.disconnect":
            return
    await socket.close(TOO_MUCH, "nothing is expected from a client")


async def _send(socket: WebSocket, here: Context, screen: Screen) -> None:
    session = socket.scope.get("refinevad.session", "")
    with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: the socket was closed while we sent
        while True:
            news = await screen.next(here.settings.heartbeat_s)
            if session and here.settings.token is not None and not here.sessions.valid(session):
                await socket.close(LOGGED_OUT, "logged out")
                return
            for one in news:
                if isinstance(one, Fragment):
                    await socket.send_bytes(one.data)
                else:
                    await socket.send_json({"type": "begin", **vars(one)})
            if not news:
                await socket.send_json({"type": "ping"})
