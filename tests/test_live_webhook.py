"""The webhook on a real HTTP endpoint: signed, retried, rate-limited."""

import hashlib
import json
from pathlib import Path

import pytest

from live_cases import START, envelope
from manual_clock import ManualClock
from refinevad.apps.live.delivery.courier import Courier
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.delivery.sinks.rate import TokenBucket
from refinevad.apps.live.delivery.sinks.webhook import WebhookSink, verify
from refinevad.apps.live.envelope import make_notice
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.settings.sink_options import WebhookOptions
from refinevad.errors import InputError
from servers import Receiver


def hook(receiver: Receiver, clock: ManualClock | None = None, **options: float | int) -> WebhookSink:
    settings = WebhookOptions("hook", Secret(receiver.url), Secret("key"), **options)  # type: ignore[arg-type]
    return WebhookSink(settings, clock or ManualClock(wall_s=START))


def hmac_by_definition(key: bytes, message: bytes) -> str:
    """RFC 2104, spelt out: H((K ^ opad) || H((K ^ ipad) || m))."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(k ^ 0x36 for k in padded) + message).digest()
    return hashlib.sha256(bytes(k ^ 0x5C for k in padded) + inner).hexdigest()


def test_a_webhook_is_signed(receiver: Receiver) -> None:
    item = envelope()
    hook(receiver).deliver(item)
    (request,) = receiver.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert json.loads(request.body) == item
    assert headers["content-type"] == "application/json"
    assert headers["x-refinevad-envelope"] == item["id"]
    assert headers["x-refinevad-timestamp"] == "1700000000"
    signature = headers["x-refinevad-signature"]
    assert signature == "v1=" + hmac_by_definition(b"key", b"1700000000." + request.body)
    assert verify("key", "1700000000", signature, request.body, START + 299.0)
    assert not verify("key", "1700000000", signature, request.body, START + 301.0)  # played again
    assert not verify("key", "1700000001", signature, request.body, START)
    assert not verify("key", "1700000000", signature, request.body + b" ", START)
    assert not verify("other", "1700000000", signature, request.body, START)
    assert not verify("key", "-1", signature, request.body, START)


def test_a_cameras_trouble_is_posted_like_an_event(receiver: Receiver) -> None:
    notice = make_notice("trouble", "door", Trouble("black", START, "its picture is black", "t1"), time=START)
    hook(receiver).tell(notice)
    (request,) = receiver.requests
    assert json.loads(request.body) == notice
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert verify("key", "1700000000", headers["x-refinevad-signature"], request.body, START)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_the_receiver_will_never_take_is_refused(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {})]
    with pytest.raises(RefusedError, match=str(status)):
        hook(receiver).deliver(envelope())


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (408, {}, None),
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
        (503, {"Retry-After": "soon"}, None),
        (500, {}, None),
        (302, {"Location": "http://127.0.0.1:1/elsewhere"}, None),
    ],
)
def test_what_may_pass_is_tried_again(
    receiver: Receiver, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    receiver.answers = [(status, headers)]
    with pytest.raises(DeliveryError, match=str(status)) as failed:
        hook(receiver).deliver(envelope())
    assert failed.value.retry_after_s == seconds
    assert len(receiver.requests) == 1


def test_an_endpoint_may_go_down_and_come_back(receiver: Receiver, tmp_path: Path) -> None:
    outbox, clock = Outbox(tmp_path / "outbox.db"), ManualClock(wall_s=START)
    courier = Courier(hook(receiver, clock), outbox, clock, chance=lambda: 0.0)
    receiver.stop()
    sent = [envelope(), envelope("update"), envelope("end")]
    for item in sent:
        outbox.put(item, ["hook"])
    while clock.monotonic() < 30.0:
        clock.advance(courier.step() or 0.0)
    assert outbox.waiting() == {"hook": 3}
    receiver.start()
    receiver.answers = [(503, {})]
    while (rest := courier.step()) is not None:
        clock.advance(rest)
    assert [json.loads(request.body)["id"] for request in receiver.requests] == [
        item["id"]
        for item in (sent[0], *sent)  # the first was answered 503 once
    ]


def test_no_secret_of_the_url_is_told(receiver: Receiver) -> None:
    receiver.stop()
    settings = WebhookOptions("hook", Secret(f"http://user:pa55@127.0.0.1:{receiver.port}/x?token=t0ken"))
    with pytest.raises(DeliveryError) as failed:
        WebhookSink(settings, ManualClock()).deliver(envelope())
    assert "pa55" not in str(failed.value)
    assert "t0ken" not in str(failed.value)
    with pytest.raises(InputError, match="http"):
        WebhookSink(WebhookOptions("hook", Secret("file:///etc/passwd")), ManualClock())


def test_a_webhook_is_not_flooded(receiver: Receiver) -> None:
    clock = ManualClock()
    sink = hook(receiver, clock, rate_per_minute=30.0, burst=2)
    for _ in range(2):
        sink.deliver(envelope())
    with pytest.raises(DeliveryError) as limited:
        sink.deliver(envelope())
    assert limited.value.retry_after_s == pytest.approx(2.0)  # 30 a minute: one in two seconds
    assert len(receiver.requests) == 2


def test_a_token_bucket_fills_again_but_not_over() -> None:
    clock = ManualClock()
    bucket = TokenBucket(0.5, 3, clock)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    clock.advance(1.0)
    assert bucket.take() == pytest.approx(1.0)
    clock.jump(1e6)
    assert bucket.take() == pytest.approx(1.0)
    clock.advance(1000.0)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
