"""Users with roles, their logins, single sign-on, and what each role may do: by every route that OpenAPI names."""

import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")
pytest.importorskip("argon2", reason="argon2-cffi is not installed")

from fastapi.testclient import TestClient

from manual_clock import ManualClock
from refinevad.apps.cli import main
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Role
from refinevad.apps.live.storage.stored import open_stored
from refinevad.apps.service.audit import AuditLog, By
from refinevad.apps.service.passwords import hash_password, is_password
from service_house import BEARER, NOON, OURS, TOKEN, House

PASSWORD = "correct horse battery"
HASHED = hash_password(PASSWORD)
ROLES: tuple[Role, ...] = ("viewer", "reviewer", "admin")
# what each role may do beyond the one before it; any route that is not here is a viewer's
OF_A_REVIEWER = {
    ("post", "/api/v1/events/{event_id}/reviews"),
    ("post", "/api/v1/events/reviews"),
    ("post", "/api/v1/events/reviews/undo"),
    ("get", "/api/v1/labels.zip"),
    ("post", "/api/v1/jobs"),
    ("post", "/api/v1/jobs/{job_id}/cancel"),
    ("delete", "/api/v1/jobs/{job_id}"),
}
OF_AN_ADMIN = {
    ("post", "/api/v1/cameras"),
    ("post", "/api/v1/cameras/test"),
    ("patch", "/api/v1/cameras/{name}"),
    ("delete", "/api/v1/cameras/{name}"),
    ("put", "/api/v1/cameras/{name}/zones"),
    ("post", "/api/v1/cameras/{name}/calibration"),
    ("put", "/api/v1/model"),
    ("post", "/api/v1/sinks/{name}/test"),
    ("put", "/api/v1/sinks/{name}/snooze"),
    ("put", "/api/v1/sinks/{name}/schedule"),
    ("post", "/api/v1/cameras/{name}/thresholds/undo"),
    ("get", "/api/v1/audit"),
    ("get", "/api/v1/users"),
    ("post", "/api/v1/users"),
    ("patch", "/api/v1/users/{name}"),
    ("delete", "/api/v1/users/{name}"),
}
OF_ANYONE = {
    ("get", "/api/v1/session"),
    ("post", "/api/v1/session"),
    ("delete", "/api/v1/session"),
    ("get", "/healthz"),
    ("get", "/readyz"),
}


def make(folder: Path, **more: Any) -> House:
    """A service with a user of each role, who is called as the role is."""
    house = House(folder, **more)
    for role in ROLES[::-1]:
        house.store.people.add(role, role, HASHED)
    house.client.headers.update(OURS)
    return house


@pytest.fixture
def staffed(tmp_path: Path) -> Iterator[House]:
    house = make(tmp_path)
    with house.client:
        yield house
    house.store.close()


def log_in(house: House, name: str, password: str = PASSWORD) -> TestClient:
    """Another browser, logged in."""
    client = TestClient(house.app, base_url="http://localhost:8600", headers=OURS)
    answer = client.post("/api/v1/session", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return client


def test_every_route_states_its_role_and_holds_each_role_to_it(staffed: House) -> None:
    clients = {role: log_in(staffed, role) for role in ROLES}
    described = clients["viewer"].get("/api/v1/openapi.json").json()
    stated = {
        (method, path): operation.get("x-role")
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
    for route, role in stated.items():
        expected = (
            "anyone"
            if route in OF_ANYONE
            else "admin"
            if route in OF_AN_ADMIN
            else "reviewer"
            if route in OF_A_REVIEWER
            else "viewer"
        )
        assert role == expected, route
    assert {*OF_ANYONE, *OF_AN_ADMIN, *OF_A_REVIEWER} <= set(stated)
    for (method, path), least in stated.items():
        if least == "anyone":
            continue
        place = path.format(name="nobody", event_id="none", job_id="none", login_id="none", start_ms=0)
        for role, client in clients.items():
            allowed = ROLES.index(role) >= ROLES.index(least)
            # a body that no route takes: who may not, is told so before anything of it is looked at
            status = client.request(method, place, json={"nonsense": 1}).status_code
            assert (status != 403) == allowed, (method, path, role, status)
            assert status < 500, (method, path, role, status)
        assert staffed.client.request(method, place).status_code == 401, (method, path)


def test_who_may_not_is_told_what_it_needs(staffed: House) -> None:
    answer = log_in(staffed, "viewer").patch("/api/v1/cameras/door", json={"threshold": 0.5})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "this needs the role admin; viewer is viewer"
    assert staffed.engine.watched["door"].threshold is None


def test_a_login_survives_a_restart_and_can_be_ended(tmp_path: Path) -> None:
    house = make(tmp_path / "a", storage=f"sqlite:///{tmp_path}/live.db")
    ana, ben = log_in(house, "admin"), log_in(house, "viewer")
    house.store.close()
    again = House(tmp_path / "b", storage=f"sqlite:///{tmp_path}/live.db")
    with again.client:
        for client in (ana, ben):
            client.app = again.app
            client._transport.app = again.app  # type: ignore[attr-defined]
        told = ana.get("/api/v1/session").json()
        assert (told["open"], told["user"], told["role"]) == (True, "admin", "admin")
        assert [login["user"] for login in ben.get("/api/v1/logins").json()] == ["viewer"]
        assert ben.get("/api/v1/logins?everyone=true").status_code == 403
        logins = ana.get("/api/v1/logins?everyone=true").json()
        assert {login["user"]: login["mine"] for login in logins} == {"admin": True, "viewer": False}
        (mine,) = (login["id"] for login in logins if login["mine"])
        assert ben.delete(f"/api/v1/logins/{mine}").status_code == 404  # it is not Ben's
        (his,) = (login["id"] for login in logins if not login["mine"])
        assert ana.delete(f"/api/v1/logins/{his}").status_code == 204
        assert ben.get("/api/v1/cameras").status_code == 401
        assert ana.delete("/api/v1/session").status_code == 204
        assert ana.get("/api/v1/cameras").status_code == 401
        again.clock.advance(8 * 86_400.0)
        assert again.store.logins.all(again.clock.now()) == []
    again.store.close()


def test_a_token_s_login_ends_with_the_token(tmp_path: Path) -> None:
    house = House(tmp_path / "a", token=True, storage=f"sqlite:///{tmp_path}/live.db")
    house.client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    cookie = {"Cookie": f"refinevad_session={house.client.cookies['refinevad_session']}"}
    house.store.close()
    for token, status in ((True, 200), (False, 401)):
        later = House(tmp_path / str(token), token=token, login=True, storage=f"sqlite:///{tmp_path}/live.db")
        with later.client:
            assert later.client.get("/api/v1/cameras", headers=cookie).status_code == status
        later.store.close()


def test_names_and_passwords_are_guessed_as_slowly_as_tokens(staffed: House) -> None:
    client = staffed.client
    for name, password in (("admin", "wrong one here"), ("nobody", PASSWORD), ("admin", ""), ("", PASSWORD)):
        answer = client.post("/api/v1/session", json={"name": name, "password": password})
        assert answer.status_code in (401, 422)
        assert "admin" not in answer.text
    for body in ({}, {"name": "admin"}, {"token": TOKEN, "name": "admin", "password": PASSWORD}):
        assert client.post("/api/v1/session", json=body).status_code == 400
    for _ in range(3):
        client.post("/api/v1/session", json={"name": "admin", "password": "wrong one here"})
    right = client.post("/api/v1/session", json={"name": "admin", "password": PASSWORD})
    assert right.status_code == 429  # right or not cannot be told while it waits
    staffed.clock.advance(60.0)
    assert client.post("/api/v1/session", json={"name": "admin", "password": PASSWORD}).status_code == 200


def test_who_said_and_changed_something_is_on_record_by_name(staffed: House) -> None:
    staffed.add_event("e1")
    said = log_in(staffed, "reviewer").post(
        "/api/v1/events/e1/reviews", json={"verdict": "confirmed", "reviewer": "somebody else"}
    )
    assert said.json()["review"]["reviewer"] == "reviewer"
    admin = log_in(staffed, "admin")
    admin.patch("/api/v1/cameras/door", json={"threshold": 0.5})
    found = [(entry["what"], entry["user"]) for entry in admin.get("/api/v1/audit").json()["entries"][::-1]]
    assert found == [
        ("logged in", "reviewer"),
        ("event reviewed", "reviewer"),
        ("logged in", "admin"),
        ("threshold set", "admin"),
    ]


def test_a_record_from_before_there_were_users_goes_on(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audit.db") as old:
        columns = "time REAL, address TEXT, means TEXT, agent TEXT, what TEXT, subject TEXT, detail TEXT"
        old.execute(f"CREATE TABLE entry (number INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
        old.execute("INSERT INTO entry VALUES (1, ?, '10.0.0.2', 'bearer', 'curl', 'removed', 'door', '{}')", (NOON,))
    old.close()
    log = AuditLog(tmp_path / "audit.db", ManualClock(wall_s=NOON), print, days=9.0, most=9)
    log.add(By("10.0.0.2", "cookie", "firefox", "ana"), "removed", "yard")
    assert [(entry.subject, entry.by.user) for entry in log.find(9)] == [("yard", "ana"), ("door", "")]


def test_an_admin_looks_after_the_others_and_one_is_left(staffed: House) -> None:
    admin = log_in(staffed, "admin")
    made = admin.post("/api/v1/users", json={"name": "ana", "role": "viewer", "password": "ten letters"})
    assert made.status_code == 201
    assert "password" in made.json()
    assert "argon2" not in made.text
    ana = log_in(staffed, "ana", "ten letters")
    assert admin.patch("/api/v1/users/ana", json={"role": "reviewer"}).json()["role"] == "reviewer"
    assert ana.get("/api/v1/labels.zip").status_code == 200  # at once
    wrong = ana.put("/api/v1/session/password", json={"old": "not this", "new": "another one"})
    assert wrong.status_code == 403
    other = log_in(staffed, "ana", "ten letters")
    assert ana.put("/api/v1/session/password", json={"old": "ten letters", "new": "another one"}).status_code == 204
    assert ana.get("/api/v1/cameras").status_code == 200
    assert other.get("/api/v1/cameras").status_code == 401  # her other logins end
    assert admin.patch("/api/v1/users/ana", json={"password": "short"}).status_code == 400
    assert admin.patch("/api/v1/users/ana", json={"password": "a third one"}).status_code == 200
    assert ana.get("/api/v1/cameras").status_code == 401
    for refused in (
        admin.delete("/api/v1/users/admin"),
        admin.patch("/api/v1/users/admin", json={"role": "viewer"}),
        admin.post("/api/v1/users", json={"name": "ana", "role": "viewer"}),
        admin.post("/api/v1/users", json={"name": "a\nb", "role": "viewer"}),
    ):
        assert refused.status_code == 400, refused.text
    again = log_in(staffed, "ana", "a third one")
    assert admin.delete("/api/v1/users/ana").status_code == 204
    assert again.get("/api/v1/cameras").status_code == 401


def test_the_first_user_closes_the_door_behind_them(house: House) -> None:
    assert house.client.get("/api/v1/session").json()["open"]
    viewer = {"name": "ana", "role": "viewer", "password": PASSWORD}
    assert house.client.post("/api/v1/users", json=viewer).status_code == 400  # an admin first
    assert house.client.post("/api/v1/users", json={**viewer, "role": "admin"}).status_code == 201
    assert house.client.get("/api/v1/cameras").status_code == 401
    assert house.client.get("/api/v1/cameras", headers={"Host": "evil.example"}).status_code == 401


def test_a_program_s_token_goes_on_beside_users(tmp_path: Path) -> None:
    house = make(tmp_path, token=True)
    with house.client as client:
        assert client.get("/api/v1/users", headers=BEARER).status_code == 200
        assert client.post("/api/v1/session", json={"token": TOKEN}).json()["role"] == "admin"
    house.store.close()


def test_a_proxy_that_was_named_vouches_and_nobody_else(tmp_path: Path) -> None:
    house = make(tmp_path, proxies=("10.0.0.0/24",), user_header="X-Remote-User")

    def ask(address: str, headers: dict[str, str], path: str = "/api/v1/session") -> Any:
        client = TestClient(house.app, base_url="http://cameras.example", client=(address, 5000))
        return client.get(path, headers=headers)

    told = ask("10.0.0.9", {"X-Remote-User": "viewer", "X-Forwarded-For": "198.51.100.7"}).json()
    assert (told["user"], told["role"]) == ("viewer", "viewer")
    assert ask("10.0.0.9", {"X-Remote-User": "viewer"}, "/api/v1/audit").status_code == 403
    for address, headers in (
        ("10.0.1.9", {"X-Remote-User": "admin"}),  # no proxy of ours
        ("10.0.1.9", {"X-Remote-User": "admin", "X-Forwarded-For": "10.0.0.9"}),
        ("10.0.0.9", {"X-Remote-Users": "admin"}),
        ("10.0.0.9", {}),
    ):
        assert ask(address, headers, "/api/v1/cameras").status_code == 401, headers
    unknown = ask("10.0.0.9", {"X-Remote-User": "mallory"}, "/api/v1/cameras")
    assert unknown.status_code == 403
    assert "no user here" in unknown.json()["detail"]
    twice = TestClient(house.app, base_url="http://cameras.example", client=("10.0.0.9", 5000))
    both = [("X-Remote-User", "admin"), ("X-Remote-User", "viewer")]
    assert twice.get("/api/v1/cameras", headers=both).status_code == 401  # type: ignore[arg-type]
    # a browser sends what the proxy knows it by on behalf of any page, as it does cookies
    client = TestClient(house.app, base_url="http://cameras.example", client=("10.0.0.9", 5000))
    vouched = {"X-Remote-User": "admin"}
    change = {"json": {"threshold": 0.5}}
    assert client.patch("/api/v1/cameras/door", headers=vouched, **change).status_code == 403  # type: ignore[arg-type]
    assert client.patch("/api/v1/cameras/door", headers={**vouched, **OURS}, **change).status_code == 200  # type: ignore[arg-type]
    house.store.close()


def test_logins_that_hold_go_on_while_the_database_is_away(staffed: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client, stranger = log_in(staffed, "viewer"), log_in(staffed, "reviewer")
    assert client.get("/api/v1/session").json()["open"]

    def away(*_: object) -> None:
        raise StorageError("storage: away")

    monkeypatch.setattr(type(staffed.store.logins), "find", away)
    staffed.clock.advance(60.0)
    assert client.get("/api/v1/model").status_code == 200
    staffed.app.state.context.sessions.forget()
    assert stranger.get("/api/v1/model").status_code == 503  # nobody can tell who they are


def users(*words: object, said: str = "", monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    return main(["users", *map(str, words)])


def test_the_first_admin_is_made_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, patch = ("--data", tmp_path / "data"), monkeypatch
    assert users("add", "ben", "--role", "viewer", *data, said=f"{PASSWORD}\n", monkeypatch=patch) == 2
    assert "must be an admin" in capsys.readouterr().err
    assert users("add", "ana", "--role", "admin", *data, said=f"{PASSWORD}\n", monkeypatch=patch) == 0
    assert users("add", "eve@example.org", "--role", "viewer", "--no-password", *data, monkeypatch=patch) == 0
    assert users("role", "eve@example.org", "--role", "reviewer", *data, monkeypatch=patch) == 0
    capsys.readouterr()
    assert users("list", *data, monkeypatch=patch) == 0
    assert capsys.readouterr().out == "ana\tadmin\tpassword\neve@example.org\treviewer\tby a proxy alone\n"
    assert users("list", "--json", "-", *data, monkeypatch=patch) == 0
    assert json.loads(capsys.readouterr().out)["users"][1] == {
        "name": "eve@example.org",
        "role": "reviewer",
        "password": False,
    }
    assert users("remove", "eve@example.org", *data, monkeypatch=patch) == 0
    assert users("password", "ana", *data, said="another password\r\n", monkeypatch=patch) == 0
    store = open_stored(str(tmp_path / "data"))
    (ana,) = store.people.all()
    assert is_password(ana.password, "another password")
    assert not is_password(ana.password, PASSWORD)
    store.close()
    assert b"another password" not in (tmp_path / "data" / "refinevad.db").read_bytes()
    for wrong, sentence in (
        (("password", "ana", *data), "no password came on stdin"),
        (("remove", "ana", *data), "last admin"),
        (("remove", "ben", *data), "no user 'ben'"),
        (("remove", *data), "needs a NAME"),
        (("add", "ben", *data), "--role belongs"),
        (("list", "--role", "admin", *data), "--role belongs"),
    ):
        assert users(*wrong, monkeypatch=patch) == 2, wrong
        told = capsys.readouterr().err
        assert sentence in told
        assert len(told.splitlines()) == 1


def test_a_password_typed_twice_is_asked_for_in_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["one password", "another one", "the same one", "the same one"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    add = ["users", "add", "ana", "--role", "admin", "--data", str(tmp_path / "data")]
    assert main(add) == 2
    assert "differ" in capsys.readouterr().err
    assert main(add) == 0
