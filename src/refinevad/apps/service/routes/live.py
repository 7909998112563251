"""The websocket: scores, event changes, camera states and jobs as they come."""

import asyncio
from contextlib import suppress

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

import refinevad
from refinevad.apps.live.clock import iso
from refinevad.apps.service.context import Context
from refinevad.apps.service.feed import Client
from refinevad.apps.service.schemas import CameraOut

router = APIRouter()
LOGGED_OUT, TOO_MUCH = 4401, 1008
MOST_MESSAGES = 1000  # from one client: none is expected, and none is looked at


@router.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """First `hello` with all cameras, then what happens; `ping` after a while of silence. Nothing is expected back."""
    here: Context = socket.app.state.context
    await socket.accept()
    client = here.feed.join()
    sending = asyncio.create_task(_send(socket, here, client))
    try:
        for _ in range(MOST_MESSAGES):
            if (await socket.receive())["type"] == "websocket.disconnect":
                return
        await socket.close(TOO_MUCH, "nothing is expected from a client")
    finally:
        sending.cancel()
        here.feed.leave(client)


async def _send(socket: WebSocket, here: Context, client: Client) -> None:
    session = socket.scope.get("refinevad.session", "")
    with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: the socket was closed while we sent
        cameras = await run_in_threadpool(here.watch.cameras)
        documents = [CameraOut.of(camera).model_dump(mode="json") for camera in cameras]
        hello = {"type": "hello", "version": refinevad.__version__, "cameras": documents}
        await socket.send_json({**hello, "time": iso(here.store.clock.now())})
        while True:
            messages = await client.take(here.settings.heartbeat_s)
            if session and not await run_in_threadpool(here.sessions.valid, session):
                await socket.close(LOGGED_OUT, "logged out")
                return
            for message in messages:
                await socket.send_json(message)
            if not messages:
                await socket.send_json({"type": "ping", "time": iso(here.store.clock.now())})
