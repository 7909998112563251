"""The service, sent what its own description allows and forbids: documents, raw requests, raw websocket frames."""

import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from fuzz import mutators
from refinevad.apps.live.settings.addresses import parse_address
from service_house import House

Read = Callable[[Path, int], str | None]
_VALUES = {"camera": "door", "name": "door", "event_id": "e1", "start": "2023-11-14", "end": "2023-11-15"}
_PATIENCE_S = 5.0


def no_example(_: Path) -> list[tuple[str, bytes]]:
    return [(".json", b"")]


def seed_of(random: Random, _: bytes) -> bytes:
    """A request is made where the service is; the file holds what it is made from."""
    return json.dumps(random.getrandbits(64)).encode()


def _house(folder: Path, **options: Any) -> House:
    house = House(folder / f"house-{time.monotonic_ns()}", **options)
    house.add_event("e1")
    return house


# -- documents, in process --------------------------------------------------------------------------------------------


def ask(folder: Path) -> Read:
    """One request a seed: method, path, parameters and body by the description, each spoilt now and then."""
    house = _house(folder)
    house.client.__enter__()
    house.client._transport.raise_server_exceptions = False  # type: ignore[union-attr]
    described = house.client.get("/api/v1/openapi.json").json()
    places = [
        (path, method, operation)
        for path, methods in sorted(described["paths"].items())
        for method, operation in sorted(methods.items())
    ]

    def read(path: Path, _: int) -> str | None:
        random = Random(json.loads(path.read_text()))
        if house.watch.find("door") is None:  # a request before this one removed it
            house.watch.add("door", parse_address("rtsp://10.0.0.5/a"), None)
        place, method, operation = random.choice(places)
        if random.random() < 0.1:
            method = random.choice(("get", "post", "put", "patch", "delete", "options", "head", "trace"))
        query = {}
        for parameter in operation.get("parameters", ()):
            value = _parameter(random, parameter["name"])
            if parameter["in"] == "path":
                place = place.replace("{" + parameter["name"] + "}", quote(value, safe="", errors="surrogatepass"))
            elif parameter["in"] == "query" and random.random() < 0.6:
                query[parameter["name"]] = value.encode("utf-8", "surrogatepass")
        body = _body(random, operation, described)
        headers = {"content-type": random.choice(("application/json",) * 8 + ("text/plain", "application/x-nothing"))}
        try:
            answer = house.client.request(method.upper(), place, params=query, content=body, headers=headers)
        except Exception as error:
            if "refinevad" in str(error.__traceback__):
                raise
            return None
        if answer.status_code >= 500 and answer.status_code not in (503, 507):
            asked = f"{method} {place} {query!r} {body[:200]!r}"
            return f"status {answer.status_code} of {asked} ({operation.get('operationId')}"
        return None

    return read


def _parameter(random: Random, name: str) -> str:
    if name in _VALUES and random.random() < 0.6:
        return _VALUES[name]
    if random.random() < 0.3:
        return str(random.choice((0, 1, 5, 100, 5000)))
    return random.choice(mutators.NUMBERS + mutators.TEXTS)[:6000]


def _body(random: Random, operation: dict[str, Any], described: dict[str, Any]) -> bytes:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return b"" if random.random() < 0.9 else b"x" * random.choice((1, 70_000))
    if "application/json" not in content:
        return random.choice((b"", b"no video", bytes(1000)))
    whole = _example(random, content["application/json"]["schema"], described)
    return json.dumps(whole).encode() if random.random() < 0.3 else mutators.dumped(random, whole)


def _example(random: Random, schema: dict[str, Any], described: dict[str, Any]) -> Any:
    """A document that the schema allows."""
    if "$ref" in schema:
        return _example(random, described["components"]["schemas"][schema["$ref"].rpartition("/")[2]], described)
    if "anyOf" in schema:
        return _example(random, random.choice(schema["anyOf"]), described)
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", ())
        return {
            name: _example(random, part, described)
            for name, part in schema.get("properties", {}).items()
            if name in wanted or random.random() < 0.5
        }
    if kind == "array":
        return [_example(random, schema["items"], described) for _ in range(random.randint(1, 3))]
    if kind == "string" and schema.get("format") == "date-time":
        return random.choice(("2023-11-14T22:13:20Z", "2023-11-15", "1999-12-31T23:59:59.999+14:00"))
    simple = {"string": ("door", "first", "rtsp://10.0.0.9/a"), "number": (0.5, 1), "integer": (1, 7)}
    return random.choice(simple.get(str(kind), (True, False, None)))


# -- bytes, over a socket ---------------------------------------------------------------------------------------------


def requests(_: Path) -> list[tuple[str, bytes]]:
    body = b'{"threshold": 0.5}'
    head = b"Host: 127.0.0.1\r\nX-RefineVAD: 1\r\nContent-Type: application/json\r\n"
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    chunked = b"Transfer-Encoding: chunked\r\n\r\n12\r\n" + body + b"\r\n0\r\n\r\n"
    return [
        (".http", b"GET /api/v1/events?limit=5 HTTP/1.1\r\n" + head + b"\r\n"),
        (".http", b"PATCH /api/v1/cameras/door HTTP/1.1\r\n" + head + length + body),
        (".http", b"PATCH /api/v1/cameras/door HTTP/1.1\r\n" + head + chunked),
        (".http", (b"GET /healthz HTTP/1.1\r\n" + head + b"\r\n") * 3),
        (".http", b"GET /page/app.js HTTP/1.0\r\nRange: bytes=0-10,20-30\r\n" + head + b"\r\n"),
        (".http", _handshake()),
    ]


def _handshake() -> bytes:
    names = (
        b"Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    return b"GET /ws HTTP/1.1\r\n" + names + b"\r\n"


def frames(_: Path) -> list[tuple[str, bytes]]:
    def frame(opcode: int, payload: bytes, last: bool = True) -> bytes:
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        return bytes([last << 7 | opcode]) + length + bytes(4) + payload

    return [
        (".frames", frame(1, b"hello") + frame(9, b"ping") + frame(8, struct.pack(">H", 1000) + b"bye")),
        (".frames", frame(2, bytes(300), last=False) + frame(0, bytes(300)) + frame(10, b"pong")),
        (".frames", frame(1, b"x" * 126) * 20),
        (".frames", frame(1, b"", last=False) + frame(0, b"", last=False) * 200),
    ]


def send(folder: Path) -> Read:
    return _sender(folder, b"")


def send_frames(folder: Path) -> Read:
    return _sender(folder, _handshake())


def _sender(folder: Path, first: bytes) -> Read:
    """Send a file's bytes to a server in this process, then ask whether it lives and whether anything was logged."""
    port, logged = _serve(_house(folder))

    def read(path: Path, _: int) -> str | None:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as client:
            try:
                if first:
                    client.sendall(first)
                    client.recv(4096)
                client.sendall(path.read_bytes())
                client.shutdown(socket.SHUT_WR)
                while client.recv(65_536):
                    pass
            except OSError:
                pass
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            if not client.recv(100).startswith(b"HTTP/1.1 200"):
                return "silence: healthz does not answer (healthz"
        if logged:
            said = logged[0]
            logged.clear()
            return f"logged: {said[:400]}"
        return None

    return read


class _Heard(logging.Handler):
    def __init__(self, logged: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._logged = logged

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._logged.append(f"{record.getMessage()} {error!r} ({record.filename}:{record.lineno}")


def _serve(house: House) -> tuple[int, list[str]]:
    from refinevad.apps.service.connections import Connections
    from refinevad.apps.service.running import _bind, _uvicorn
    from refinevad.apps.service.server import Server
    from refinevad.apps.service.settings import ServiceSettings

    settings, logged = ServiceSettings(house.folder), list[str]()
    listening = _bind("127.0.0.1", 0)
    server = Server(_uvicorn(house.app, settings), Connections(settings.connections), logged.append)
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(_Heard(logged))
    return int(listening.getsockname()[1]), logged
