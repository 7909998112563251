"""What lies in integrations/: each has the shape its program expects, and speaks of what refinevad really says."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from live_cases import envelope
from manual_clock import ManualClock
from patience import patience, wait_until
from refinevad.apps.live.delivery.sinks.discovery import announcements
from refinevad.apps.service.guesses import Guesses
from refinevad.apps.service.prometheus import Metrics
from servers import DEBIAN_PYTHON, Program
from videos import write_video

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

HERE = Path(__file__).parents[1] / "integrations"
_OWN = re.compile(r"\brefinevad_[a-z0-9_]+")


def _load(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"integration_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _known_metrics() -> set[str]:
    """Names of the samples that /metrics gives, cameras' and sinks' among them."""
    from prometheus_client.parser import text_string_to_metric_families

    metrics = Metrics(list, list, Guesses(ManualClock(), print), ManualClock())
    found = set()
    for family in text_string_to_metric_families(metrics.text().decode()):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found |= {family.name + suffix for suffix in suffixes}
    return found


# --- Prometheus and Grafana ---------------------------------------------------------------------------------


def test_every_metric_that_is_asked_for_is_there() -> None:
    known = _known_metrics()
    assert {"refinevad_camera_up", "refinevad_frames_in_total", "refinevad_latency_seconds_bucket"} <= known
    rules = yaml.safe_load((HERE / "prometheus" / "alerts.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    board = json.loads((HERE / "grafana" / "dashboards" / "refinevad.json").read_text())
    expressions += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expressions += [one["definition"] for one in board["templating"]["list"] if "definition" in one]
    assert len(expressions) > 20
    for expression in expressions:
        asked = set(_OWN.findall(expression))
        assert asked <= known, (expression, asked - known)
        assert asked or "up{" in expression, expression


def test_the_dashboard_and_its_provisioning_fit_each_other() -> None:
    board = json.loads((HERE / "grafana" / "dashboards" / "refinevad.json").read_text())
    assert board["uid"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)), "panels overlap"
    variables = {one["name"] for one in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= variables
    provisioning = HERE / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "refinevad.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "refinevad.yaml").read_text())["providers"]
    assert provider["options"]["path"]


def test_alert_rules_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *words], cwd=HERE / "prometheus", capture_output=True, text=True, timeout=patience(60)
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- Home Assistant and Node-RED ----------------------------------------------------------------------------


class _Blueprint(yaml.SafeLoader):
    """YAML with Home Assistant's `!input NAME`."""


_Blueprint.add_constructor("!input", lambda loader, node: SimpleNamespace(input=loader.construct_scalar(node)))


def _inputs(value: Any) -> Iterator[str]:
    if isinstance(value, SimpleNamespace):
        yield value.input
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inputs(one)


def _fields(event: dict[str, Any]) -> set[str]:
    inner = {f"after.{name}" for name in event["after"]}
    return set(event) | inner


def _envelope() -> dict[str, Any]:
    return json.loads(json.dumps(envelope()))


def test_the_blueprint_listens_where_events_are_told_and_reads_what_they_say() -> None:
    blueprint = yaml.load((HERE / "home-assistant" / "refinevad_event.yaml").read_text(), _Blueprint)
    assert blueprint["blueprint"]["domain"] == "automation"
    declared = blueprint["blueprint"]["input"]
    assert set(_inputs(blueprint)) == set(declared)
    topic = announcements("yard", "refinevad", "homeassistant")
    base = next(told["state_topic"] for told in map(json.loads, topic.values()) if "state_topic" in told).rpartition(
        "/"
    )[0]
    assert declared["topic"]["default"] == f"{base.replace('yard', '+')}/event"
    told = _fields(_envelope())
    read = set(re.findall(r"payload_json\.([\w.]+)", json.dumps(blueprint, default=str)))
    assert read <= told, read - told
    assert set(declared["kinds"]["selector"]["select"]["options"]) == {"new", "update", "end"}


def test_the_flow_is_wired_and_says_an_event_in_words() -> None:
    nodes = json.loads((HERE / "node-red" / "flow.json").read_text())
    by_id = {node["id"]: node for node in nodes}
    assert len(by_id) == len(nodes)
    assert all(target in by_id for node in nodes for port in node.get("wires", []) for target in port)
    (source,) = [node for node in nodes if node["type"] == "mqtt in"]
    assert by_id[source["broker"]]["type"] == "mqtt-broker"
    assert source["topic"] == "refinevad/+/event"
    (function,) = [node for node in nodes if node["type"] == "function"]
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    payload = json.dumps(_envelope())
    program = f"const f = new Function('msg', {json.dumps(function['func'])});"
    program += f"console.log(f({{payload: {payload}}}).payload);"
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, timeout=patience(60))
    assert done.returncode == 0, done.stderr
    event = _envelope()
    assert done.stdout.startswith(f"{event['camera']}: {event['after']['category']} at 20")
    assert f"score {event['after']['peak']:.2f}" in done.stdout


# --- GStreamer ----------------------------------------------------------------------------------------------


def test_gstreamers_pictures_come_whole_and_in_time() -> None:
    check = "import gi, numpy; gi.require_version('Gst', '1.0'); from gi.repository import Gst"
    if not DEBIAN_PYTHON.exists() or subprocess.run([DEBIAN_PYTHON, "-c", "import gi"], capture_output=True).returncode:
        pytest.skip("no GStreamer for Python (Debian: python3-gi gir1.2-gst-plugins-base-1.0)")
    import numpy

    packages = str(Path(numpy.__file__).parents[1])
    program = (
        f"import sys; sys.path[:0] = [{str(HERE / 'gstreamer')!r}]; sys.path.append({packages!r})\n{check}\n"
        "import segments\n"
        "found = list(segments.pictures('videotestsrc num-buffers=10 pattern=red ! "
        "video/x-raw,width=30,height=20,framerate=25/1'))\n"
        "print(len(found), found[0][0].shape, found[0][0][10, 10].tolist(), [round(s, 2) for _, s in found])\n"
    )
    done = subprocess.run([DEBIAN_PYTHON, "-c", program], capture_output=True, text=True, timeout=patience(60))
    if ("numpy" in done.stderr and "ModuleNotFound" in done.stderr) or "C-extensions" in done.stderr:
        pytest.skip("numpy here is not of Debian's Python")
    assert done.returncode == 0, done.stderr
    # 30 columns of three bytes are padded to 92; ten pictures of 25 a second
    assert done.stdout.split() == f"10 (20, 30, 3) [255, 0, 0] {[round(0.04 * n, 2) for n in range(10)]}".split()


# --- Frigate ------------------------------------------------------------------------------------------------


class FakeFrigate:
    """Answers as Frigate's API does, and keeps what it is told."""

    def __init__(self, clip: bytes) -> None:
        self.asked: list[str] = []
        self.posted: list[tuple[str, Any]] = []
        self.missing = 1  # how often the recording is not there yet
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.missing -= 1
                self._answer(*((404, b'{"success": false}') if outer.missing >= 0 else (200, clip)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.posted.append((self.path, body))
                self._answer(200, json.dumps({"success": True, "event_id": f"e{len(outer.posted)}"}).encode())

            def _answer(self, code: int, content: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class FakeDetector:
    """Finds one event in a file that it can open."""

    def __init__(self) -> None:
        self.bytes: list[bytes] = []

    def detect(self, video: Path) -> Any:
        self.bytes.append(video.read_bytes())
        return SimpleNamespace(events=[SimpleNamespace(start_s=2.0, end_s=4.6, category="fight in yard", peak=0.91)])


@pytest.fixture
def frigate(tmp_path: Path) -> Iterator[FakeFrigate]:
    api = FakeFrigate(write_video(tmp_path / "clip.mp4", frames=5).read_bytes())
    yield api
    api.stop()


def _review(kind: str, camera: str, end: float | None) -> str:
    """As Frigate 0.14 and later publish it."""
    after = {"id": "1", "camera": camera, "start_time": 1764300010.5, "end_time": end, "severity": "alert"}
    after["data"] = {"detections": ["1764300011.1-abc"], "objects": ["person"], "sub_labels": [], "zones": []}
    return json.dumps({"type": kind, "before": after, "after": after})


def test_the_companion_looks_at_a_review_and_writes_back_what_it_finds(
    frigate: FakeFrigate, mosquitto: Program, tmp_path: Path
) -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    companion = _load(HERE / "frigate" / "companion.py")
    detector = FakeDetector()
    worker = companion.Companion(detector, companion.Frigate(frigate.url), beside_s=5.0, settle_s=0.0, least=0.5)
    worker.start()
    listening = companion.listen(worker, "127.0.0.1", mosquitto.port, "frigate")
    teller = paho.Client(paho.CallbackAPIVersion.VERSION2)
    teller.connect("127.0.0.1", mosquitto.port)
    teller.loop_start()
    try:
        wait_until(listening.is_connected, "the companion's connection")
        for text in ("no JSON", "[]", _review("new", "front yard", None), _review("update", "front yard", None)):
            teller.publish("frigate/reviews", text, qos=1)
        wait_until(lambda: _again(teller, frigate), "what is written back")
    finally:
        for client in (teller, listening):
            client.disconnect()
            client.loop_stop()
        worker.stop()
    assert set(frigate.asked) == {"/api/front%20yard/start/1764300005.500/end/1764300025.000/clip.mp4"}
    assert detector.bytes[0] == (tmp_path / "clip.mp4").read_bytes()
    create, describe, part = frigate.posted[:3]
    body = {"sub_label": "refinevad", "score": 0.91, "duration": 3, "include_recording": True}
    assert create == ("/api/events/front%20yard/fight%20in%20yard/create", body)
    # 1764300005.5 + 2.0 and + 4.6 seconds of Unix time
    words = "fight in yard, score 0.91, 2025-11-28 03:20:07 UTC to 2025-11-28 03:20:10 UTC"
    assert describe == ("/api/events/e1/description", {"description": words})
    assert part == ("/api/events/1764300011.1-abc/sub_label", {"subLabel": "fight in yard", "subLabelScore": 0.91})


def _again(teller: Any, frigate: FakeFrigate) -> bool:
    """Say it until it is heard: the subscription may come after the first."""
    if not frigate.asked:
        teller.publish("frigate/reviews", _review("end", "front yard", 1764300020.0), qos=1)
    return len(frigate.posted) >= 3


def test_a_review_that_cannot_be_had_stops_no_other(frigate: FakeFrigate, capsys: pytest.CaptureFixture[str]) -> None:
    companion = _load(HERE / "frigate" / "companion.py")
    frigate.missing = 4  # as often as it is tried
    worker = companion.Companion(FakeDetector(), companion.Frigate(frigate.url), settle_s=0.0)
    worker.start()
    worker.take(_review("end", "one", 1764300020.0).encode())
    worker.take(_review("end", "two", 1764300020.0).encode())
    worker.stop()
    made = [path for path, _ in frigate.posted if path.endswith("create")]
    assert made == ["/api/events/two/fight%20in%20yard/create"]
    assert "one at 2025-11-28 03:20:10 UTC: HTTP Error 404" in capsys.readouterr().err
