"""Who changed what: every change is on record, from where and when, without secrets, and for a while."""

import pkgutil
import sqlite3
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from manual_clock import ManualClock
from refinevad.apps.live.clock import iso
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.service import routes
from refinevad.apps.service.audit import AuditLog, By
from service_house import BEARER, NOON, OURS, TOKEN, House
from videos import write_video

DAY_S = 86_400.0


def entries(house: House, **query: Any) -> list[dict[str, Any]]:
    answer = house.client.get("/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def test_every_change_is_on_record(house: House) -> None:
    client = house.client
    video = write_video(house.folder / "a.mp4", frames=5).read_bytes()
    house.add_event("e1")
    camera = {"name": "yard", "source": "rtsp://10.0.0.7/b", "username": "u", "password": "p@ss"}
    client.post("/api/v1/cameras", json=camera, headers={"User-Agent": "curl/8 \x1b[2J"})
    client.patch("/api/v1/cameras/yard", json={"threshold": 0.4})
    client.patch("/api/v1/cameras/yard", json={"paused": True})
    client.patch("/api/v1/cameras/yard", json={"paused": True})  # it is already
    client.patch("/api/v1/cameras/yard", json={"paused": False})
    client.delete("/api/v1/cameras/yard")
    client.put("/api/v1/model", json={"run": "second"})
    client.post("/api/v1/events/e1/reviews", json={"verdict": "dismissed", "reviewer": "ana"})
    job = client.post("/api/v1/jobs?name=a.mp4", content=video).json()["id"]
    client.delete(f"/api/v1/jobs/{job}")
    client.delete("/api/v1/cameras/none")  # changes nothing
    client.get("/api/v1/cameras")
    found = entries(house)[::-1]
    assert [(entry["what"], entry["subject"]) for entry in found] == [
        ("camera added", "yard"),
        ("threshold set", "yard"),
        ("camera paused", "yard"),
        ("camera resumed", "yard"),
        ("camera removed", "yard"),
        ("model swapped", "second"),
        ("event reviewed", "e1"),
        ("file uploaded", job),
        ("analysis deleted", job),
    ]
    added = found[0]
    assert (added["address"], added["means"], added["time"]) == ("testclient", "local", iso(NOON))
    assert added["agent"] == "curl/8 \\x1b[2J"
    assert added["detail"] == {"source": "rtsp://***@10.0.0.7/b", "threshold": None}
    assert (found[1]["detail"]["before"], found[1]["detail"]["after"]) == (0.6, 0.4)
    assert found[5]["detail"] == {"before": "first"}
    assert found[6]["detail"] == {"verdict": "dismissed", "category": None, "reviewer": "ana"}
    file = house.folder / "audit.db"
    assert file.stat().st_mode & 0o077 == 0
    assert b"p@ss" not in file.read_bytes()
    assert b"p%40ss" not in file.read_bytes()
    first = client.get("/api/v1/audit", params={"limit": 4}).json()
    then = client.get("/api/v1/audit", params={"limit": 5, "before": first["next_before"]}).json()
    assert [entry["number"] for entry in first["entries"] + then["entries"]] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert then["next_before"] is None


def test_logins_and_what_they_changed(locked: House) -> None:
    assert locked.client.get("/api/v1/audit").status_code == 401
    locked.client.post("/api/v1/session", json={"token": "a guess"}, headers=OURS)
    locked.client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    locked.client.patch("/api/v1/cameras/door", json={"threshold": 0.5}, headers=OURS)
    locked.client.delete("/api/v1/session", headers=OURS)
    locked.client.delete("/api/v1/session", headers=OURS)
    locked.client.patch("/api/v1/cameras/door", json={"threshold": 0.6}, headers=BEARER)
    answer = locked.client.get("/api/v1/audit", headers=BEARER)
    told = [(entry["what"], entry["means"]) for entry in answer.json()["entries"][::-1]]
    assert told == [
        ("logged in", "nothing"),
        ("threshold set", "cookie"),
        ("logged out", "cookie"),
        ("threshold set", "bearer"),
    ]
    assert TOKEN not in answer.text


def test_the_record_is_bounded_in_age_and_number(tmp_path: Path) -> None:
    house = House(tmp_path, audit_days=2.0, audit_entries=3)
    with house.client as client:
        for number in range(5):
            client.patch("/api/v1/cameras/door", json={"threshold": number / 10})
            house.clock.advance(DAY_S / 4)
        assert [entry["detail"]["after"] for entry in entries(house)] == [0.4, 0.3, 0.2]
        house.clock.advance(1.6 * DAY_S)
        house.app.state.context.audit.expire()  # as retention does each hour
        assert [entry["detail"]["after"] for entry in entries(house)] == [0.4]
        for wrong in ("limit=0", "limit=1001", "before=0", "before=99999999999999999999999", "before=x"):
            assert client.get(f"/api/v1/audit?{wrong}").status_code == 422
    house.store.close()


def test_no_changing_route_is_without_a_record() -> None:
    """Every function behind a route that changes something takes `who`: a new one without it is noticed here."""
    changing = [
        route.endpoint
        for module in pkgutil.iter_modules(routes.__path__)
        for route in getattr(import_module(f"{routes.__name__}.{module.name}").router, "routes", ())
        if {"POST", "PUT", "PATCH", "DELETE"} & set(getattr(route, "methods", None) or ())
    ]
    assert len(changing) >= 11
    for endpoint in changing:
        assert "who" in signature(endpoint).parameters, endpoint


def test_a_damaged_record_is_no_error_of_the_service_and_a_damaged_entry_is_its_own(tmp_path: Path) -> None:
    told: list[str] = []
    log = AuditLog(tmp_path / "audit.db", ManualClock(wall_s=NOON), told.append, days=9.0, most=9)
    for subject in ("door", "yard"):
        log.add(By("10.0.0.2", "a token", "curl"), "removed", subject, paused=True)
    with sqlite3.connect(tmp_path / "audit.db") as connection:
        connection.execute("UPDATE entry SET detail = CAST(x'7bff' AS TEXT) WHERE subject = 'door'")
    connection.close()
    assert [(entry.subject, entry.detail) for entry in log.find(9)] == [("yard", {"paused": True}), ("door", {})]
    (tmp_path / "audit.db").write_bytes(b"no database " * 1000)
    with pytest.raises(StorageError, match=r"audit\.db cannot be read \(file is not a database\); move it away"):
        log.find(9)
    log.add(By("10.0.0.2", "a token", "curl"), "removed", "door")
    assert len(told) == 1
