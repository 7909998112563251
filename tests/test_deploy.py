"""The files that put the service in place, as far as they can be checked without a container engine or systemd."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refinevad.apps.commands import serve
from refinevad.apps.service.access_token import is_loopback

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
ANALYZE = shutil.which("systemd-analyze")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, comments dropped."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def options_of(arguments: list[str]) -> argparse.Namespace:
    """What `refinevad serve` makes of a command line; fails on an option it does not know."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    serve.configure(parser)
    return parser.parse_args(arguments)


def test_dockerfile_is_pinned_and_unprivileged() -> None:
    found = instructions()
    known = {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "ARG", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {name for name, _ in found} <= known | {"ENTRYPOINT", "CMD"}
    bases = [value.split()[0] for name, value in found if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases), (
        bases
    )  # an exact version, no latest
    last = found[max(index for index, (name, _) in enumerate(found) if name == "FROM") :]
    users = [value for name, value in last if name == "USER"]
    assert users == ["10001"]
    after = last[[name for name, _ in last].index("USER") :]
    assert all(name != "RUN" for name, _ in after)
    assert not any(name == "ADD" or "sudo" in value or "apt-get upgrade" in value for name, value in found)
    assert all(value[0] == "[" for name, value in last if name in ("ENTRYPOINT", "CMD"))  # no shell between
    for name, value in found:
        if name == "RUN" and "pip install" in value:
            for part in re.findall(r"pip install (.*?)(?: &&|$)", value):
                pinned = "-r requirements/" in part or part.rstrip().endswith(" .")
                assert pinned or all("==" in word for word in part.split() if not word.startswith("-")), part


def test_dockerfile_copies_what_is_there_and_pins_what_the_requirements_pin() -> None:
    for name, value in instructions():
        if name == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.rstrip('/')}" in (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    text, pins = (DEPLOY / "Dockerfile").read_text(), (ROOT / "requirements" / "dev.txt").read_text()
    for package in ("psycopg", "psycopg-binary"):
        (version,) = re.findall(rf"\b{package}==([\d.]+)", text)
        assert re.search(rf"^{package}(\[binary\])?=={re.escape(version)}", pins, re.MULTILINE), package


def test_dockerfile_starts_the_service_with_options_it_has() -> None:
    said = dict(instructions())
    entry, command = (yaml.safe_load(said[name]) for name in ("ENTRYPOINT", "CMD"))
    assert [*entry, command[0]] == ["refinevad", "serve"]
    options = options_of(command[1:])
    assert options.host == "0.0.0.0"
    assert options.token_file is not None
    assert int(said["EXPOSE"]) == options.port == serve.DEFAULT_PORT
    assert f":{options.port}/healthz" in said["HEALTHCHECK"]


def test_compose_is_sound() -> None:
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(content) <= {"name", "services", "volumes", "secrets"}
    for name, service in content["services"].items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged")
        assert "latest" not in service["image"]
        assert set(service.get("secrets", ())) <= set(content["secrets"])
        named = {volume.split(":")[0] for volume in service["volumes"]}
        assert {volume for volume in named if not volume.startswith(".")} <= set(content["volumes"])
        assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in service.get("environment", {}))
    own = content["services"]["refinevad"]
    assert own["read_only"]
    assert own["cap_drop"] == ["ALL"]
    assert (DEPLOY / own["build"]["context"] / own["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert own["ports"] == [
        f"127.0.0.1:{serve.DEFAULT_PORT}:{serve.DEFAULT_PORT}"
    ]  # no token in the clear on a network
    assert content["secrets"]["refinevad_token"]["file"] == "./token"


def unit() -> dict[str, list[tuple[str, str]]]:
    sections: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in (DEPLOY / "refinevad.service").read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            current = sections.setdefault(match[1], [])
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", key), line
            current.append((key, value))
    return sections


def test_the_unit_starts_the_service_and_takes_away_what_it_does_not_need() -> None:
    sections = unit()
    assert list(sections) == ["Unit", "Service", "Install"]
    service = dict(sections["Service"])
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.startswith("/")
    assert arguments[0] == "serve"
    options = options_of(arguments[1:])
    assert options.token_file is not None
    assert is_loopback(options.host) or options.tls_cert is not None  # no token in the clear on a network
    assert all(is_loopback(proxy) for proxy in options.proxy)
    assert str(options.data) == f"/var/lib/{service['StateDirectory']}"  # the one place it may write
    assert service["User"] not in ("", "root")
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID", "LockPersonality"):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed (Debian: systemd)")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "refinevad.service").read_text()
    copy = tmp_path / "refinevad.service"
    copy.write_text(text.replace(dict(unit()["Service"])["ExecStart"].split()[0], "/bin/true"))  # ours is not there
    done = subprocess.run([str(ANALYZE), "verify", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_onnxruntime_tells_nobody() -> None:
    """Its own words for it: ORT_DISABLE_TELEMETRY. Whoever sets it otherwise is heeded."""
    code = "import refinevad, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    for given, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env={**environment, **given}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_the_documents_name_options_and_files_that_are_there() -> None:
    for name in ("service.md", "deploy.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for line in re.findall(r"^(?:sudo .*)?refinevad serve (.*)$", text, re.MULTILINE):
            words = shlex.split(line.partition("#")[0].split(" && ")[0])
            options_of(words)
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert (ROOT / "docs" / link).exists(), link
        for path in re.findall(r"\bdeploy/[\w.]+", text):
            made = ("deploy/token", "deploy/models", "deploy/postgres")
            assert path.startswith(made) or (ROOT / path).exists(), path
