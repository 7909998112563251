"""Websocket clients that mean harm: real sockets, a real process."""

from contextlib import ExitStack, suppress
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from patience import patience
from refinevad.apps.service.protocols import _MOST_FRAGMENTS
from refinevad.apps.service.routes.live import MOST_MESSAGES
from service_process import Serving
from test_service_network import Start


def websocket(service: Serving, **options: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{service.port}/ws"
    return connect(address, open_timeout=patience(30), close_timeout=5, **options)


def closing_code(socket_: ClientConnection) -> int:
    """Reads what comes until the service closes, and with which code it does."""
    with suppress(ConnectionClosed):
        while True:
            socket_.recv(patience(30))
    assert socket_.close_code is not None
    return socket_.close_code


def test_websocket_messages_are_bounded_in_size_pieces_and_number(serving: Start) -> None:
    service = serving()
    with websocket(service) as large:
        large.send("x" * 4097)
        assert closing_code(large) == 1009
    with websocket(service) as pieces:
        # one piece too many, none behind it: what lies unread when a socket is closed resets it, and the code is lost
        pieces.socket.sendall(b"\x02\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * _MOST_FRAGMENTS)
        assert closing_code(pieces) == 1009
    with websocket(service) as many:
        with suppress(ConnectionClosed):
            for _ in range(MOST_MESSAGES):
                many.send("x" * 4096)
        assert closing_code(many) == 1008
    with websocket(service) as wrong:
        wrong.socket.sendall(b"\x81\x82\x00\x00\x00\x00\xff\xfe")  # text that is no UTF-8
        assert closing_code(wrong) == 1007
    with websocket(service) as fine:
        assert '"hello"' in str(fine.recv(patience(30)))
    assert "Traceback" not in service.said()
    assert service.said().count("\n") == 2  # which model speaks, and how the first admin is made


def test_websockets_leave_room_for_requests(serving: Start) -> None:
    service = serving("--connections", 40, "--connections-each", 40)
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(websocket(service))
        with pytest.raises(InvalidStatus) as refused:
            websocket(service)
        assert refused.value.response.status_code == 503
        assert service.ask("GET /healthz")[0] == 200


def test_who_takes_nothing_is_left(serving: Start) -> None:
    """Pings are answered into memory only as long as the answers are taken."""
    service = serving()
    before = service.memory_mb()
    with websocket(service) as deaf:
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        deaf.socket.setblocking(False)  # its own thread reads no more
        sent = 0
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(2000):
                sent += deaf.socket.send(ping * 100)
        assert service.memory_mb() - before < 20
    assert service.ask("GET /healthz")[0] == 200
