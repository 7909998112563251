"""Who may come into the service, and what it refuses before it starts."""

import socket
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.cli import main
from refinevad.apps.service.access_token import TokenHash, read_token_file
from refinevad.apps.service.headers import HEADERS
from servers import Certificate
from service_house import BEARER, OURS, TOKEN, House


@pytest.mark.parametrize(
    "path",
    ["/api/v1/cameras", "/api/v1/events", "/api/v1/model", "/api/v1/labels.zip", "/metrics", "/api/v1/openapi.json"],
)
def test_a_token_is_asked_for(shared_locked: House, path: str) -> None:
    refused = shared_locked.client.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert shared_locked.client.get(path, headers={"Authorization": "Bearer rvad_for-test"}).status_code == 401
    assert shared_locked.client.get(path, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert shared_locked.client.get(path, headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/page/app.js", "/page/report/style.css", "/api/v1/session"]
)
def test_what_tells_nothing_is_open(shared_locked: House, path: str) -> None:
    assert shared_locked.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/../schemas.py", "/page/%2e%2e/schemas.py", "/page/..%2fapp.py", "/page/report/page.py"]
)
def test_the_open_folder_ends_at_the_page(shared_locked: House, path: str) -> None:
    assert shared_locked.client.get(path).status_code in (401, 404)


def test_a_login_opens_for_a_browser_until_it_ends(locked: House) -> None:
    client = locked.client
    nobody = {"user": None, "role": None, "people": False}
    said = client.get("/api/v1/session").json()
    assert said == {"needed": True, "open": False, "version": locked.app.version, **nobody}
    assert client.post("/api/v1/session", json={"token": TOKEN}).status_code == 403  # not from our page
    assert client.post("/api/v1/session", json={"token": "guess"}, headers=OURS).status_code == 401
    assert client.get("/api/v1/cameras").status_code == 401
    answer = client.post("/api/v1/session", json={"token": f" {TOKEN}\n"}, headers=OURS)
    assert answer.json()["open"]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN.lower() not in cookie
    assert client.get("/api/v1/cameras").status_code == 200
    locked.clock.jump(10 * 86_400.0)  # someone sets the wall clock: no reason to log anyone out
    assert client.get("/api/v1/cameras").status_code == 200
    locked.clock.advance(7 * 86_400.0)
    assert client.get("/api/v1/cameras").status_code == 401


def test_logging_out_ends_the_login_on_the_server(locked: House) -> None:
    client = locked.client
    client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    cookie = client.cookies["refinevad_session"]
    assert client.delete("/api/v1/session", headers=OURS).status_code == 204
    assert client.get("/api/v1/cameras", headers={"Cookie": f"refinevad_session={cookie}"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),  # a form of another page could send this
        ({"Origin": "http://localhost:8600"}, 403),
        ({**OURS, "Origin": "https://evil.example"}, 403),
        ({**OURS, "Origin": "http://localhost:9999"}, 403),
        ({**OURS, "Origin": "null"}, 403),
        (OURS, 200),
        ({**OURS, "Origin": "http://localhost:8600"}, 200),
        ({**BEARER, "Origin": "https://evil.example"}, 200),  # no browser adds a bearer token by itself
    ],
)
def test_changes_come_from_our_own_page(locked: House, headers: dict[str, str], status: int) -> None:
    locked.client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    answer = locked.client.patch("/api/v1/cameras/door", json={"threshold": 0.5}, headers=headers)
    assert answer.status_code == status, answer.text
    assert (locked.engine.watched["door"].threshold == 0.5) == (status == 200)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8600", "", "[::2]:8600"])
def test_without_a_token_only_loopback_names_are_answered(shared: House, host: str) -> None:
    """A page elsewhere may point its own name at 127.0.0.1; the browser then still says that name."""
    assert shared.client.get("/api/v1/cameras", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1", "[::1]:8600"])
def test_loopback_names_are_answered(shared: House, host: str) -> None:
    assert shared.client.get("/api/v1/cameras", headers={"Host": host}).status_code == 200


def test_every_answer_carries_the_headers(shared_locked: House) -> None:
    for path in ("/", "/page/app.js", "/api/v1/cameras", "/nowhere"):
        headers = shared_locked.client.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS, path
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "*" not in policy


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = Path(__file__).parents[1] / "src/refinevad/apps/service/page"
    text = (page / "index.html").read_text(encoding="utf-8")
    assert "style=" not in text
    assert " on" not in text.replace(" on its", "").split("<body>")[0]
    assert "<script>" not in text
    assert "<style" not in text
    for path in page.iterdir():
        source = (
            path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "").replace("rtsp://10.0.0.5", "")
        )
        assert "://" not in source, path.name
        assert "innerHTML" not in source, path.name
        assert "eval(" not in source, path.name


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_ask_for_nothing(shared: House, shared_locked: House, site: str) -> None:
    """A picture's address on any page makes a browser ask, and it says from where."""
    for house, headers in ((shared, OURS), (shared_locked, {})):
        for path in ("/api/v1/events", "/api/v1/labels.zip", "/metrics", "/api/v1/session", "/page/app.js"):
            answer = house.client.get(path, headers={**headers, "Sec-Fetch-Site": site})
            assert answer.status_code in (401, 403), path
        assert house.client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link to the page
    answer = shared_locked.client.get("/api/v1/events", headers={**BEARER, "Sec-Fetch-Site": site})
    assert answer.status_code == 200


def test_without_a_token_what_costs_much_is_asked_for_on_purpose(shared: House) -> None:
    path = "/api/v1/labels.zip"
    del shared.client.headers["X-RefineVAD"]  # the house's client sends it by itself
    try:
        assert shared.client.get(path).status_code == 403
        assert shared.client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403
        for good in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, OURS):
            assert shared.client.get(path, headers=good).status_code == 200, good
        assert shared.client.get(path, headers={**OURS, "Origin": "http://[bad"}).status_code == 403
    finally:
        shared.client.headers.update(OURS)


def call(*arguments: object) -> int:
    return main(["serve", *map(str, arguments)])


def test_other_machines_come_in_with_a_token_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.5", "example.org", ""):
        assert call("--host", host, "--data", tmp_path / "data") == 2
        assert "needs a token" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()  # refused before anything was made
    assert call("--host", "0.0.0.0", "--token-file", tmp_path / "absent") == 2
    (tmp_path / "open").write_text(TokenHash.of(TOKEN).stored())
    (tmp_path / "open").chmod(0o644)
    assert call("--host", "0.0.0.0", "--token-file", tmp_path / "open") == 2
    assert "open to others" in capsys.readouterr().err


def test_a_token_is_made_and_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "token"
    assert call("--token-file", file, "--make-token") == 0
    token = capsys.readouterr().out.strip()
    assert token not in file.read_text()
    assert read_token_file(file).matches(token)
    assert call("--token-file", file, "--make-token") == 2  # never made anew by mistake
    assert call("--make-token") == 2


def test_what_cannot_work_is_said_before_the_service_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert call("--data", tmp_path / "data", "--port", taken.getsockname()[1]) == 2
        assert "cannot listen on 127.0.0.1" in capsys.readouterr().err
    for arguments in (
        ("--model", tmp_path / "absent"),
        ("--config", tmp_path / "absent.toml"),
        ("--port", 70_000),
        ("--upload-mb", 0),
        ("--storage", "mysql://host/name"),
    ):
        assert call("--data", tmp_path / "data", "--port", 0, *arguments) == 2, arguments


def test_tls_files_at_fault_are_one_sentence(
    tmp_path: Path, certificate: Certificate, other_certificate: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    encrypted, text = tmp_path / "encrypted.pem", tmp_path / "text.pem"
    command = ["openssl", "pkey", "-in", str(certificate.key), "-aes256", "-passout", "pass:secret", "-out"]
    subprocess.run([*command, str(encrypted)], check=True)
    text.write_text("no key")
    opened = tmp_path / "open.pem"
    opened.write_text(certificate.key.read_text())
    opened.chmod(0o644)
    for file in (certificate.key, other_certificate.key, encrypted, text):
        file.chmod(0o600)
    for cert, key, said in (
        (certificate.file, tmp_path / "absent", "not found"),
        (certificate.file, other_certificate.key, "mismatch"),
        (certificate.file, encrypted, "encrypted"),
        (text, certificate.key, "not possible"),
        (certificate.file, opened, "open to others"),
        (tmp_path, certificate.key, "not found"),
    ):
        assert call("--tls-cert", cert, "--tls-key", key, "--data", tmp_path / "data") == 2
        told = capsys.readouterr().err
        assert said in told, told
        assert len(told.splitlines()) == 1
    assert call("--tls-cert", certificate.file) == 2
    assert call("--proxy", "proxy.example") == 2
    assert call("--proxy", "10.0.0.1/8") == 2  # bits beyond the network: a slip
    assert call("--connections", 0) == 2
    assert not (tmp_path / "data").exists()
