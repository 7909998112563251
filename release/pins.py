"""The packages that requirements/*.txt and the image pin, with the hashes of their files, and what licence each has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ("torch.txt", "run.txt")  # what `make install` and the image install
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s\\;]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_WORDS = {  # what older packages write where an SPDX expression belongs
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "mit license": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "mpl-2.0": "MPL-2.0",
    "mpl-2.0 and mit": "MPL-2.0 AND MIT",
}


@dataclass(frozen=True)
class Pin:
    """A package at one version; `hashes`: SHA-256 of each of its files, hexadecimal."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def read_pins(path: Path) -> list[Pin]:
    """The pins of one requirements file, in its order."""
    text = path.read_text(encoding="utf-8")
    found = list(_PIN.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [
        Pin(_normal(match[1]), match[2], tuple(sorted(_HASH.findall(text[match.end() : end]))))
        for match, end in zip(found, ends, strict=True)
    ]


def shipped() -> list[Pin]:
    """What is installed beside the program, the image's own additions (PostgreSQL) included, by name."""
    pins = {pin.name: pin for name in SHIPPED for pin in read_pins(ROOT / "requirements" / name)}
    image = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    for name, version in re.findall(r"\b(psycopg(?:-binary)?)==([\d.]+)", image):
        pins.setdefault(name, Pin(name, version))
    return [pins[name] for name in sorted(pins)]


def licence_of(name: str) -> str | None:
    """SPDX expression of an installed package; None where it is not installed or says none that is known."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    if expression := said.get("License-Expression"):
        return str(expression)
    first = (said.get("License") or "").strip().split("\n")[0].strip().lower()
    return _WORDS.get(first) or _of_classifiers(said.get_all("Classifier") or ())


def _of_classifiers(classifiers: Iterable[str]) -> str | None:
    found = [_CLASSIFIERS.get(each.rpartition(" :: ")[2]) for each in classifiers if each.startswith("License ::")]
    return " AND ".join(each for each in found if each) or None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
