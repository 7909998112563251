"""What is shipped: the wheel and what is in it, its bill of materials, and the audit. The wheel is what is tested here,
not the tree."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import patience
from videos import write_video

ROOT = Path(__file__).parents[1]
SITE = next(path for path in sys.path if path.endswith("site-packages"))


@pytest.fixture(scope="module", autouse=True)
def release() -> Iterator[None]:
    """The scripts are run from the root, as the Makefile does."""
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, release: None) -> Path:
    from release.dist import build

    return build(tmp_path_factory.mktemp("dist"), 1_700_000_000)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `refinevad` of a fresh environment that holds the wheel alone; what it needs comes from this one."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    words = ["install", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--quiet"]
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *words, str(wheel)], check=True)
    return folder / "bin" / "refinevad"


def environment() -> dict[str, str]:
    """Of this environment its packages, which hold no refinevad of their own, and not the tree."""
    assert not (Path(SITE) / "refinevad").exists()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": SITE, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_same_tree_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds it, whenever its files were written, and whatever an earlier build has left."""
    from release.dist import FILES, build

    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    (copy / "src" / "refinevad" / "__pycache__").mkdir()
    (copy / "src" / "refinevad" / "__pycache__" / "old.pyc").write_bytes(b"old")
    for path in copy.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "dist", 1_700_000_000, copy)
    finally:
        os.umask(before)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"refinevad", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    source = ROOT / "src" / "refinevad"
    wanted = {
        f"refinevad/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".md")
    }
    assert wanted <= set(names)  # the page, migrations, vendored scripts and their licence among them
    assert not [
        name for name in names if name.endswith(".pyc") or ("token" in name and name.endswith((".pem", ".key")))
    ]


def test_the_installed_wheel_serves_its_page(installed: Path, tmp_path: Path) -> None:
    """From an empty folder, with no tree to fall back on."""
    where = "import refinevad.apps.service.app as app; print(app.__file__)"
    command = [str(installed.with_name("python")), "-c", where]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(installed.parents[1])
    told = subprocess.run(
        [str(installed), "--version"], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert re.fullmatch(r"refinevad \d+\.\d+\.\d+\S*\n", told.stdout)
    words = [str(installed), "serve", "--port", "0", "--data", "data", "--json", "-"]
    service = subprocess.Popen(words, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        address = json.loads("".join(iter(service.stdout.readline, "}\n")) + "}")["address"]
        for path in ("/", "/page/app.js", "/page/report/style.css", "/page/report/vendor/uplot/uPlot.iife.min.js"):
            with urllib.request.urlopen(address + path) as answer:
                assert answer.status == 200, path
                assert len(answer.read()) > 300, path
        with urllib.request.urlopen(f"{address}/api/v1/events") as answer:  # the migrations have run
            assert json.load(answer) == {"events": [], "next_skip": None}
    finally:
        service.terminate()
        service.wait(60)
        service.stdout.close()


def test_the_wheel_holds_the_models_that_ship(wheel: Path) -> None:
    """With the weights that their cards speak of, in less than a megabyte."""
    files = zipfile.ZipFile(wheel)
    cards = [name for name in files.namelist() if re.fullmatch(r"refinevad/shipped/[^/]+/card\.json", name)]
    assert "refinevad/shipped/fighting/card.json" in cards
    for card in cards:
        content = json.loads(files.read(card))
        weights = files.read(card.replace("card.json", "model.safetensors"))
        assert content["weights"]["sha256"] == hashlib.sha256(weights).hexdigest()
        for name in ("config.json", "calibration.json", "ridge.safetensors"):
            assert card.replace("card.json", name) in files.namelist()
    shipped = [each.compress_size for each in files.infolist() if each.filename.startswith("refinevad/shipped/")]
    assert sum(shipped) < 1_000_000


def test_from_the_wheel_to_events_on_a_file_of_one_s_own(installed: Path, tmp_path: Path) -> None:
    """In an empty folder, of a person who has no data set, has trained nothing, and whose caches are empty."""
    write_video(tmp_path / "mine.mp4", frames=500, size=(320, 240))
    home = tmp_path / "home"
    home.mkdir()
    alone = {**environment(), "HOME": str(home), "REFINEVAD_CACHE": str(home / "cache"), "REFINEVAD_DATA": str(home)}
    words = [str(installed), "detect", "mine.mp4", "--out", "found"]
    done = subprocess.run(words, env=alone, cwd=tmp_path, capture_output=True, text=True, timeout=patience(180))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("model fighting, which ships with refinevad and has never seen this camera: ")
    assert re.match(r"mine\.mp4: (No|\d+) event", second)
    record = json.loads((tmp_path / "found/mine.json").read_text())
    assert record["model"]["run"] == "fighting"
    assert record["duration_s"] == pytest.approx(20.0)
    assert (tmp_path / "found/mine.html").exists()
    all_of_it = subprocess.run([*words, "--threshold", "0"], env=alone, cwd=tmp_path, capture_output=True, text=True)
    assert "mine.mp4: 1 event: fighting, " in all_of_it.stdout  # at a threshold that all is above
    told = subprocess.run([str(installed), "models"], env=alone, cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout.splitlines()[1].startswith("fighting ")


def test_the_bill_of_materials_lists_what_is_pinned(tmp_path: Path) -> None:
    from release import sbom

    document = sbom.document()
    assert document == sbom.document()
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    listed = {component["purl"] for component in document["components"] if "purl" in component}
    text = (ROOT / "requirements" / "run.txt").read_text() + (ROOT / "requirements" / "torch.txt").read_text()
    pinned = {
        f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        for name, version in re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE)
    }
    assert len(pinned) > 30
    assert pinned <= listed
    assert {purl.split("@")[0].rpartition("/")[2] for purl in listed - pinned} == {"psycopg", "psycopg-binary"}
    refs = [component["bom-ref"] for component in document["components"]]
    assert len(set(refs)) == len(refs)
    assert set(document["dependencies"][0]["dependsOn"]) == set(refs)
    for component in document["components"]:
        for reference in component.get("externalReferences", ()):
            assert reference["hashes"]
            assert all(re.fullmatch("[0-9a-f]{64}", each["content"]) for each in reference["hashes"])


def test_a_known_hole_is_a_finding_and_silence_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from release import audit
    from release.pins import read_pins

    (numpy,) = [pin for pin in read_pins(ROOT / "requirements" / "run.txt") if pin.name == "numpy"]
    record = {"id": "GHSA-x", "affected": [{"package": {"name": "NumPy"}, "versions": [numpy.version]}]}
    (tmp_path / "one.json").write_text(json.dumps(record))
    monkeypatch.setattr(sys, "argv", ["audit", "--advisories", str(tmp_path)])
    assert audit.main() == 1
    assert f"finding: numpy {numpy.version}: GHSA-x" in capsys.readouterr().out
    record["affected"][0]["versions"] = ["0.0.1"]  # type: ignore[index]
    (tmp_path / "one.json").write_text(json.dumps(record))
    assert audit.main() == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["audit", "--pip-audit", str(tmp_path / "absent")])
    assert audit.main() == 0  # not asked is no finding, and is said
    assert "NOT ASKED: pip-audit did not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', 0, ""),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}',
            1,
            "finding: a 1: CVE-1, mended in 2",
        ),
        ("", 0, "NOT ASKED: the vulnerability database could not be reached: no route"),
        (
            '{"dependencies": [{"name": "a", "skip_reason": "unknown"}]}',
            0,
            "NOT ASKED: the vulnerability database knows none",
        ),
    ],
)
def test_what_pip_audit_says_is_passed_on(
    answer: str,
    status: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from release import audit

    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\necho 'no route' >&2\ncat <<'END'\n{answer}\nEND\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["audit", "--pip-audit", str(tool)])
    assert audit.main() == status
    assert said in capsys.readouterr().out


def test_licences_are_held_against_a_list() -> None:
    from release.audit import is_accepted, licence_faults
    from release.pins import Pin, shipped

    assert is_accepted("MIT")
    assert is_accepted("EPL-2.0 OR BSD-3-Clause")
    assert is_accepted("MPL-2.0 AND MIT")
    assert not is_accepted("GPL-3.0-only")
    assert not is_accepted("MIT AND AGPL-3.0-only")
    lines, faults = licence_faults(shipped())
    assert faults == []
    assert len(lines) > 40
    assert licence_faults([Pin("not-installed-here", "1")])[1] == ["not-installed-here 1: not known here"]
