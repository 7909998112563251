"""The service under a soak, `refinevad serve` and nothing else: started, killed, asked, listened to and measured."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from server_programs import PATIENCE_S, listens
from soak_tally import Witness

LOOK_S = 1.0
STOP_S = 180.0


@dataclass
class Service:
    """`refinevad serve` on a port that stays the same."""

    config: Path
    run: Path
    port: int
    log: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    starts: int = field(default=0, init=False)

    def start(self) -> None:
        words = ["-m", "refinevad.apps.cli", "serve", "--config", str(self.config), "--model", str(self.run)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **self.env},
                start_new_session=True,
            )
        self.starts += 1
        until = time.monotonic() + PATIENCE_S
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the service did not come up; see {self.log}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the program alone: its camera processes must end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """However it is, it does not outlive the soak."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> tuple[int, float]:
        """SIGTERM, as an operator does; exit status and seconds it took. One that hangs says where, in its log."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER: each thread's stack
            self.process.wait()
        return self.process.returncode, time.monotonic() - began

    def ask(self, path: str, change: object = None) -> Any:
        """A document of the API; None where it does not answer. `change` is PUT."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"X-RefineVAD": "1"})
        if change is not None:
            request.method, request.data = "PUT", json.dumps(change).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def shown_at(self, camera: str) -> float | None:
        """Wall time of a camera's newest picture by the service, Unix seconds."""
        from refinevad.apps.live.clock import unix

        try:
            address = f"http://127.0.0.1:{self.port}/api/v1/cameras/{camera}/preview.jpg"
            with urllib.request.urlopen(address, timeout=30) as answer:
                return unix(answer.headers["x-refinevad-time"])
        except (urllib.error.URLError, OSError):
            return None

    def resident_mb(self) -> float | None:
        """Of the program itself, without its camera processes."""
        with suppress(OSError, IndexError):
            assert self.process is not None
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(status.split("VmRSS:")[1].split()[0]) / 1024
        return None

    def children(self) -> list[int]:
        """Processes of its cameras."""
        assert self.process is not None
        with suppress(OSError):
            tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
            return [int(word) for task in tasks for word in task.read_text().split()]
        return []

    def reader_of(self, file: Path) -> int | None:
        """The camera process that has a file open."""
        for child in self.children():
            with suppress(OSError):
                if any(link.resolve() == file for link in Path(f"/proc/{child}/fd").iterdir()):
                    return child
        return None


@dataclass
class Watcher:
    """Looks at the service every second: memory, and what must not change while a camera is live."""

    service: Service
    began: float
    breaks: Mapping[str, int]
    marks: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    memory: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    dropped: dict[tuple[int, str], int] = field(default_factory=dict)
    cpu_s: dict[int, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        start, at = self.service.starts, time.monotonic() - self.began
        resident = self.service.resident_mb()
        cameras = self.service.ask("/api/v1/cameras")
        all_live = bool(cameras) and len(names(cameras)) == len(cameras)
        if resident and (all_live or start in self.memory):  # from when all were live
            self.memory.setdefault(start, []).append((at, resident))
            with suppress(OSError, AssertionError):
                assert self.service.process is not None
                words = Path(f"/proc/{self.service.process.pid}/stat").read_text().rpartition(")")[2].split()
                self.cpu_s[start] = sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")
        for camera in cameras or ():
            mark = " ".join(str(camera[name]) for name in ("model", "reconnects", "frames_dropped"))
            mark = f"{start} {self.breaks[camera['name']]} {mark}" if camera["state"] == "live" else ""
            self.marks.setdefault(camera["name"], []).append((at, mark))
            self.dropped[start, camera["name"]] = camera["frames_dropped"]


@dataclass
class Journal:
    """The service's websocket, heard all the time; seconds of each `new` by camera, lengths of events that ended."""

    port: int
    began: float
    witness: Witness = field(default_factory=Witness)
    begun: dict[str, list[float]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    missed: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        while not self.over.is_set():
            with (
                suppress(OSError, WebSocketException, TimeoutError),
                connect(f"ws://127.0.0.1:{self.port}/ws", proxy=None, max_size=None) as socket,
            ):
                while not self.over.is_set():
                    self.hear(json.loads(socket.recv(timeout=60)))
            self.over.wait(0.1)

    def hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "missed":
            self.missed += message["count"]
        if message["type"] != "event":
            return
        self.witness.take(message)
        if message["kind"] == "new":
            self.begun.setdefault(message["camera"], []).append(time.monotonic() - self.began)
        self.odd += odd(message)


def odd(envelope: dict[str, Any]) -> list[str]:
    """What cannot be of an event's times, whatever the clock did: an end before its start, or longer than allowed."""
    lasted = envelope["after"]["end_s"] - envelope["after"]["start_s"]
    return [] if 0 <= lasted <= 125 else [f"{envelope['event_id']} {envelope['kind']}: lasted {lasted:.1f} s"]


def start_hook(port: int, witness: Witness) -> ThreadingHTTPServer:
    """A webhook that takes everything."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            witness.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Hook)
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    return server


def start_subscriber(port: int, witness: Witness) -> Any:
    """Hears every event at the broker, and what came while it was away: its session outlives the broker's end."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client: Any = Client(CallbackAPIVersion.VERSION2, client_id="soak", clean_session=False)
    client.on_connect = lambda *_: client.subscribe("refinevad/+/event", qos=1)
    client.on_message = lambda _client, _data, message: witness.take(json.loads(message.payload))
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def wait(condition: Callable[[], bool], seconds: float, step_s: float = 0.25) -> float | None:
    """Seconds until it held; None where it did not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(step_s)
    return None


def names(cameras: Sequence[dict[str, Any]] | None, state: str = "live") -> set[str]:
    return {camera["name"] for camera in cameras or () if camera["state"] == state}
