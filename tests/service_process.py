"""`refinevad serve` in a process of its own, without cameras, for tests with real sockets. Fixture: `serving`."""

import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from patience import patience

DESCRIPTORS = 1024  # what a login shell allows on most systems


@dataclass
class Serving:
    """A service that listens; what it says on stderr lies in `log`."""

    process: subprocess.Popen[str]
    address: str
    log: Path
    data: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def memory_mb(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def connect(self, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> socket.socket:
        """A connection from any loopback address: 127.0.0.2 is another client to the service."""
        plain = socket.create_connection(("127.0.0.1", self.port), patience(30), source_address=(source, 0))
        return tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain

    def ask(
        self, request: str, source: str = "127.0.0.1", body: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> tuple[int, str]:
        """Status and whole answer of one request, such as "GET /healthz"; lines after the first are headers."""
        first, *headers = request.split("\n")
        lines = [f"{first} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.connect(source, tls) as client:
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            return answer_of(client)


def answer_of(client: socket.socket) -> tuple[int, str]:
    """What comes until the server closes; status 0: nothing came."""
    answer = b""
    try:
        while part := client.recv(65_536):
            answer += part
    except ConnectionResetError:
        pass
    return (int(answer.split()[1]) if answer else 0), answer.decode("latin-1")


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """A function that starts services with more options, all ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: object) -> Serving:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        words = ["serve", "--data", folder / "data", "--port", 0, "--json", "-", *options]
        with (folder / "stderr.txt").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "refinevad.apps.cli", *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                preexec_fn=_few_descriptors,
            )
        started.append(process)
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) if process.poll() is None else ""
        assert said, (folder / "stderr.txt").read_text()
        return Serving(process, json.loads(said + "}")["address"], folder / "stderr.txt", folder / "data")

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience(30))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
