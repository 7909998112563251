"""uvicorn's server with a door of its own: connections are counted before anything else is done with them.

asyncio's own accepts as many as come and, when descriptors run out, writes a traceback for each it could not take; its
TLS handshakes are not counted either. Here a socket counts from the moment it is accepted, room is made before
the next one is, and a shortage is one line of log and a pause.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

import uvicorn

from refinevad.apps.service.connections import Connection, Connections
from refinevad.apps.service.protocols import BoundedHTTP

BACKLOG = 128  # connections that the kernel holds until they are accepted
_AT_ONCE = 8  # accepted in a row, before what they send is looked at: fewer than make room for one another
_PAUSE_S = 0.5
_TOLD_EVERY_S = 60.0
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """Accepts connections on a listening socket while there is room."""

    def __init__(
        self,
        listening: socket.socket,
        connections: Connections,
        make: Callable[[Connection], BoundedHTTP],
        tell: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listening, self._connections, self._make = listening, connections, make
        self._tell, self._tls = tell, tls
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._told_at, self._told_of = float("-inf"), 0
        listening.setblocking(False)
        self._loop.add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening.fileno())
        for task in self._handshakes:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                if error.errno not in _SHORT:
                    raise
                self._wait(f"no descriptors are left ({error.strerror}): connections wait")
                return
            accepted.setblocking(False)
            connection = self._connections.add(str(address[0]), accepted.close)
            if connection is None:
                accepted.close()
                continue
            task = self._loop.create_task(self._serve(accepted, connection))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)
        self._tell_of_crowd()

    async def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        if connection.closed:  # it had to make room before its turn came
            return
        agreeing = asyncio.current_task()
        assert agreeing is not None
        connection.drop = agreeing.cancel
        limit_s = self._connections.limits.header_s if self._tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make(connection), accepted, ssl=self._tls, ssl_handshake_timeout=limit_s
            )
        except (OSError, TimeoutError, asyncio.CancelledError):  # no TLS was agreed upon, or it had to make room
            self._connections.remove(connection)
            accepted.close()

    def _wait(self, reason: str) -> None:
        """Accept nothing for a moment."""
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(_PAUSE_S, self._go_on)
        self._say(reason)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _tell_of_crowd(self) -> None:
        fresh = self._connections.turned_away - self._told_of
        if fresh and self._say(f"too many connections: {fresh} that sent nothing were closed or turned away"):
            self._told_of += fresh

    def _say(self, sentence: str) -> bool:
        now = self._loop.time()
        if now - self._told_at < _TOLD_EVERY_S:
            return False
        self._told_at = now
        self._tell(sentence)
        return True


class Server(uvicorn.Server):
    """uvicorn's, which serves what comes in at the door."""

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        tell: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(config)
        self._connections, self._tell, self._tls = connections, tell, tls
        self._doors: list[Door] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])

        def make(connection: Connection) -> BoundedHTTP:
            return BoundedHTTP(self.config, self.server_state, self.lifespan.state, self._connections, connection)

        self._doors = [Door(each, self._connections, make, self._tell, self._tls) for each in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for door in self._doors:
            door.close()
        await super().shutdown(sockets=sockets)
