"""cameras.toml, secrets, access tokens and clocks."""

import stat
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from manual_clock import ManualClock
from refinevad.apps.live.clock import Anchor, iso, unix
from refinevad.apps.live.settings.config import RetentionConfig, _CameraTable, _Top, read_config, watch_config
from refinevad.apps.live.settings.secret import read_secret
from refinevad.apps.live.settings.sink_options import SINK_TYPES, MqttOptions, WebhookOptions
from refinevad.apps.service import access_token
from refinevad.errors import InputError

WHOLE = """
model = "runs/mine"
storage = "sqlite:///kept/live.db"
media = "kept/media"
pre_roll_s = 8

[retention]
events_days = 45

[[camera]]
name = "door"
source = "rtsp://10.0.0.5/stream"
username = "viewer"
password = "env:DOOR_PASSWORD"
threshold = 0.75
sinks = ["hook"]

[[camera]]
name = "Hof 2"
source = "env:YARD"
model = "runs/other"
pre_roll_s = 2.5

[[sink]]
type = "webhook"
name = "hook"
url = "https://hooks.example/T0"
secret = "file:KEY"

[[sink]]
type = "mqtt"
name = "home"
host = "10.0.0.2"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOOR_PASSWORD", "t0p/secret")
    monkeypatch.setenv("YARD", "http://10.0.0.6/mjpg?user=a&pwd=yardkey")
    (tmp_path / "key").write_text("signing key\n")
    (tmp_path / "cameras.toml").write_text(WHOLE.replace("KEY", str(tmp_path / "key")))
    return tmp_path


def test_everything_is_read(folder: Path) -> None:
    config = read_config(folder / "cameras.toml")
    door, yard = config.cameras
    assert (door.name, door.model, door.threshold, door.pre_roll_s) == ("door", folder / "runs/mine", 0.75, 8.0)
    assert door.source.url == "rtsp://viewer:t0p%2Fsecret@10.0.0.5/stream"
    assert (yard.name, yard.model, yard.threshold, yard.pre_roll_s) == ("Hof 2", folder / "runs/other", None, 2.5)
    assert config.sinks_of(door) == ("hook",)
    assert config.sinks_of(yard) == ("hook", "home")
    hook, home = config.sinks
    assert isinstance(hook, WebhookOptions)
    assert hook.secret is not None
    assert hook.secret.reveal() == "signing key"
    assert isinstance(home, MqttOptions)
    assert (home.host, home.port) == ("10.0.0.2", 1883)
    assert config.storage.reveal() == f"sqlite:///{folder}/kept/live.db"
    assert (config.media, config.retention.events_days, config.retention.scores_days) == (folder / "kept/media", 45, 30)


def test_a_certificate_is_held_against_a_file_beside_the_configuration(folder: Path) -> None:
    (folder / "door.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    path = folder / "cameras.toml"
    path.write_text(path.read_text().replace('"rtsp://10.0.0.5/stream"', '"rtsps://10.0.0.5/a"\nca_file = "door.pem"'))
    door, yard = read_config(path).cameras
    assert {name: door.source.options[name] for name in ("tls_verify", "ca_file")} == {
        "tls_verify": "1",
        "ca_file": str(folder / "door.pem"),
    }
    assert "tls_verify" not in yard.source.options


def test_no_secret_shows(folder: Path) -> None:
    shown = repr(read_config(folder / "cameras.toml"))
    assert not [word for word in ("t0p", "yardkey", "signing", "T0") if word in shown]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("pre_roll_s = 8", "preroll_s = 8"), "preroll_s"),
        (("events_days", "event_days"), "event_days"),
        (("threshold = 0.75", "threshold = 1.5"), "threshold"),
        (("threshold = 0.75", 'threshold = "high"'), "threshold"),
        (("threshold = 0.75", "threshold = true"), "threshold"),
        (('name = "door"', 'name = "../door"'), "../door"),
        (('name = "door"', 'name = "Hof 2"'), "Hof 2"),
        (('name = "door"', ""), "name"),
        (('sinks = ["hook"]', 'sinks = ["hock"]'), "hock"),
        (('type = "mqtt"', 'type = "amqp"'), "amqp"),
        (('host = "10.0.0.2"', ""), "host"),
        (('host = "10.0.0.2"', "host = 5"), "host"),
        (("env:DOOR_PASSWORD", "env:NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("threshold = 0.75", 'ca_file = "KEY"'), "ca_file is for rtsps and https"),
        (
            ('source = "rtsp://10.0.0.5/stream"', 'source = "rtsps://10.0.0.5/a"\nca_file = "no.pem"'),
            "no.pem is not there",
        ),
        (("threshold = 0.75", 'ca_file = "' + "a" * 5000 + '"'), "ca_file"),
        (("events_days = 45", "events_days = 1" + "0" * 400), "too large"),
        (("events_days = 45", "events_days = 0x" + "f" * 5000), "too large"),
        (("events_days = 45", "events_days = 1e300"), "events_days"),
        (("events_days = 45", "events_days = nan"), "events_days"),
        (("events_days = 45", "media_gb = 1e300"), "media_gb"),
        (("pre_roll_s = 8", "outbox_envelopes = 99999999999999999999"), "outbox_envelopes"),
        (('media = "kept/media"', 'media = "~nobody-of-this-name/media"'), "media"),
        (("env:DOOR_PASSWORD", "file:/dev/zero"), "/dev/zero"),
        (("env:DOOR_PASSWORD", "file:" + "a" * 5000), "password"),
        (("env:DOOR_PASSWORD", "file:a\\u0000b"), "password"),
        (("threshold = 0.75", "mask = [{points = [[0, 0], [1, 0]]}]"), "3 to 64 corners"),
        (("threshold = 0.75", "zone = 5"), "zone"),
        (("threshold = 0.75", "mask = [{points = [[0, 0], [1, 0], [1, 1], [0, 1]]}]"), "nothing of the picture"),
        (("[retention]", "[[retention]]"), "retention"),
        (("[[camera]]", "[camera]"), "TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder: Path, change: tuple[str, str], word: str) -> None:
    path = folder / "cameras.toml"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError) as refused:
        read_config(path)
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "t0p" not in str(refused.value)


def test_addresses_on_the_command_line_get_names(tmp_path: Path) -> None:
    (tmp_path / "yard.mp4").touch()
    sources = [str(tmp_path / "yard.mp4"), "rtsp://u:p@10.0.0.5:554/a", "rtsp://10.0.0.5:554/b", "/dev/video3"]
    names = [camera.name for camera in watch_config(sources, tmp_path).cameras]
    assert names == ["yard", "10.0.0.5-554", "10.0.0.5-554-2", "video3"]


def test_home_assistant_can_be_left_out(folder: Path) -> None:
    path = folder / "cameras.toml"
    path.write_text(path.read_text().replace('host = "10.0.0.2"', 'host = "10.0.0.2"\ndiscovery_prefix = ""'))
    home = read_config(path).sinks[1]
    assert isinstance(home, MqttOptions)
    assert home.discovery_prefix == ""


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for text in ("", f"file:{tmp_path / 'empty'}", f"file:{tmp_path / 'absent'}"):
        with pytest.raises(InputError, match="password"):
            read_secret(text, "password")


def test_a_token_is_kept_as_a_hash_in_a_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "private" / "token"
    token = access_token.make_token_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    known = access_token.read_token_file(path)
    assert known.matches(token)
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "\udc80", path.read_text().strip()):
        assert not known.matches(wrong)
    assert known.stored().removeprefix("sha256:") not in repr(known)
    with pytest.raises(InputError, match="exists"):
        access_token.make_token_file(path)
    assert access_token.make_token_file(tmp_path / "other") != token


def test_an_open_or_foreign_token_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    access_token.make_token_file(path)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(InputError, match="chmod 600"):
            access_token.read_token_file(path)
    path.chmod(0o600)
    path.write_text("hunter2\n")
    with pytest.raises(InputError, match="no token file"):
        access_token.read_token_file(path)
    with pytest.raises(InputError, match="not found"):
        access_token.read_token_file(tmp_path / "absent")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(host: str) -> None:
    access_token.require_token(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.4", "camera-box", "localhost.example", "10.0.0.1"])
def test_elsewhere_a_token_is_needed(host: str) -> None:
    access_token.require_token(host, access_token.TokenHash.of("t"))
    with pytest.raises(InputError, match="token"):
        access_token.require_token(host, None)


def test_a_wall_clock_that_jumps_moves_no_stream() -> None:
    clock = ManualClock(wall_s=1000.0, monotonic_s=50.0)
    anchor = Anchor(clock)
    clock.advance(10.0)
    clock.jump(-3600.0)
    clock.advance(10.0)
    assert anchor.wall(clock.monotonic()) == 1020.0
    assert anchor.renew() == -3600.0
    assert anchor.wall(clock.monotonic()) == -2580.0
    clock.jump(1.5)  # what a time server slews away
    assert anchor.renew() == 0.0
    assert anchor.wall(clock.monotonic()) == -2580.0


def test_times_are_written_in_utc_and_read_back() -> None:
    assert iso(1_700_000_000.125) == "2023-11-14T22:13:20.125Z"
    assert unix("2023-11-14T22:13:20.500Z") == 1_700_000_000.5
    assert unix("2023-11-14T23:13:20.500+01:00") == 1_700_000_000.5
    assert unix("2023-11-14T22:13:20") == 1_700_000_000.0
    with pytest.raises(ValueError):
        unix("yesterday")


def test_the_documented_file_is_read_and_leaves_out_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "docs" / "live.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    (tmp_path / "door").write_text("pass")
    (tmp_path / "door.pem").write_text("certificate")
    for name in ("HOOK_KEY", "MQTT_PASSWORD", "NIGHT_WATCH"):
        monkeypatch.setenv(name, "a secret")
    path = tmp_path / "cameras.toml"
    path.write_text(example.replace("/run/secrets/door", str(tmp_path / "door")))
    config = read_config(path)
    tables = tomllib.loads(example)
    assert {name for name in tables if name not in ("camera", "sink", "retention")} == names_of(_Top)
    assert set(tables["retention"]) == names_of(RetentionConfig)
    assert set(tables["camera"][0]) == names_of(_CameraTable) | {"mask", "zone"}
    assert config.cameras[0].zones.masks[0].name == tables["camera"][0]["mask"][0]["name"]
    assert {table["type"]: set(table) - {"type"} for table in tables["sink"]} == {
        kind: names_of(options) for kind, options in SINK_TYPES.items()
    }
    assert config.retention == RetentionConfig()  # the defaults it states are the defaults
    plain = _Top()
    assert (config.outbox_envelopes, tables["pre_roll_s"]) == (plain.outbox_envelopes, plain.pre_roll_s)
    for table, kind in ((table, SINK_TYPES[table["type"]]) for table in tables["sink"]):
        for field in fields(kind):
            if type(field.default) in (float, int) and field.name in table:
                assert table[field.name] == field.default, field.name


def names_of(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}
