"""docs/export.md says what is so: its Python, its JavaScript in a real browser and its C++ score as the run does."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from patience import patience
from refinevad.checkpoint import Checkpoint
from refinevad.exporting.exported import export_run
from refinevad.scoring.scores import score
from refinevad.shipped.names import shipped_folder
from test_report_browser import CHROMIUM, FLAGS

pytest.importorskip("onnx", reason="the extra `video` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `video` is not installed")

PAGE = (Path(__file__).parents[1] / "docs/export.md").read_text(encoding="utf-8")
WEB = Path(__file__).parent / "web/node_modules/onnxruntime-web/dist"
SEGMENTS = 30


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Quiet segments, and some that the shipped model fires at."""
    model = Checkpoint.load(shipped_folder("fighting")).model
    evidence: Any = model.evidence  # type: ignore[attr-defined]
    values = np.zeros((SEGMENTS, 1570), dtype=np.float32)
    values[:, :177] = evidence.mean.numpy()
    values[12:18, :177] += 3 * np.sign(evidence.weight.numpy()) * evidence.scale.numpy()
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, features: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("example")
    export_run(shipped_folder("fighting"), "onnx", folder / "exported")
    np.save(folder / "features.npy", features)
    (folder / "features.bin").write_bytes(features.tobytes())
    return folder


@pytest.fixture(scope="module")
def expected(features: np.ndarray) -> list[tuple[float, float]]:
    """(start in seconds, score) of the segments above the threshold."""
    checkpoint = Checkpoint.load(shipped_folder("fighting"))
    scores = score(checkpoint.model, features).segments
    found = [(place * 0.64, float(one)) for place, one in enumerate(scores) if one > checkpoint.calibration.threshold]
    assert 0 < len(found) < SEGMENTS
    return found


def test_the_python_is_ten_lines_and_finds_what_the_run_finds(
    folder: Path,
    expected: list[tuple[float, float]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = example("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(folder)
    exec(compile(code, "docs/export.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{start_s:.2f} s: {one:.3f}" for start_s, one in expected]


class _Served(SimpleHTTPRequestHandler):
    """The example's folder, and the library under /ort/."""

    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def translate_path(self, path: str) -> str:
        if path.startswith("/ort/"):
            return str(WEB / Path(path).name)
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    page = '<!doctype html><meta charset="utf-8"><title>export</title><script src="/ort/ort.wasm.min.js"></script>'
    (folder / "index.html").write_text(page, encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Served, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.skipif(not WEB.exists(), reason="onnxruntime-web is missing: npm ci --prefix tests/web --ignore-scripts")
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: chromium)")
def test_the_javascript_scores_in_a_real_browser(address: str, features: np.ndarray) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            page = browser.new_page()
            said: list[str] = []
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(address)
            code = f"async () => {{ ort.env.wasm.numThreads = 1; {example('javascript')}\n return found; }}"
            found = page.evaluate(code)
        finally:
            browser.close()
    assert not said
    model = Checkpoint.load(shipped_folder("fighting")).model
    np.testing.assert_allclose([one["score"] for one in found], score(model, features).segments, atol=1e-4)
    np.testing.assert_allclose([one["start_s"] for one in found], np.arange(SEGMENTS) * 0.64)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler (Debian: g++)")
def test_the_cpp_compiles_and_finds_what_the_run_finds(
    folder: Path, expected: list[tuple[float, float]], tmp_path: Path
) -> None:
    found = find_spec("openvino")
    if found is None or found.origin is None:
        pytest.skip("the extra `openvino` is not installed")
    package = Path(found.origin).parent
    libraries = sorted((package / "libs").glob("libopenvino.so.*"))
    if not (package / "include/openvino/openvino.hpp").exists() or not libraries:
        pytest.skip("this OpenVINO brings no C++ headers")
    source, program = tmp_path / "score.cpp", tmp_path / "score"
    source.write_text(example("cpp"), encoding="utf-8")
    include, library, rpath = f"-I{package}/include", str(libraries[0]), f"-Wl,-rpath,{package}/libs"
    subprocess.run(
        ["g++", "-std=c++17", "-o", program, source, include, library, rpath], check=True, timeout=patience(120)
    )
    threshold = json.loads((folder / "exported/model.json").read_text())["events"]["threshold"]
    given = [folder / "exported/head.onnx", folder / "features.bin", "1570", repr(threshold), "0.64"]
    done = subprocess.run([program, *given], check=True, capture_output=True, text=True, timeout=patience(60))
    lines = [line.split(" s: ") for line in done.stdout.splitlines()]
    np.testing.assert_allclose([[float(start_s), float(one)] for start_s, one in lines], expected, atol=1e-4)
