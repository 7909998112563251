"""refinevad watch as people run it: what it prints, where events go, how it ends, and how it goes on after kill -9."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from fakes import MeanEncoder
from patience import patience, wait_until
from refinevad.apps.live.clock import unix
from refinevad.apps.live.delivery.sinks.webhook import verify
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.settings.sink_options import FolderOptions, MqttOptions, StdoutOptions, WebhookOptions
from refinevad.apps.live.storage.store import Store
from refinevad.apps.live.watching import configured
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.shipped.names import shipped_folder
from servers import Program, Receiver
from watch_cases import RULE, checkpoint, write_film

FAKES = Path(__file__).with_name("fakes.py")
LENGTHS = ("--window", str(RULE.window_s), "--delay", str(RULE.delay_s))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a run and two films."""
    checkpoint().save(tmp_path / "run")
    for seed, name in enumerate("ab"):
        write_film(tmp_path / f"{name}.mp4", 20, seed)
    return tmp_path


@pytest.fixture
def watch(place: Path) -> Iterator[object]:
    """watch(words...) starts the program there; ended if it still runs afterwards."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(FAKES), "watch", *words]
        pipe = subprocess.PIPE
        with (place / "stderr").open("w") as errors:
            process = subprocess.Popen(command, cwd=place, stdout=pipe, stderr=errors, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def of_events(lines: Iterable[str]) -> list[dict[str, object]]:
    """Envelopes of events; a camera's troubles are left aside: its flat pictures may count as covered."""
    return [told for told in map(json.loads, lines) if "trouble" not in told]


def first_event(lines: Iterable[str]) -> dict[str, object]:
    return next(told for told in map(json.loads, lines) if "trouble" not in told)


def test_files_give_the_events_of_detect_on_stdout_in_a_folder_and_in_the_database(place: Path, watch) -> None:
    sinks = ("--sink", "folder:found", "--sink", f"sqlite:///{place}/own.db")
    process = watch("a.mp4", "b.mp4", "--model", "run", "--fast", *LENGTHS, *sinks)
    out, _ = process.communicate(timeout=patience(200))
    said = (place / "stderr").read_text()
    assert process.returncode == 0, said
    envelopes = of_events(out.splitlines())
    store = Store.open(Secret(f"sqlite:///{place}/own.db"), place / "media")
    choice = EncoderChoice("lite", MeanEncoder(), None)
    for name in "ab":
        events = Detector(checkpoint(), "run", choice, RULE).detect(place / f"{name}.mp4").events
        ends = [e for e in envelopes if e["camera"] == name and e["kind"] == "end"]
        stored = store.events.find(camera=name)[::-1]
        assert len(events) == len(ends) == len(stored) >= 1
        curve = store.scores.between(name, 0.0, 1e12)
        for event, end, row in zip(events, ends, stored, strict=True):
            assert unix(end["after"]["start_time"]) - curve.time[0] == pytest.approx(event.start_s, abs=2e-3)
            assert unix(end["after"]["end_time"]) - curve.time[0] == pytest.approx(event.end_s, abs=2e-3)
            assert end["after"]["category"] == event.category
            assert (row.event.id, row.event.state, row.event.clip) == (end["event_id"], "ended", end["clip"])
            day = end["after"]["start_time"][:10]
            folder = place / "found" / name / day / end["event_id"]
            assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "event.json", "snapshot.jpg"]
            assert json.loads((folder / "event.json").read_text()) == end
        assert f"{name}: ended, " in said
        assert len(curve.time) == 32
    store.close()


def test_every_sink_gets_the_same_envelopes(
    place: Path, watch, receiver: Receiver, mosquitto: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook and a broker beside stdout: all of it signed, in order, and the retained state of a camera at rest."""
    monkeypatch.setenv("REFINEVAD_WEBHOOK_SECRET", "key")
    retained: dict[str, str] = {}
    told: list[dict] = []

    def take(_client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.endswith("/event"):
            told.append(json.loads(message.payload))
        elif not message.topic.endswith("/snapshot"):  # a picture
            retained[message.topic] = message.payload.decode()

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = take
    client.on_connect = lambda *_: client.subscribe("#", qos=1)
    subscribed = []
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    wait_until(lambda: bool(subscribed), "the subscription")
    sinks = ("--sink", receiver.url, "--sink", f"mqtt://127.0.0.1:{mosquitto.port}")
    process = watch("a.mp4", "--model", "run", "--fast", *LENGTHS, *sinks)
    out, _ = process.communicate(timeout=patience(200))
    assert process.returncode == 0, (place / "stderr").read_text()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [json.loads(request.body) for request in receiver.requests] == lines
    envelopes = [line for line in lines if "trouble" not in line]  # pictures of one grey each may count as covered
    assert [envelope["kind"] for envelope in envelopes[:1] + envelopes[-1:]] == ["new", "end"]
    for request in receiver.requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp, signature = headers["x-refinevad-timestamp"], headers["x-refinevad-signature"]
        assert verify("key", stamp, signature, request.body, float(stamp))
    wait_until(lambda: len(told) >= len(envelopes), "the broker's events")
    assert told == envelopes
    wait_until(lambda: retained.get("refinevad/status") == "offline", "the goodbye")
    assert retained["refinevad/a/alert"] == "OFF"
    assert json.loads(retained["refinevad/a/attributes"]) == envelopes[-1]
    client.disconnect()
    client.loop_stop()
    client.on_message = client.on_connect = client.on_subscribe = None


def test_kill_9_in_mid_event_is_an_end_after_the_restart(place: Path, watch) -> None:
    """The first process is killed after its first line, `new`; the second tells the end of that event first."""
    checkpoint(threshold=0.01).save(place / "run")  # everything is an event
    words = ("a.mp4", "--model", "run", *LENGTHS, "--state", "state", "--sink", "folder:found")
    first = watch(*words)
    new = first_event(first.stdout)
    assert (new["kind"], new["reason"]) == ("new", None)
    wait_until(lambda: bool(list((place / "found").rglob("event.json"))), "the folder")
    first.kill()
    first.wait()
    second = watch(*words, "--fast")
    out, _ = second.communicate(timeout=patience(200))
    assert second.returncode == 0, (place / "stderr").read_text()
    envelopes = of_events(out.splitlines())
    end = next(e for e in envelopes if e["kind"] == "end")
    assert (end["event_id"], end["reason"]) == (new["event_id"], "restart")
    (folder,) = (place / "found").rglob(new["event_id"])
    assert json.loads((folder / "event.json").read_text())["kind"] == "end"
    later = [e for e in envelopes if e["event_id"] != new["event_id"]]
    assert [later[0]["kind"], later[-1]["kind"]] == ["new", "end"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_ends_what_is_open(place: Path, watch, how: signal.Signals) -> None:
    checkpoint(threshold=0.01).save(place / "run")
    process = watch("a.mp4", "--model", "run", *LENGTHS)
    new = first_event(process.stdout)
    os.kill(process.pid, how)
    out, _ = process.communicate(timeout=patience(100))
    assert process.returncode == 0, (place / "stderr").read_text()
    end = of_events(out.splitlines())[-1]
    assert (new["kind"], end["kind"], end["event_id"], end["reason"]) == ("new", "end", new["event_id"], None)
    assert sorted(path.name for path in place.iterdir()) == ["a.mp4", "b.mp4", "run", "stderr"]  # nothing is kept


def chosen(place: Path, *sources: str, **options: object) -> object:
    given = {"config": None, "model": place / "run", "threshold": None, "sinks": [], "state": None, "lines": True}
    with ExitStack() as files:
        return configured([str(place / source) for source in sources], **{**given, **options}, files=files)


def test_sinks_by_the_words_people_type(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINEVAD_WEBHOOK_SECRET", "s3")
    monkeypatch.chdir(place)
    sinks = [
        "folder:found",
        "https://example.org/hook?token=x",
        "mqtts://me:p%40w@broker",
        "postgresql://u:p@host/db",
    ]
    watch = chosen(place, "a.mp4", sinks=sinks)
    assert watch.keep
    config = watch.config
    stdout, folder, webhook, mqtt = config.sinks
    assert stdout == StdoutOptions()
    assert folder == FolderOptions("folder-1", Path("found"))
    assert isinstance(webhook, WebhookOptions)
    assert (webhook.url.reveal(), webhook.secret.reveal()) == (sinks[1], "s3")
    assert isinstance(mqtt, MqttOptions)
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.password.reveal(), mqtt.tls) == (
        "broker",
        8883,
        "me",
        "p@w",
        True,
    )
    assert config.storage.reveal() == "postgresql+psycopg://u:p@host/db"
    assert config.media == Path("refinevad-live/media")
    assert not chosen(place, "a.mp4").keep
    assert not chosen(place, "a.mp4", lines=False).config.sinks


def test_a_file_says_all_but_what_is_added(place: Path) -> None:
    path = place / "cameras.toml"
    text = 'model = "run"\n[[camera]]\nname = "door"\nsource = "a.mp4"\n[[sink]]\ntype = "folder"\npath = "kept"\n'
    path.write_text(text)
    config = chosen(place, config=path, model=None, sinks=["folder:more"]).config
    assert [sink.name for sink in config.sinks] == ["stdout", "folder", "folder-1"]
    assert config.media == place / "media"
    with pytest.raises(InputError, match="with --config the file says"):
        chosen(place, config=path)
    path.write_text('model = "run"\n')
    with pytest.raises(InputError, match="names no camera"):
        chosen(place, config=path, model=None)


def test_without_a_model_the_one_that_ships_watches(place: Path) -> None:
    assert chosen(place, "a.mp4", model=None).config.cameras[0].model == shipped_folder("fighting")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 1.5}, "must lie in"),
        ({"sinks": ["carrier-pigeon"]}, "carrier-pigeon is no sink"),
        ({"sinks": ["ftp://me:secret@host/"]}, r"ftp://\*\*\*@host/ is no sink"),
        ({"sinks": ["mqtt://:1883"]}, "names no host"),
        ({"sinks": ["mqtt://host:port"]}, "is no URL"),
    ],
)
def test_options_at_fault_are_named(place: Path, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen(place, "a.mp4", **options)
    with pytest.raises(InputError, match="one of the two"):
        chosen(place)
