"""The service against clients that mean harm: real sockets, a real process, as few descriptors as a shell allows."""

import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from patience import wait_until
from refinevad.apps.service.access_token import make_token_file
from refinevad.apps.service.bodies import MOST_BODY_BYTES
from refinevad.apps.service.connections import Connection, ConnectionLimits, Connections, network_of
from servers import Certificate
from service_process import Serving, answer_of

Start = Callable[..., Serving]
MEGABYTE = 1_000_000


@pytest.fixture
def many_descriptors() -> None:
    """This process opens more sockets than the service may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2000:
        pytest.skip("fewer than 2,000 descriptors may be opened here")


def send_endlessly(client: socket.socket, megabytes: int) -> None:
    """A chunked body, until it is sent or nobody takes it."""
    part = b"10000\r\n" + bytes(65_536) + b"\r\n"
    with suppress(ConnectionError):
        for _ in range(megabytes * MEGABYTE // 65_536):
            client.sendall(part)
        client.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/api/v1/session", "/api/v1/cameras", "/nowhere", "/healthz"])
def test_a_body_is_not_read_beyond_its_limit(serving: Start, tmp_path: Path, path: str) -> None:
    make_token_file(tmp_path / "token")
    service = serving("--token-file", tmp_path / "token")
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-RefineVAD: 1\r\nContent-Type: application/json\r\n"
    service.ask("GET /healthz")
    before = service.memory_mb()
    with service.connect() as client:  # of a length that is said: refused before a byte of it came
        client.sendall(f"{head}Content-Length: 500000000\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    with service.connect() as client:  # of none
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        send_endlessly(client, 60)
        client.shutdown(socket.SHUT_WR)
        assert answer_of(client)[0] == 413
    assert service.memory_mb() - before < 20
    assert service.ask("GET /healthz")[0] == 200


def test_half_sent_requests_silence_nobody(serving: Start, many_descriptors: None) -> None:
    service = serving()
    with ExitStack() as held:
        for number in range(1100):
            client = held.enter_context(service.connect())
            with suppress(ConnectionError):
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: " + str(number).encode())
        assert service.ask("GET /healthz")[0] == 200  # the same address
        assert service.ask("GET /healthz", source="127.0.0.2")[0] == 200  # another
        assert service.descriptors() < 700
    assert service.ask("GET /readyz")[0] in (200, 503)
    lines = service.said().splitlines()
    assert len(lines) < 10, lines
    assert any("too many connections" in line for line in lines)
    assert "Traceback" not in service.said()


def test_half_sent_requests_of_many_addresses_leave_room(serving: Start, many_descriptors: None) -> None:
    service = serving()
    with ExitStack() as held:
        for network in range(2, 22):
            for _ in range(60):
                client = held.enter_context(service.connect(f"127.0.{network}.1"))
                with suppress(ConnectionError):
                    client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert service.descriptors() < 700
        assert service.ask("GET /healthz", source="127.0.99.1")[0] == 200
    assert len(service.said().splitlines()) < 10


def test_what_is_not_finished_in_time_is_closed(serving: Start) -> None:
    service = serving()
    silent, half, dribbling = (service.connect() for _ in range(3))
    again = service.connect()
    again.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):  # head and body may come apart
        answer += again.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200")
    again.sendall(b"GET /healthz HTTP/1.1\r\nHo")  # the second on a connection is no other
    half.sendall(b"GET /healthz HT")
    body = service.connect()
    body.sendall(b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nX-RefineVAD: 1\r\nContent-Length: 20\r\n\r\n{")
    dribbling.settimeout(0.5)
    closed = False
    for letter in b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 200:
        try:
            dribbling.send(bytes([letter]))
            closed = dribbling.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            closed = True
        if closed:
            break
    assert closed
    for client in (silent, half, again):
        assert answer_of(client) == (0, "")
        client.close()
    assert answer_of(body)[0] == 408
    body.close()
    dribbling.close()


def test_descriptors_that_run_out_all_the_same_are_one_line_and_a_pause(serving: Start) -> None:
    service = serving("--connections", 10_000, "--connections-each", 10_000)
    wait_until(lambda: service.ask("GET /readyz")[0] == 200, "no answer")  # it looks at the database
    time.sleep(1)  # what starts with the service has opened its files
    process = service.process.pid
    soft = service.descriptors() + 3  # as if cameras had taken all the others
    subprocess.run(["prlimit", "--pid", str(process), f"--nofile={soft}:1024"], check=True)
    with ExitStack() as held:
        for _ in range(60):
            client = held.enter_context(service.connect())
            client.sendall(b"GET / HTTP/1.1\r\nHo")
        wait_until(lambda: "no descriptors are left" in service.said(), "the shortage was not told of")
    wait_until(lambda: service.ask("GET /healthz")[0] == 200, "it does not answer again")
    assert len(service.said().splitlines()) < 5
    assert "Traceback" not in service.said()


def test_bad_requests_and_failures_fill_no_log(serving: Start) -> None:
    service = serving()
    for number in range(100):
        with service.connect() as client:
            client.sendall(b"\x1b[2J\x16\x03 nonsense %d\r\n\r\n" % number)
            assert answer_of(client)[0] == 400
    said = service.said()
    assert len(said.splitlines()) < 5
    assert "\x1b" not in said


def test_tls_of_its_own(serving: Start, tmp_path: Path, certificate: Certificate) -> None:
    token = make_token_file(tmp_path / "token")
    certificate.key.chmod(0o600)
    service = serving("--token-file", tmp_path / "token", "--tls-cert", certificate.file, "--tls-key", certificate.key)
    assert service.address.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=str(certificate.file))
    assert service.ask("GET /healthz", tls=trusting)[0] == 200
    login = "POST /api/v1/session\nX-RefineVAD: 1\nContent-Type: application/json"
    status, answer = service.ask(login, body=f'{{"token": "{token}"}}'.encode(), tls=trusting)
    assert status == 200
    assert "secure" in answer.lower().split("set-cookie:")[1].split("\r\n")[0]
    with service.connect() as plain, suppress(ConnectionError):  # plain HTTP is not answered
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in plain.recv(100)
    with ExitStack() as held:  # who never says hello in TLS is no burden either
        for _ in range(150):
            held.enter_context(service.connect())
        assert service.ask("GET /healthz", tls=trusting)[0] == 200
    old = ssl.create_default_context(cafile=str(certificate.file))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    assert service.ask("GET /healthz", tls=old)[0] == 200
    assert "Traceback" not in service.said()


# -- the rule alone ---------------------------------------------------------------------------------------------------


def test_who_waited_longest_makes_room_and_who_is_answered_does_not() -> None:
    dropped: list[str] = []
    all_ = Connections(ConnectionLimits(most=4, most_each=2))

    def add(host: str, name: str) -> Connection | None:
        return all_.add(host, lambda: dropped.append(name))

    a1, a2 = add("10.0.0.1", "a1"), add("10.0.0.1", "a2")
    assert a1 is not None
    assert a2 is not None
    all_.wait(a1, False)  # is being answered
    assert add("10.0.0.1", "a3") is not None
    assert dropped == ["a2"]
    assert add("10.0.0.2", "b1") is not None
    assert add("10.0.0.3", "c1") is not None
    assert add("10.0.0.4", "d1") is not None  # four are open: one of the address that has most goes
    assert dropped == ["a2", "a3"]
    all_.wait(a1, True)
    assert add("10.0.0.5", "e1") is not None  # all have one: the one that has waited longest, b1, not a1
    assert dropped == ["a2", "a3", "b1"]
    busy = Connections(ConnectionLimits(most=1, most_each=1))
    only = busy.add("10.0.0.1", lambda: None)
    assert only is not None
    busy.wait(only, False)
    assert busy.add("10.0.0.2", lambda: None) is None
    busy.remove(only)
    assert len(busy) == 0


def test_what_comes_by_a_proxy_is_counted_in_all_alone() -> None:
    behind = Connections(ConnectionLimits(most=3, most_each=1), lambda host: host == "10.0.0.1")
    held = [behind.add("10.0.0.1", lambda: None) for _ in range(3)]
    assert None not in held
    assert len(behind) == 3
    assert behind.add("10.0.0.1", lambda: None) is not None  # the first made room
    assert len(behind) == 3


def test_what_counts_as_one_client() -> None:
    assert network_of("10.0.0.1") == network_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1%eth0") != network_of("2001:db8:0:1::1")
    assert MOST_BODY_BYTES == 65_536
