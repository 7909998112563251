"""The websocket: what happens, to whom, and to clients that are slow."""

from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from starlette.websockets import WebSocketDisconnect

from refinevad.apps.live.clock import iso
from refinevad.apps.live.envelope import make_envelope
from refinevad.apps.service.feed import CLIENT_MESSAGES, Client
from service_house import BEARER, NOON, OURS, TOKEN, House


def test_the_websocket_says_what_happens(house: House) -> None:
    with house.client.websocket_connect("ws://localhost:8600/ws") as socket:
        hello = socket.receive_json()
        assert hello["type"] == "hello"
        assert hello["time"] == iso(NOON)
        assert [camera["name"] for camera in hello["cameras"]] == ["door"]
        socket.send_bytes(b"nobody asked")  # is not minded
        house.clock.advance(60.0)
        assert socket.receive_json() == {"type": "ping", "time": iso(NOON + 60)}
        house.engine.say_score("door", NOON + 10, 0.87654)
        said = next_but_pings(socket)
        assert said == {"type": "scores", "camera": "door", "scores": [[iso(NOON + 10), 0.64, 0.8765]]}
        facts: Any = {
            "start": iso(NOON),
            "end": iso(NOON + 1),
            "peak": 0.9,
            "peak_time": iso(NOON),
            "category": "fall",
            "probabilities": {},
        }
        envelope = make_envelope("new", "door", "e9", None, facts, model="first", time=NOON)
        for listener in house.engine.listeners:
            listener.on_event(envelope)
        assert next_but_pings(socket) == {"type": "event", **envelope}
        house.add_event("e1")
        house.client.post("/api/v1/events/e1/reviews", json={"verdict": "dismissed"})
        assert next_but_pings(socket)["event"]["review"]["verdict"] == "dismissed"
        house.client.delete("/api/v1/cameras/door")
        assert next_but_pings(socket) == {"type": "cameras-changed", "camera": "door", "added": False}


def next_but_pings(socket: Any) -> dict[str, Any]:
    while (message := socket.receive_json())["type"] == "ping":
        pass
    return dict(message)


def test_the_websocket_asks_who_comes(locked: House) -> None:
    client = locked.client
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Cookie": "refinevad_session=guess"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://localhost:8600/ws", headers=headers):
            pass
    with client.websocket_connect("ws://localhost:8600/ws", headers=BEARER) as socket:
        assert socket.receive_json()["type"] == "hello"
    client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("ws://localhost:8600/ws", headers={"Origin": "http://evil.example"}),
    ):
        pass
    with client.websocket_connect("ws://localhost:8600/ws", headers={"Origin": "http://localhost:8600"}) as socket:
        assert socket.receive_json()["type"] == "hello"
        locked.clock.advance(8 * 86_400.0)  # the login ends while the socket is open
        while (message := socket.receive())["type"] != "websocket.close":
            assert message["type"] == "websocket.send"  # a ping that was on its way
        assert message["code"] == 4401


def test_a_slow_client_loses_the_oldest_and_is_told() -> None:
    import asyncio

    async def story() -> list[Any]:
        client = Client()
        for number in range(CLIENT_MESSAGES + 3):
            client.put({"number": number})
        return await client.take(1.0)

    told = asyncio.run(story())
    assert told[0] == {"type": "missed", "count": 3}
    assert told[1] == {"number": 3}
    assert len(told) == CLIENT_MESSAGES + 1
