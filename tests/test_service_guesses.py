"""Wrong tokens: counted, told of, answered with a wait; and addresses that only a known proxy may name."""

import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from manual_clock import ManualClock
from refinevad.apps.service.guesses import FREE, LONGEST_S, Guesses
from service_house import BEARER, OURS, TOKEN, House
from test_service_network import Start


def guess(house: House, token: str = "a guess", **headers: str) -> int:
    return int(house.client.post("/api/v1/session", json={"token": token}, headers={**OURS, **headers}).status_code)


def test_wrong_tokens_are_answered_with_a_growing_wait(locked: House) -> None:
    assert [guess(locked) for _ in range(FREE)] == [401] * FREE
    waits = []
    for _ in range(3):
        answer = locked.client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
        assert answer.status_code == 429  # the right one too: else it could be told from the others
        waits.append(int(answer.headers["retry-after"]))
        assert answer.json()["detail"].endswith(f"try again in {waits[-1]} s")
        locked.clock.advance(float(waits[-1]))
        assert guess(locked) == 401
    assert waits == [1, 2, 4]
    assert locked.client.get("/api/v1/cameras", headers=BEARER).status_code == 429  # a bearer token is a guess as well
    locked.clock.advance(LONGEST_S)
    assert guess(locked, TOKEN) == 200
    assert guess(locked) == 401  # and all is forgotten
    text = locked.client.get("/metrics", headers=BEARER).text
    assert f"refinevad_tokens_wrong_total {FREE + 4}.0" in text
    assert "refinevad_tokens_limited_total 4.0" in text


def test_wrong_bearer_tokens_count_on_every_path_and_websockets(locked: House) -> None:
    wrong = {"Authorization": "Bearer rvad_a-guess"}
    for path in ("/api/v1/cameras", "/metrics", "/healthz", "/nowhere", "/api/v1/session")[:FREE]:
        locked.client.get(path, headers=wrong)
    assert locked.client.get("/api/v1/cameras", headers=wrong).status_code == 429


def test_a_login_that_holds_is_not_touched_by_others_guesses(locked: House) -> None:
    assert guess(locked, TOKEN) == 200
    for _ in range(FREE + 1):
        guess(locked)
    assert locked.client.get("/api/v1/cameras").status_code == 200


def test_only_a_known_proxy_names_the_client(tmp_path: Path) -> None:
    for proxies, shared in (((), True), (("testclient",), False)):
        house = House(tmp_path / str(shared), token=True, proxies=proxies)
        with house.client:
            for number in range(FREE):
                guess(house, **{"X-Forwarded-For": f"10.0.0.{number}"})
            assert guess(house, **{"X-Forwarded-For": "10.0.0.99"}) == (429 if shared else 401)
        house.store.close()


def test_the_table_of_addresses_is_bounded_and_told_of_sparingly() -> None:
    clock, told = ManualClock(), list[str]()
    guesses = Guesses(clock, told.append)
    for number in range(20_000):
        guesses.was_wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(guesses._wrong) == 10_000
    assert told == ["wrong token from 10.0.0.0, 1 in a row"]
    clock.advance(10.0)
    guesses.was_wrong("\x1b[2J evil")
    assert told[1] == "wrong token from \\x1b[2J evil, 1 in a row (19999 more since)"
    for _ in range(100):
        guesses.was_wrong("10.9.9.9")
    assert 0 < guesses.wait_s("10.9.9.9") <= LONGEST_S


def test_a_thousand_guesses_are_a_few_lines_of_log(serving: Start, tmp_path: Path) -> None:
    from refinevad.apps.service.access_token import make_token_file

    make_token_file(tmp_path / "token")
    service = serving("--token-file", tmp_path / "token")
    login = "POST /api/v1/session\nX-RefineVAD: 1\nContent-Type: application/json"
    statuses = [service.ask(login, body=b'{"token": "x"}')[0] for _ in range(50)]
    assert statuses[:FREE] == [401] * FREE
    assert statuses.count(429) > 30
    assert service.ask(login, source="127.0.0.2", body=b'{"token": "x"}')[0] == 401  # another address
    time.sleep(0.2)
    lines = [line for line in service.said().splitlines() if "wrong token from 127.0.0" in line]
    assert 1 <= len(lines) <= 5
