"""uvicorn's HTTP and websocket connections, bounded in time: what does not come, or is not taken, is not waited for."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from refinevad.apps.service.connections import Connection, Connections

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_MOST_FRAGMENTS = 64  # of one websocket message; empty ones cost a client nothing


class _Timer:
    """Calls something once, unless it is stopped first; starting it again while it runs changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], object]) -> None:
        self._loop, self._seconds, self._call = loop, seconds, call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class BoundedHTTP(H11Protocol):
    """One HTTP connection of `connections`. Its class attributes of the same name are uvicorn's."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        connections: Connections,
        connection: Connection,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._all, self._own = connections, connection
        limits = connections.limits
        self._header = _Timer(self.loop, limits.header_s, self._drop)
        self._stall = _Timer(self.loop, limits.stall_s, self._drop)
        self._linger = _Timer(self.loop, limits.linger_s, self._drop)
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = partial(BoundedWebSocket, connections=connections, connection=connection)  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._own.drop = transport.abort
        if self._own.closed:  # it had to make room while TLS was being agreed upon
            transport.abort()
            return
        self._header.start()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header, self._stall, self._linger):
            timer.stop()
        self._all.remove(self._own)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # refused before it had come: the rest is dropped for a while
            self._linger.start()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall.stop()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._header.stop()
        if not self._all.may_stay_open():
            self.transport.write(_BUSY)
            self.transport.close()
            return
        self._own.websocket = True
        self._all.wait(self._own, False)
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        """Whether this connection waits for a request, and if one has begun, since when."""
        if self._own.websocket:
            return
        between = self.cycle is None or self.cycle.response_complete
        self._all.wait(self._own, between)
        if not between or self.conn.their_state is not h11.IDLE:
            self._header.stop()
        elif self.conn.trailing_data[0] or self.cycle is None:
            self._header.start()
        else:
            self._header.stop()  # uvicorn's own timer ends what is idle
        if self.conn.their_state is not h11.SEND_BODY:
            self._linger.stop()

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One websocket of `connections`: a client that takes nothing is not read from, and left after a while."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        connections: Connections,
        connection: Connection,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._all, self._own = connections, connection
        self._stall = _Timer(self.loop, connections.limits.stall_s, self._drop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stall.stop()
        self._all.remove(self._own)
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > _MOST_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:  # uvicorn would log it, message and all
            self.frames = []
            self.conn.fail(1007, "text is UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self.read_paused:  # or every ping of its would be answered into memory
            self.transport.pause_reading()
        self._stall.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall.stop()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _drop(self) -> None:
        self.transport.abort()
