"""Frigate's companion: what Frigate has reviewed is looked at once more, and events found in it are written back to it.

    python integrations/frigate/companion.py --frigate http://frigate:5000 --mqtt frigate:1883 --model runs/mine

Listens on Frigate's MQTT for reviews that end (`frigate/reviews`), fetches their recording by Frigate's HTTP API with a
few seconds before and behind, and posts each event found as a manual event of its camera, with the category as label,
the peak as score, and a description that says when it happened: Frigate dates a manual event at the moment of the post.
The reviewed objects themselves, which have the right times, get the category as sub-label.

Needs refinevad[service] for MQTT. Nothing is stored: what is missed while it does not run is not made up for.
"""

import argparse
import json
import queue
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

MOST_WAITING = 100  # reviews; a machine that is too small drops the newest and says so
MOST_CLIP_BYTES = 2 << 30
_TRIES, _PAUSE_S = 4, 5.0  # Frigate closes a recording's last part ten seconds late


class Detector(Protocol):
    """Anything that finds events in a file, as refinevad.Detector does."""

    def detect(self, video: Path) -> Any:
        """What was found in a video: it has `events`, each with `start_s`, `end_s`, `category` and `peak`."""


@dataclass(frozen=True)
class Review:
    """A stretch of one camera that Frigate has reviewed, in seconds of Unix time, and the objects in it."""

    camera: str
    start_s: float
    end_s: float
    objects: tuple[str, ...] = ()


def review_of(payload: bytes) -> Review | None:
    """The review that a message on `frigate/reviews` ends; None: it ends none."""
    try:
        message = json.loads(payload)
        after = message["after"]
        if message["type"] != "end" or after["end_time"] is None:
            return None
        found = tuple(str(one) for one in after.get("data", {}).get("detections", []))
        return Review(str(after["camera"]), float(after["start_time"]), float(after["end_time"]), found)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Frigate:
    """Frigate's HTTP API, as far as it is needed."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        self._url, self._timeout_s = url.rstrip("/"), timeout_s

    def fetch(self, camera: str, start_s: float, end_s: float, target: Path) -> None:
        """Write the recording of a stretch. Raises OSError where there is none."""
        name = urllib.parse.quote(camera, safe="")
        address = f"{self._url}/api/{name}/start/{start_s:.3f}/end/{end_s:.3f}/clip.mp4"
        with urllib.request.urlopen(address, timeout=self._timeout_s) as answer, target.open("wb") as file:
            left = MOST_CLIP_BYTES
            while left > 0 and (part := answer.read(min(left, 1 << 20))):
                file.write(part)
                left -= len(part)
        if target.stat().st_size == 0:
            raise OSError(f"{address} is empty")

    def create(self, camera: str, label: str, score: float, duration_s: float) -> str:
        """A manual event; gives its id. Raises OSError where Frigate does not take it."""
        path = "/".join(urllib.parse.quote(part, safe="") for part in (camera, label))
        body = {
            "sub_label": "refinevad",
            "score": round(score, 4),
            "duration": max(round(duration_s), 1),
            "include_recording": True,
        }
        return str(self._post(f"/api/events/{path}/create", body).get("event_id", ""))

    def describe(self, event: str, words: str) -> None:
        """Give an event a description. Raises OSError where Frigate does not take it."""
        self._post(f"/api/events/{urllib.parse.quote(event, safe='')}/description", {"description": words})

    def name_part(self, event: str, label: str, score: float) -> None:
        """Give a tracked object a sub-label. Raises OSError where Frigate does not take it."""
        body = {"subLabel": label[:100], "subLabelScore": round(max(score, 1e-4), 4)}
        self._post(f"/api/events/{urllib.parse.quote(event, safe='')}/sub_label", body)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
            try:
                found = json.loads(answer.read(1 << 20))
            except ValueError as error:
                raise OSError(f"{path}: Frigate's answer is no JSON") from error
        return found if isinstance(found, dict) else {}


class Companion:
    """Reviews in, events out, one at a time, in a thread of its own; what fails is told, and the next one goes on."""

    def __init__(
        self, detector: Detector, frigate: Frigate, beside_s: float = 5.0, settle_s: float = 12.0, least: float = 0.0
    ) -> None:
        self._detector, self._frigate = detector, frigate
        self._beside_s, self._settle_s, self._least = beside_s, settle_s, least
        self._waiting: queue.Queue[Review | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is waiting, and end."""
        self._waiting.put(None)
        self._thread.join()

    def take(self, payload: bytes) -> None:
        """A message of `frigate/reviews`."""
        review = review_of(payload)
        if review is None:
            return
        try:
            self._waiting.put_nowait(review)
        except queue.Full:
            tell(f"{review.camera}: {MOST_WAITING} reviews wait already; one is left out")

    def _work(self) -> None:
        while (review := self._waiting.get()) is not None:
            try:
                self._look(review)
            except Exception as error:  # noqa: BLE001  one review's fault is not the next one's
                tell(f"{review.camera} at {_clock(review.start_s)}: {error}")

    def _look(self, review: Review) -> None:
        begin_s = review.start_s - self._beside_s
        with tempfile.TemporaryDirectory(prefix="refinevad-") as folder:
            clip = Path(folder) / "clip.mp4"
            time.sleep(max(0.0, min(review.end_s + self._settle_s - time.time(), self._settle_s)))
            self._fetch(review, begin_s, clip)
            events = [event for event in self._detector.detect(clip).events if event.peak >= self._least]
        for event in events:
            number = self._frigate.create(review.camera, event.category, event.peak, event.end_s - event.start_s)
            stretch = f"{_clock(begin_s + event.start_s)} to {_clock(begin_s + event.end_s)}"
            if number:
                self._frigate.describe(number, f"{event.category}, score {event.peak:.2f}, {stretch}")
            tell(f"{review.camera}: {event.category}, score {event.peak:.2f}, {stretch}")
        if events:
            strongest = max(events, key=lambda event: float(event.peak))
            for found in review.objects:
                self._frigate.name_part(found, strongest.category, strongest.peak)

    def _fetch(self, review: Review, begin_s: float, clip: Path) -> None:
        for left in range(_TRIES - 1, -1, -1):
            try:
                self._frigate.fetch(review.camera, begin_s, review.end_s + self._beside_s, clip)
                return
            except urllib.error.HTTPError:
                if not left:
                    raise
                time.sleep(_PAUSE_S if self._settle_s else 0.0)


def listen(companion: Companion, host: str, port: int, prefix: str, username: str = "", password: str = "") -> Any:
    """A connected client that hands over Frigate's reviews, and connects again whenever it has to."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    if username:
        client.username_pw_set(username, password)
    client.on_connect = lambda own, *_: own.subscribe(f"{prefix}/reviews", qos=1)
    client.on_message = lambda _client, _data, message: companion.take(message.payload)
    client.connect(host, port)
    client.loop_start()
    return client


def tell(sentence: str) -> None:
    """One line on stderr."""
    print(f"refinevad for Frigate: {sentence}", file=sys.stderr, flush=True)


def _clock(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def main() -> None:
    """Run until it is interrupted. The password is read from the environment: MQTT_PASSWORD."""
    import os

    import refinevad

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frigate", required=True, metavar="URL", help="such as http://frigate:5000")
    parser.add_argument("--mqtt", required=True, metavar="HOST:PORT", help="the broker that Frigate tells")
    parser.add_argument("--username", default="", help="at the broker; its password is MQTT_PASSWORD's")
    parser.add_argument("--prefix", default="frigate", help="Frigate's topic_prefix")
    parser.add_argument("--model", default="fighting", metavar="RUN", help="a run, or a model that ships")
    parser.add_argument("--beside", type=float, default=5.0, metavar="S", help="seconds before and behind a review")
    parser.add_argument("--least", type=float, default=0.0, metavar="SCORE", help="events below it are passed over")
    args = parser.parse_args()
    host, _, port = args.mqtt.partition(":")
    companion = Companion(refinevad.Detector.open(args.model), Frigate(args.frigate), args.beside, least=args.least)
    companion.start()
    client = listen(companion, host, int(port or 1883), args.prefix, args.username, os.environ.get("MQTT_PASSWORD", ""))
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        client.loop_stop()


if __name__ == "__main__":
    main()
