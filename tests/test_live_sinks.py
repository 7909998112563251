"""Sinks on a real HTTP endpoint, a real MQTT broker, a folder, a pipe and a database, with the faults they may have."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from live_cases import START, envelope, open_store
from refinevad.apps.live.clock import ManualClock, SystemClock
from refinevad.apps.live.courier import Courier
from refinevad.apps.live.outbox import Outbox
from refinevad.apps.live.secret import Secret
from refinevad.apps.live.sinks.base import RESTART, DeliveryError, RefusedError, Sink
from refinevad.apps.live.sinks.database import DatabaseSink
from refinevad.apps.live.sinks.discovery import topic_name
from refinevad.apps.live.sinks.folder import FolderSink
from refinevad.apps.live.sinks.mqtt import MqttSink
from refinevad.apps.live.sinks.options import MqttOptions, WebhookOptions
from refinevad.apps.live.sinks.rate import TokenBucket
from refinevad.apps.live.sinks.stdout import StdoutSink
from refinevad.apps.live.sinks.webhook import WebhookSink, verify
from refinevad.errors import InputError
from servers import Certificate, Program, Receiver, free_port, wait_until

# -- envelopes, pipes, folders, storage


def test_times_are_utc() -> None:
    item = envelope("update")
    assert item["after"]["start"] == "2023-11-14T22:13:30.000Z"  # START + 10 s
    assert item["after"]["peak_time"] == "2023-11-14T22:13:32.000Z"
    assert item["time"] == "2023-11-14T22:13:34.000Z"
    assert (item["schema_version"], item["kind"], item["before"]) == (1, "update", item["after"])
    assert envelope()["id"] != envelope()["id"]


def test_stdout_gets_a_line_for_each() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8")
    sent = [envelope(), envelope("end")]
    sink = StdoutSink(stream=stream)
    for item in sent:
        sink.deliver(item)
    assert [json.loads(line) for line in written.getvalue().splitlines()] == sent
    stream.close()
    with pytest.raises(RefusedError):
        sink.deliver(sent[0])
    assert sink.closed


def test_a_folder_holds_the_latest_state_with_its_files(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "clips").mkdir(parents=True)
    (media / "clips" / "e1.mp4").write_bytes(b"clip")
    sink = FolderSink("folder", tmp_path / "out", media)
    sink.deliver(envelope())
    sink.deliver(last := envelope("end", clip="clips/e1.mp4", snapshot="snapshots/gone.jpg"))
    place = tmp_path / "out" / "door" / "2023-11-14" / "e1"
    assert sorted(path.name for path in place.iterdir()) == ["clip.mp4", "event.json"]
    assert json.loads((place / "event.json").read_text()) == last
    assert (place / "clip.mp4").read_bytes() == b"clip"


def test_a_folder_takes_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "secret").write_text("secret")
    sink = FolderSink("folder", tmp_path / "out", tmp_path / "media")
    for bad in (envelope(camera="../x"), envelope(event="../x"), envelope(clip="../secret")):
        with pytest.raises(RefusedError):
            sink.deliver(bad)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    sink = FolderSink("folder", tmp_path / "out", tmp_path)
    with pytest.raises(DeliveryError):
        sink.deliver(envelope())
    (tmp_path / "out").unlink()
    sink.deliver(envelope())


def test_storage_gets_the_event_as_it_stands(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    sink = DatabaseSink("database", store)
    states = []
    for item in (envelope(), envelope("update"), envelope("end", reason=RESTART), envelope("end", clip="clips/e1.mp4")):
        sink.deliver(item)
        found = store.events.get("e1")
        assert found is not None
        states.append(found.event.state)
    assert states == ["new", "open", "closed-by-restart", "ended"]
    event = found.event
    assert (event.start, event.end, event.peak_time) == (START + 10.0, START + 14.0, START + 12.0)
    assert (event.peak, event.category, event.probabilities) == (0.9, "fall", {"fall": 0.75, "fight": 0.25})
    assert (event.camera, event.model, event.clip) == ("door", "runs/a", "clips/e1.mp4")
    with pytest.raises(RefusedError, match="not known"):
        sink.deliver(envelope(camera="yard"))


def test_storage_that_is_down_for_a_while_loses_no_event(postgres: Program, postgres_url: str, tmp_path: Path) -> None:
    store, outbox, clock = open_store(tmp_path, postgres_url), Outbox(tmp_path / "outbox.db"), ManualClock()
    courier = Courier(DatabaseSink("database", store), outbox, clock, chance=lambda: 0.0)
    postgres.kill()
    for item in (envelope(), envelope("update"), envelope("end"), envelope(event="e2")):
        outbox.put(item, ["database"])
    while clock.monotonic() < 30.0:
        clock.advance(courier.step() or 0.0)
    assert outbox.waiting() == {"database": 4}
    postgres.start()

    def emptied() -> bool:
        clock.advance(courier.step() or 0.0)
        return not outbox.waiting()

    wait_until(emptied, "delivery")
    assert {found.event.id: found.event.state for found in store.events.find()} == {"e1": "ended", "e2": "new"}
    store.close()


# -- webhook


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


# -- MQTT


class Listener:
    """A client of its own that keeps what the broker sends."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", qos=1)
        self._client.loop_start()
        assert self._ready.wait(30)

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.append((message.topic, message.payload.decode(), message.retain))

    def on(self, topic: str) -> list[str]:
        return [text for name, text, _ in self.messages if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = self._client.on_subscribe = None  # paho's sockets are closed when it is collected


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    opened: list[Listener] = []
    yield opened
    for listener in opened:
        listener.close()


def listen(opened: list[Listener], broker: Program) -> Listener:
    opened.append(Listener(broker.port))
    return opened[-1]


@pytest.fixture
def mqtt(mosquitto: Program) -> Iterator[MqttSink]:
    options = MqttOptions("home", "127.0.0.1", mosquitto.port, timeout_s=30.0)
    sink = MqttSink(options, ["door", "Hof 2"], SystemClock())
    yield sink
    sink.close()


def deliver(sink: Sink, item: object) -> None:
    """As a courier does: again until it is taken."""

    def taken() -> bool:
        try:
            sink.deliver(item)  # type: ignore[arg-type]
        except DeliveryError:
            return False
        return True

    wait_until(taken, "delivery")


def test_a_late_subscriber_finds_the_state(mosquitto: Program, mqtt: MqttSink, listeners: list[Listener]) -> None:
    mqtt.show_camera("door", True)
    deliver(mqtt, envelope())
    mqtt.show_score("door", 0.4321)
    listener = listen(listeners, mosquitto)
    wait_until(lambda: bool(listener.on("refinevad/door/score")), "the score")
    wait_until(lambda: len(listener.on("refinevad/door/availability")) == 1, "availability")
    assert listener.on("refinevad/status") == ["online"]
    assert listener.on("refinevad/door/availability") == ["online"]
    assert listener.on("refinevad/door/alert") == ["ON"]
    assert listener.on("refinevad/door/score") == ["0.4321"]
    assert json.loads(listener.on("refinevad/door/attributes")[0])["event_id"] == "e1"
    assert listener.on("refinevad/door/event") == []  # not retained: it is over
    assert listener.on(f"refinevad/{topic_name('Hof 2')}/alert") == ["OFF"]


def test_home_assistant_finds_the_sensors(mosquitto: Program, mqtt: MqttSink, listeners: list[Listener]) -> None:
    deliver(mqtt, envelope())
    listener = listen(listeners, mosquitto)
    topic = "homeassistant/binary_sensor/refinevad_door/alert/config"
    wait_until(lambda: bool(listener.on(topic)), "discovery")
    alert = json.loads(listener.on(topic)[0])
    # what the documentation of MQTT discovery asks of a binary sensor, and topics that this sink does use
    assert alert["state_topic"] == "refinevad/door/alert"
    assert (alert["payload_on"], alert["payload_off"]) == ("ON", "OFF")
    assert [place["topic"] for place in alert["availability"]] == ["refinevad/status", "refinevad/door/availability"]
    assert alert["json_attributes_topic"] == "refinevad/door/attributes"
    configs = [json.loads(text) for name, text, _ in listener.messages if name.endswith("/config")]
    assert len(configs) == 4  # two cameras, two sensors each
    assert len({config["unique_id"] for config in configs}) == 4
    assert {len(config["device"]["identifiers"]) for config in configs} == {1}


def test_the_alert_stays_on_until_the_last_event_ends(
    mosquitto: Program, mqtt: MqttSink, listeners: list[Listener]
) -> None:
    listener = listen(listeners, mosquitto)
    steps = [("new", "e1"), ("new", "e2"), ("end", "e1"), ("update", "e2"), ("end", "e2")]
    for kind, event in steps:
        deliver(mqtt, envelope(kind, event))  # type: ignore[arg-type]
    wait_until(lambda: len(listener.on("refinevad/door/event")) == 5, "five events")
    wait_until(lambda: listener.on("refinevad/door/alert")[-5:] == ["ON", "ON", "ON", "ON", "OFF"], "the alert")
    events = [json.loads(text) for text in listener.on("refinevad/door/event")]
    assert [(event["kind"], event["event_id"]) for event in events] == steps


def test_a_broker_killed_and_started_again_gets_everything(
    mosquitto: Program, mqtt: MqttSink, listeners: list[Listener], tmp_path: Path
) -> None:
    outbox, clock = Outbox(tmp_path / "outbox.db"), ManualClock()
    courier = Courier(mqtt, outbox, clock)
    deliver(mqtt, envelope())
    mosquitto.kill()
    sent = [envelope("update"), envelope("end")]
    for item in sent:
        outbox.put(item, ["home"])
    while clock.monotonic() < 30.0:
        clock.advance(courier.step() or 0.0)
    assert outbox.waiting() == {"home": 2}
    mosquitto.start()  # it has forgotten what was retained
    listener = listen(listeners, mosquitto)

    def emptied() -> bool:
        clock.advance(courier.step() or 0.0)
        return not outbox.waiting()

    wait_until(emptied, "delivery")
    wait_until(lambda: len(listener.on("refinevad/door/event")) >= 2, "the events")
    seen = dict.fromkeys(json.loads(text)["id"] for text in listener.on("refinevad/door/event"))
    assert list(seen) == [item["id"] for item in sent]  # doubles left aside
    wait_until(lambda: listener.on("refinevad/door/alert")[-1:] == ["OFF"], "the alert")
    assert listener.on("refinevad/status")[-1] == "online"
    assert listener.on("homeassistant/sensor/refinevad_door/score/config")


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # paho lets go of a socket whose handshake failed
def test_a_broker_behind_tls_is_held_against_its_certificate(
    mosquitto_tls: Program, certificate: Certificate, other_certificate: Certificate
) -> None:
    def options(ca_file: Path | None) -> MqttOptions:
        return MqttOptions("home", "127.0.0.1", mosquitto_tls.port, tls=True, ca_file=ca_file, timeout_s=30.0)

    known = MqttSink(options(certificate.file), ["door"], SystemClock())
    deliver(known, envelope())
    known.close()
    for ca_file in (other_certificate.file, None):  # signed by another; by nobody this machine knows
        stranger = MqttSink(options(ca_file), ["door"], SystemClock())

        def refused(sink: MqttSink = stranger) -> bool:
            with pytest.raises(DeliveryError) as failed:
                sink.deliver(envelope())
            return "certificate is not vouched for" in str(failed.value)

        wait_until(refused, "a word on the certificate")
        stranger.close()
    plain = MqttSink(MqttOptions("home", "127.0.0.1", mosquitto_tls.port), ["door"], SystemClock())
    with pytest.raises(DeliveryError):
        plain.deliver(envelope())
    plain.close()
    with pytest.raises(InputError, match="ca_file"):
        MqttSink(options(certificate.file.with_name("absent.pem")), [], SystemClock())


def test_the_broker_tells_when_we_are_gone(mosquitto: Program, listeners: list[Listener]) -> None:
    listener = listen(listeners, mosquitto)
    code = f"""
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.sinks.mqtt import MqttSink
from refinevad.apps.live.sinks.options import MqttOptions
sink = MqttSink(MqttOptions("home", "127.0.0.1", {mosquitto.port}), [], SystemClock())
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        wait_until(lambda: listener.on("refinevad/status") == ["online"], "online")
        child.send_signal(signal.SIGKILL)
    wait_until(lambda: listener.on("refinevad/status") == ["online", "offline"], "the last will")


def test_a_broker_that_is_not_there_is_a_sentence() -> None:
    port = free_port()
    sink = MqttSink(MqttOptions("home", "127.0.0.1", port), ["door"], SystemClock())
    with pytest.raises(DeliveryError, match=f"127.0.0.1:{port}"):
        sink.deliver(envelope())
    sink.show_score("door", 0.5)
    sink.close()


def test_two_cameras_never_share_a_topic() -> None:
    names = ["door", "Hof 2", "Hof_2", "Hof  2", "Tür", "Tur", "a.b", "a_b"]
    topics = {topic_name(name) for name in names}
    assert len(topics) == len(names)
    assert not [topic for topic in topics if set(topic) & set("/+# ")]
