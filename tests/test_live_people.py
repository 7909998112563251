"""Users, logins and moved thresholds on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from live_cases import START, open_store
from refinevad.apps.live.storage import logins
from refinevad.apps.live.storage.records import Login
from refinevad.apps.live.storage.store import Store
from refinevad.errors import InputError

LOGIN = Login("d1", "ana", "viewer", "", START, START, START + 100, "10.0.0.2", "firefox")


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A fresh store of either kind."""
    url = str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    opened = open_store(tmp_path, url)
    yield opened
    opened.close()


def test_a_user_is_one_by_name_and_an_admin_is_left(store: Store) -> None:
    assert not store.people.any()
    with pytest.raises(InputError, match="first user must be an admin"):
        store.people.add("ana", "viewer", "hash")
    store.people.add("ana", "admin", "hash")
    with pytest.raises(InputError, match="already"):
        store.people.add("ana", "viewer", None)
    store.people.add("ben", "reviewer", None)
    for wrong in ("", " ", "a\nb", "x" * 65, "a;b"):
        with pytest.raises(InputError, match="use at most 64"):
            store.people.add(wrong, "viewer", None)
    with pytest.raises(InputError, match="last admin"):
        store.people.set_role("ana", "viewer")
    store.people.set_role("ben", "admin")
    store.people.remove("ana")
    assert [(user.name, user.role, user.password) for user in store.people.all()] == [("ben", "admin", None)]
    with pytest.raises(InputError, match="last admin"):
        store.people.remove("ben")
    for act in (store.people.remove, lambda name: store.people.set_role(name, "viewer")):
        with pytest.raises(InputError, match="no user 'ana'"):
            act("ana")


def test_logins_have_their_users_role_and_go_with_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.people.add("ana", "admin", "hash")
    store.people.add("ben", "reviewer", "hash")
    store.logins.add(LOGIN)
    store.logins.add(replace(LOGIN, digest="d2", user="ben", opened=START + 1, ends=START + 200))
    store.logins.add(replace(LOGIN, digest="d3", user=None, token="t", opened=START + 2))
    found = {login.digest: (login.user, login.role) for login in store.logins.all(START + 3)}
    assert found == {"d1": ("ana", "admin"), "d2": ("ben", "reviewer"), "d3": (None, "admin")}
    assert [login.digest for login in store.logins.all(START + 150)] == ["d2"]
    assert [login.digest for login in store.logins.all(START, "ana")] == ["d1"]
    store.logins.see("d1", START + 50)
    seen = store.logins.find("d1")
    assert seen is not None
    assert seen.seen == START + 50
    store.people.set_role("ben", "viewer")
    role = store.logins.find("d2")
    assert role is not None
    assert role.role == "viewer"
    assert store.logins.end("d3")
    assert not store.logins.end("d3")
    store.people.remove("ben")
    assert store.logins.find("d2") is None
    monkeypatch.setattr(logins, "MOST", 2)
    for number in range(4):
        store.logins.add(replace(LOGIN, digest=f"n{number}", opened=START + 10 + number))
    assert [login.digest for login in store.logins.all(START)] == ["n3", "n2"]
    store.logins.end_all("ana", but="n2")
    assert [login.digest for login in store.logins.all(START)] == ["n2"]
    store.logins.add(replace(LOGIN, digest="late", opened=START + 100, ends=START + 300))  # n2 is over by then
    assert store.logins.find("n2") is None


def test_moves_of_a_threshold_are_in_order(store: Store) -> None:
    for before, after in ((None, 0.5), (0.5, 0.25), (0.25, None)):
        store.thresholds.add("door", before, after, "by hand", "ana")
    assert [(move.before, move.after) for move in store.thresholds.history("door", 2)] == [(0.25, None), (0.5, 0.25)]
    assert store.thresholds.history("gate") == []
