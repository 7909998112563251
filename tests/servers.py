"""Real servers for tests, started and ended by them: RTSP, MQTT, PostgreSQL, HTTP. Missing ones skip by name.

Fixtures: `rtsp` and `mosquitto` (factories), `postgres_url` (a fresh database), `postgres` (the server), `receiver`.
"""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patience import patience, wait_until

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from server_programs import Program, free_port

DEBIAN_PYTHON = Path("/usr/bin/python3")


# -- TLS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that vouches for itself; `both`: with its key in one file."""

    file: Path
    key: Path
    both: Path


def make_certificate(folder: Path) -> Certificate:
    """Made by openssl; skips where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "server.pem", folder / "key.pem", folder / "both.pem")
    command = [_find("openssl", ()), "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-days", "2"]
    files = ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    made.both.write_text(made.file.read_text() + made.key.read_text())
    return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("other"))


# -- MQTT -------------------------------------------------------------------------------------------------------------


def _broker(folder: Path, more: str = "") -> Iterator[Program]:
    binary = _find("mosquitto", ("/usr/sbin",))
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\n{more}")
    broker = Program((binary, "-c", str(settings)), port, patience_s=patience(30))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Program]:
    """A broker without persistence, running; it forgets what was retained when it is killed."""
    yield from _broker(tmp_path)


@pytest.fixture
def mosquitto_tls(tmp_path: Path, certificate: Certificate) -> Iterator[Program]:
    """The same behind TLS."""
    yield from _broker(tmp_path, f"certfile {certificate.file}\nkeyfile {certificate.key}\n")


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Program]:
    """A PostgreSQL server, running. It refuses to be root: then it runs as the user postgres or nobody."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    binary = _find("postgres", [str(path) for path in folders[::-1]])
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    user = _unprivileged()
    data = Path(tempfile.mkdtemp(prefix="refinevad-postgres-"))
    if user is not None:
        os.chown(data, user, -1)
    initdb = [str(Path(binary).with_name("initdb")), "-D", str(data), "-U", "refinevad", "-A", "trust", "--no-sync"]
    subprocess.run([*initdb, "-E", "UTF8", "--locale=C"], check=True, user=user, cwd="/", capture_output=True)
    port = free_port()
    settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", f"port={port}")
    server = Program(
        (binary, "-D", str(data), *(word for s in settings for word in ("-c", s))), port, user, patience(30)
    )
    server.start()
    wait_until(lambda: _admin(server, "SELECT 1"), "PostgreSQL")  # it listens before it serves
    yield server
    server.kill(signal.SIGQUIT)
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: Program) -> Iterator[str]:
    """URL of a fresh, empty database."""
    if postgres.process is None:
        postgres.start()
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    wait_until(lambda: _admin(postgres, f"CREATE DATABASE {name}"), "PostgreSQL")
    yield f"postgresql+psycopg://refinevad@127.0.0.1:{postgres.port}/{name}"
    if postgres.process is not None:
        _admin(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _admin(server: Program, statement: str) -> bool:
    """Whether the server could be told."""
    import psycopg

    try:
        address = f"host=127.0.0.1 port={server.port} user=refinevad dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())
    except psycopg.OperationalError:
        return False
    return True


def _unprivileged() -> int | None:
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return known.get("postgres", known.get("nobody"))


# -- HTTP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP endpoint. It answers with `answers` (status, headers) in turn, then with 204; it can be down."""

    port: int = field(default_factory=free_port)
    requests: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(Received(self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """An HTTP endpoint, running."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    endpoint = Receiver()
    endpoint.start()
    yield endpoint
    endpoint.stop()


# -- RTSP -------------------------------------------------------------------------------------------------------------


@dataclass
class RtspServer(Program):
    """Serves one stream."""

    scheme: str = "rtsp"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/stream"


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[Callable[..., RtspServer]]:
    """Start an RTSP server: rtsp() serves a test pattern (160 x 120, 25 a second), rtsp([mp4, ...]) H.264 in a loop.

    Options: `spoiled` numbers of access units whose content is overwritten, `login` (user, password), `tls`.
    """
    _require_gstreamer()
    started: list[RtspServer] = []

    def start(
        videos: Sequence[Path] = (),
        spoiled: Collection[int] = (),
        login: tuple[str, str] | None = None,
        tls: Certificate | None = None,
    ) -> RtspServer:
        port, what = free_port(), "pattern"
        if videos:
            from access_units import write_access_units

            what = str(write_access_units(tmp_path / f"units-{port}", videos, spoiled))
        script = str(Path(__file__).with_name("rtsp_server.py"))
        words = [str(DEBIAN_PYTHON), script, str(port), what]
        words += ["--login", *login] if login else []
        words += ["--tls", str(tls.both)] if tls else []
        server = RtspServer(words, port, patience_s=patience(30), scheme="rtsps" if tls else "rtsp")
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


def _require_gstreamer() -> None:
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    known = DEBIAN_PYTHON.exists() and not subprocess.run([DEBIAN_PYTHON, "-c", check], capture_output=True).returncode
    if not known:
        pytest.skip(
            "no RTSP server (Debian: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good and -ugly)"
        )


def _find(name: str, folders: Sequence[str]) -> str:
    binary = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if binary is None:
        pytest.skip(f"{name} is not installed (Debian: {'postgresql' if name == 'postgres' else name})")
    return binary
