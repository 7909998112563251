"""Messages that reach people: e-mails to a real SMTP server, by what is wanted, when, and how often."""

import email
import email.policy
import logging
import socket
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

apprise = pytest.importorskip("apprise", reason="messages need the extra `notify`")
controllers = pytest.importorskip("aiosmtpd.controller", reason="aiosmtpd is not installed")

from live_cases import START, envelope  # noqa: E402
from manual_clock import ManualClock  # noqa: E402
from refinevad.apps.live.delivery.courier import Backlog  # noqa: E402
from refinevad.apps.live.delivery.sinks.arming import Arming  # noqa: E402
from refinevad.apps.live.delivery.sinks.base import DeliveryError  # noqa: E402
from refinevad.apps.live.delivery.sinks.notify import NotifySink  # noqa: E402
from refinevad.apps.live.envelope import make_notice  # noqa: E402
from refinevad.apps.live.health import Trouble  # noqa: E402
from refinevad.apps.live.settings.secret import Secret  # noqa: E402
from refinevad.apps.live.settings.sink_options import NotifyOptions  # noqa: E402
from refinevad.errors import InputError  # noqa: E402
from service_house import House  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise looks for it


class Mailbox:
    """An SMTP server's mails; `answer` is what it says to each."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = controllers.Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: Any, _session: Any, received: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            mail = email.message_from_bytes(received.content, policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.answer

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=cam@example.org&to=me@example.org&mode=insecure"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    monkeypatch.setattr(apprise.NotifyBase, "request_rate_per_sec", 0)  # it lets seconds pass between two messages
    box = Mailbox()
    box.server.start()
    yield box
    box.server.stop()
    logging.getLogger("apprise").handlers.clear()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_s=START)


def sink(mailbox: Mailbox, clock: ManualClock, media: Path, **options: Any) -> NotifySink:
    return NotifySink(NotifyOptions("me", Secret(mailbox.url), **options), media, clock)


def text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_an_event_is_one_mail_with_its_picture_and_a_link(mailbox: Mailbox, clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/e1.jpg").write_bytes(b"\xff\xd8picture\xff\xd9")
    me = sink(mailbox, clock, tmp_path, page="https://cameras.example/")
    for kind in ("new", "update", "end"):
        me.deliver(envelope(kind, snapshot="snapshots/e1.jpg"))  # type: ignore[arg-type]
    (mail,) = mailbox.mails
    assert (mail["subject"], mail["to"]) == ("fall at door", "me@example.org")
    assert "score 0.90" in text(mail)
    assert "https://cameras.example/#/review/e1" in text(mail)
    (picture,) = mail.iter_attachments()
    assert picture.get_content() == b"\xff\xd8picture\xff\xd9"


def test_only_what_is_wanted_is_sent(mailbox: Mailbox, clock: ManualClock, tmp_path: Path) -> None:
    began = datetime.fromtimestamp(START + 10).astimezone()  # when the event began, in this machine's zone
    other = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(began.weekday() + 2) % 7]
    for unwanted in (
        {"categories": ("fight",)},
        {"least_score": 0.95},
        {"days": (other,)},
        {"hours": f"{(began.hour + 2) % 24:02d}:00-{(began.hour + 3) % 24:02d}:00"},
    ):
        sink(mailbox, clock, tmp_path, **unwanted).deliver(envelope())
    sink(mailbox, clock, tmp_path).deliver(envelope(reason="continues e0"))  # told already
    assert mailbox.mails == []
    sink(mailbox, clock, tmp_path, categories=("fall",), least_score=0.9).deliver(envelope())
    assert len(mailbox.mails) == 1


def test_a_camera_is_told_of_again_after_its_cooldown_with_what_was_between(
    mailbox: Mailbox, clock: ManualClock, tmp_path: Path
) -> None:
    me = sink(mailbox, clock, tmp_path, cooldown_s=60.0)
    for event, camera, wait in (("e1", "door", 0.0), ("e2", "door", 59.0), ("e3", "yard", 0.0), ("e4", "door", 1.0)):
        clock.advance(wait)
        me.deliver(envelope(event=event, camera=camera))
    assert [mail["subject"] for mail in mailbox.mails] == ["fall at door", "fall at yard", "fall at door"]
    assert "1 more since the last message" in text(mailbox.mails[2])


def test_a_snooze_holds_until_it_is_over_or_ended(mailbox: Mailbox, clock: ManualClock, tmp_path: Path) -> None:
    me = sink(mailbox, clock, tmp_path, cooldown_s=0.0)
    me.snooze(START + 600)
    me.deliver(envelope())
    assert (mailbox.mails, me.snoozed_until) == ([], START + 600)
    assert me.test() == ""  # a test goes through
    clock.advance(601.0)
    me.deliver(envelope())
    me.snooze(START + 2000)
    me.snooze(0.0)
    me.deliver(envelope())
    assert (len(mailbox.mails), me.snoozed_until) == (3, 0.0)


def test_what_is_wrong_with_a_camera_and_that_it_is_over(mailbox: Mailbox, clock: ManualClock, tmp_path: Path) -> None:
    frozen = Trouble("frozen", START, "its picture stands still", "t1")
    for kind in ("trouble", "cleared"):
        notice = make_notice(kind, "door", frozen, time=START)  # type: ignore[arg-type]
        sink(mailbox, clock, tmp_path).tell(notice)
        sink(mailbox, clock, tmp_path, troubles=False).tell(notice)
    assert [mail["subject"] for mail in mailbox.mails] == ["door: frozen", "door: frozen is over"]


def test_what_the_server_refuses_is_said_and_tried_again(mailbox: Mailbox, clock: ManualClock, tmp_path: Path) -> None:
    me = sink(mailbox, clock, tmp_path)
    mailbox.answer = "550 no such box"
    with pytest.raises(DeliveryError, match="was not taken"):
        me.deliver(envelope())
    mailbox.answer = "250 OK"
    me.deliver(envelope())  # no cooldown by a message that nobody got
    assert len(mailbox.mails) == 1


def test_a_server_that_is_away_is_said(clock: ManualClock, tmp_path: Path) -> None:
    nobody = NotifyOptions("me", Secret("mailto://127.0.0.1:9?from=cam@example.org&to=me@example.org&mode=insecure"))
    assert "Connection error" in NotifySink(nobody, tmp_path, clock).test()


def test_a_service_that_nobody_knows_is_one_sentence_without_its_address(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        NotifySink(NotifyOptions("me", Secret("nosuch://key-of-mine")), tmp_path, clock)
    assert "knows no service" in str(refused.value)
    assert "key-of-mine" not in str(refused.value)


@pytest.mark.parametrize(
    ("hours", "days", "moment", "armed"),
    [
        ("", None, "2026-11-28 00:00", True),
        ("22:00-06:00", None, "2026-11-28 22:00", True),
        ("22:00-06:00", None, "2026-11-28 05:59", True),
        ("22:00-06:00", None, "2026-11-28 06:00", False),
        ("22:00-06:00", None, "2026-11-28 21:59", False),
        ("22:00-06:00", ("fri",), "2026-11-28 02:00", True),  # a Saturday: Friday's night
        ("22:00-06:00", ("fri",), "2026-11-28 23:00", False),
        ("08:00-24:00", ("sat", "sun"), "2026-11-28 23:59", True),
        ("08:00-24:00", ("sat", "sun"), "2026-11-27 12:00", False),
        ("08:00-17:00", None, "2026-11-28 17:00", False),
    ],
)
def test_it_is_armed_by_the_week(hours: str, days: tuple[str, ...] | None, moment: str, armed: bool) -> None:
    assert Arming(hours, days, "here").armed(datetime.fromisoformat(moment)) is armed


@pytest.mark.parametrize("hours", ["8-17", "25:00-06:00", "08:00-08:00", "08:00-24:30", "night"])
def test_what_is_no_time_is_one_sentence(hours: str) -> None:
    with pytest.raises(InputError, match="here: hours"):
        Arming(hours, None, "here")
    with pytest.raises(InputError, match="'monday' is no day"):
        Arming("", ("monday",), "here")


def test_the_page_tests_and_snoozes_what_reaches_people(house: House, mailbox: Mailbox, tmp_path: Path) -> None:
    me = NotifySink(NotifyOptions("me", Secret(mailbox.url)), tmp_path, house.clock)
    house.people["me"] = me
    house.backlog.append(Backlog("me", 0, 0, ""))
    assert house.client.post("/api/v1/sinks/me/test").json() == {"taken": True, "answer": ""}
    assert len(mailbox.mails) == 1
    mailbox.answer = "550 no such box"
    failed = house.client.post("/api/v1/sinks/me/test").json()
    assert (failed["taken"], "was not taken" in failed["answer"]) == (False, True)
    told = house.client.put("/api/v1/sinks/me/snooze", json={"minutes": 30}).json()
    assert (told["people"], told["snoozed_until"]) == (True, "2023-11-14T22:43:20.000Z")
    assert house.store.snoozes.all() == {"me": START + 1800}  # for the next start
    assert house.client.put("/api/v1/sinks/me/snooze", json={"minutes": 0}).json()["snoozed_until"] is None
    assert house.client.post("/api/v1/sinks/home/test").status_code == 404
    assert house.client.put("/api/v1/sinks/me/snooze", json={"minutes": -1}).status_code == 422
    assert [entry.what for entry in house.app.state.context.audit.find(1, None)] == ["sink snoozed"]
    local = datetime.fromtimestamp(START)
    later = f"{(local.hour + 2) % 24:02d}:00-{(local.hour + 3) % 24:02d}:00"
    told = house.client.put("/api/v1/sinks/me/schedule", json={"hours": later, "days": []}).json()["schedule"]
    assert (told["hours"], told["armed"], len(told["days"])) == (later, False, 7)
    assert house.store.schedules.all() == {"me": (later, ())}
    for wrong in ({"hours": "25:00-26:00"}, {"hours": "", "days": ["someday"]}, {"hours": "", "days": ["fry"]}):
        assert house.client.put("/api/v1/sinks/me/schedule", json=wrong).status_code in (400, 422)
    told = house.client.put("/api/v1/sinks/me/schedule", json={"hours": None}).json()["schedule"]
    assert (told["hours"], told["armed"]) == ("", True)  # as cameras.toml has it
    assert house.store.schedules.all() == {}
