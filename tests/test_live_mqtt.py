"""The MQTT sink on a real broker: state, discovery, TLS, and a broker that goes away."""

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

from live_cases import START, envelope
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.delivery.courier import Courier
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.delivery.sinks.base import DeliveryError, Sink
from refinevad.apps.live.delivery.sinks.discovery import topic_name
from refinevad.apps.live.delivery.sinks.mqtt import MqttSink
from refinevad.apps.live.envelope import Notice, make_notice
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.sink_options import MqttOptions
from refinevad.errors import InputError
from servers import Certificate, Program, free_port


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
    assert len(configs) == 8  # two cameras, three sensors and a picture each
    assert len({config["unique_id"] for config in configs}) == 8
    assert {len(config["device"]["identifiers"]) for config in configs} == {1}
    (picture,) = (config for config in configs if config.get("image_topic") == "refinevad/door/snapshot")
    assert picture["content_type"] == "image/jpeg"


def test_home_assistant_gets_the_picture(mosquitto: Program, tmp_path: Path) -> None:
    """As bytes, and the newer one of an event that goes on; one that retention took is none."""
    (tmp_path / "snapshots").mkdir()
    sink = MqttSink(MqttOptions("home", "127.0.0.1", mosquitto.port, timeout_s=30.0), ["door"], SystemClock(), tmp_path)
    got: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: got.append(message.payload)
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe("refinevad/door/snapshot", qos=1)
    client.loop_start()
    pictures = [b"\xff\xd8first\xff\xd9", b"\xff\xd8second\xff\xd9"]
    try:
        deliver(sink, envelope("update", snapshot="snapshots/e1.jpg"))  # it is not there
        for picture in pictures:
            (tmp_path / "snapshots" / "e1.jpg").write_bytes(picture)
            deliver(sink, envelope("update", snapshot="snapshots/e1.jpg"))
        wait_until(lambda: len(got) == 2, "the pictures")
        assert got == pictures
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_message = None
        sink.close()


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


def test_a_cameras_trouble_is_a_sensor_of_its_own(
    mosquitto: Program, mqtt: MqttSink, listeners: list[Listener]
) -> None:
    listener = listen(listeners, mosquitto)
    frozen, black = Trouble("frozen", START, "still", "t1"), Trouble("black", START, "dark", "t2")
    steps = [("trouble", frozen), ("trouble", black), ("cleared", frozen), ("cleared", black)]
    for kind, trouble in steps:
        notice = make_notice(kind, "door", trouble, time=START)  # type: ignore[arg-type]
        wait_until(lambda notice=notice: told(mqtt, notice), "delivery")
    wait_until(lambda: listener.on("refinevad/door/trouble")[-4:] == ["ON", "ON", "ON", "OFF"], "the sensor")
    said = [json.loads(text) for text in listener.on("refinevad/door/health")]
    assert [(one["kind"], one["trouble"]) for one in said][-4:] == [(kind, trouble.name) for kind, trouble in steps]
    configs = [json.loads(text) for name, text, _ in listener.messages if name.endswith("door/trouble/config")]
    assert configs[0]["state_topic"] == "refinevad/door/trouble"
    assert [place["topic"] for place in configs[0]["availability"]] == ["refinevad/status"]  # told of a camera away


def told(sink: MqttSink, notice: Notice) -> bool:
    """Whether it was taken; a courier tries again."""
    try:
        sink.tell(notice)
    except DeliveryError:
        return False
    return True


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
from refinevad.apps.live.delivery.sinks.mqtt import MqttSink
from refinevad.apps.live.settings.sink_options import MqttOptions
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
