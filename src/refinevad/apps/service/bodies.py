"""Request bodies: small ones are read whole before any route sees the request, and nothing larger is read at all.

Only an upload (routes/jobs.py) takes a large body; it counts its own bytes while it writes them to disk.
"""

import asyncio
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 65_536  # of every request but an upload; the largest document of the API takes a tenth of it
BODY_S = 15.0  # a body has come by then, or never will
UPLOAD = ("POST", "/api/v1/jobs")


class BodyLimit:
    """ASGI middleware that answers 413 to a body over `MOST_BODY_BYTES`, stated or counted, 408 to one that lingers.

    What it holds of a request is bounded by the limit; what a client goes on sending is dropped by the server.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BODY_BYTES, body_s: float = BODY_S) -> None:
        self._app, self._most_bytes, self._body_s = app, most_bytes, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) == UPLOAD:
            await self._app(scope, receive, send)
            return
        too_large = f"a request's body holds at most {self._most_bytes // 1024} kB; only uploads may be larger"
        if _stated(scope) > self._most_bytes:
            await refuse(send, 413, too_large)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return  # nobody is there to be answered
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._most_bytes:
                        await refuse(send, 413, too_large)
                        return
        except TimeoutError:
            await refuse(send, 408, f"the request's body did not come within {self._body_s:g} s")
            return
        await self._app(scope, _replay(bytes(body), receive), send)


def _stated(scope: Scope) -> int:
    """The length that the request says its body has; 0 where it says none, or nothing that is one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """What was read, once; then what the server says, which is when the client leaves."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def refuse(send: Send, status: int, sentence: str, *more: tuple[bytes, bytes]) -> None:
    """Answer an HTTP request with {"detail": sentence} in the routes' place."""
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
