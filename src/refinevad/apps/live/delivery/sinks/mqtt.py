"""Events to an MQTT broker, in topics that Home Assistant finds by itself.

    <prefix>/status                  online | offline, retained; the broker says offline when we are gone (last will)
    <prefix>/<camera>/availability   online | offline, retained: whether the camera delivers pictures
    <prefix>/<camera>/alert          ON | OFF, retained
    <prefix>/<camera>/attributes     latest envelope, retained
    <prefix>/<camera>/event          each envelope, QoS 1, not retained
    <prefix>/<camera>/snapshot       the event's picture as JPEG, retained
    <prefix>/<camera>/score          newest score, retained, QoS 0, at most one a second

What is retained is published again at each connection: a broker may have forgotten it.
"""

import json
import ssl
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.delivery.sinks.base import DeliveryError
from refinevad.apps.live.delivery.sinks.discovery import announcements, topic_name
from refinevad.apps.live.envelope import Envelope, Notice
from refinevad.apps.live.settings.sink_options import MqttOptions
from refinevad.errors import InputError

_SCORE_EVERY_S = 1.0
_KEEPALIVE_S = 15


class MqttSink:
    """One broker. Connects in the background and keeps trying; `deliver` fails while it is away."""

    def __init__(self, options: MqttOptions, cameras: Sequence[str], clock: Clock, media: Path | None = None) -> None:
        """`media`: where snapshots lie. Raises InputError where the certificate file cannot be read."""
        self.name, self._options, self._clock, self._media = options.name, options, clock, media
        self._lock = threading.Lock()
        self._retained: dict[str, str | bytes] = {}  # what the broker should hold
        self._open: dict[str, set[str]] = {}  # camera -> events that are on
        self._troubles: dict[str, set[str]] = {}  # camera -> what is wrong with it
        self._shown_at: dict[str, float] = {}
        self._trouble = "not connected yet"
        self._status = f"{options.prefix}/status"
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=options.client_id)
        self._client.will_set(self._status, "offline", qos=1, retain=True)
        self._client.max_queued_messages_set(1000)
        self._client.reconnect_delay_set(1, 30)
        if options.username:
            self._client.username_pw_set(options.username, options.password.reveal() if options.password else None)
        if options.tls:
            try:
                self._client.tls_set(str(options.ca_file) if options.ca_file else None)
            except OSError as error:
                raise InputError(f"sink {self.name!r}: ca_file {options.ca_file}: {error.strerror or error}") from error
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect_fail = self._on_connect_fail
        for camera in cameras:
            self._announce(camera)
        self._client.connect_async(options.host, options.port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    def deliver(self, envelope: Envelope) -> None:
        camera, topic = envelope["camera"], self._topic(envelope["camera"])
        if not self._client.is_connected():
            raise DeliveryError(f"broker {self._options.host}:{self._options.port}: {self._trouble}")
        body = json.dumps(envelope, ensure_ascii=False, allow_nan=False)
        with self._lock:
            self._announce(camera)
            events = self._open.setdefault(camera, set())
            if envelope["kind"] == "end":
                events.discard(envelope["event_id"])
            else:
                events.add(envelope["event_id"])
            alert = "ON" if events else "OFF"
            sent = [self._publish(f"{topic}/event", body, retain=False)]
            sent += [self._publish(f"{topic}/{leaf}", text) for leaf, text in (("attributes", body), ("alert", alert))]
            if picture := self._picture(envelope):
                sent += [self._publish(f"{topic}/snapshot", picture)]
        self._await(sent)

    def _picture(self, envelope: Envelope) -> bytes:
        """The event's snapshot; empty where there is none (any more)."""
        if self._media is None or envelope["snapshot"] is None:
            return b""
        try:
            return (self._media / envelope["snapshot"]).read_bytes()
        except OSError:
            return b""

    def tell(self, notice: Notice) -> None:
        camera, topic = notice["camera"], self._topic(notice["camera"])
        if not self._client.is_connected():
            raise DeliveryError(f"broker {self._options.host}:{self._options.port}: {self._trouble}")
        body = json.dumps(notice, ensure_ascii=False, allow_nan=False)
        with self._lock:
            self._announce(camera)
            troubles = self._troubles.setdefault(camera, set())
            (troubles.discard if notice["kind"] == "cleared" else troubles.add)(notice["event_id"])
            sent = [self._publish(f"{topic}/health", body, retain=False)]
            sent += [self._publish(f"{topic}/trouble", "ON" if troubles else "OFF")]
            sent += [self._publish(f"{topic}/trouble/attributes", body)]
        self._await(sent)

    def _await(self, sent: Sequence[MQTTMessageInfo]) -> None:
        """Return once the broker has acknowledged all of them."""
        until = self._clock.monotonic() + self._options.timeout_s
        try:
            for info in sent:
                info.wait_for_publish(max(until - self._clock.monotonic(), 0.01))
                if not info.is_published():
                    raise DeliveryError(f"broker {self._options.host}:{self._options.port} did not acknowledge in time")
        except (RuntimeError, ValueError) as error:  # paho: the connection broke meanwhile, or its queue is full
            raise DeliveryError(f"broker {self._options.host}:{self._options.port}: {error}") from error

    def show_score(self, camera: str, score: float) -> None:
        now = self._clock.monotonic()
        if now - self._shown_at.get(camera, now - _SCORE_EVERY_S) < _SCORE_EVERY_S or not self._client.is_connected():
            return
        self._shown_at[camera] = now
        with self._lock:
            self._announce(camera)
            self._publish(f"{self._topic(camera)}/score", f"{score:.4f}", qos=0)

    def show_camera(self, camera: str, online: bool) -> None:
        with self._lock:
            self._announce(camera)
            self._publish(f"{self._topic(camera)}/availability", "online" if online else "offline")

    def close(self) -> None:
        if self._client.is_connected():
            info = self._client.publish(self._status, "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # the connection broke: then the last will says the same
                info.wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()
        # paho closes its wake-up sockets when it is collected: no circle may keep it
        self._client.on_connect = self._client.on_disconnect = self._client.on_connect_fail = None

    def _topic(self, camera: str) -> str:
        return f"{self._options.prefix}/{topic_name(camera)}"

    def _publish(self, topic: str, text: str | bytes, *, retain: bool = True, qos: int = 1) -> MQTTMessageInfo:
        if retain:
            self._retained[topic] = text
        return self._client.publish(topic, text, qos=qos, retain=retain)

    def _announce(self, camera: str) -> None:
        """Prepare a camera's retained topics at its first mention. A process that starts has no event open."""
        topic = self._topic(camera)
        if f"{topic}/alert" in self._retained:
            return
        first = {f"{topic}/alert": "OFF", f"{topic}/trouble": "OFF", f"{topic}/availability": "offline"}
        if self._options.discovery_prefix:
            first |= announcements(camera, self._options.prefix, self._options.discovery_prefix)
        for place, text in first.items():
            self._retained[place] = text
            if self._client.is_connected():
                self._client.publish(place, text, qos=1, retain=True)

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._trouble = f"it refused us: {code}"
            return
        with self._lock:
            client.publish(self._status, "online", qos=1, retain=True)
            for topic, text in self._retained.items():
                client.publish(topic, text, qos=1, retain=True)

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this from within its `except`
        self._trouble = str(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error)
        if isinstance(error, ssl.SSLCertVerificationError):
            self._trouble = f"its certificate is not vouched for by ca_file ({self._trouble})"

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._trouble = f"connection lost ({code})"
