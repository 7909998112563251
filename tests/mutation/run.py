"""Mutants of each target tried one after the other; what survives is told, and whether it is explained."""

import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mutation.mutants import Mutant, chosen, mutant_at, places_of
from mutation.trial import Trial, run_tests

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Target:
    """A source file below src/refinevad and the test files below tests that should notice its mutants."""

    file: str
    tests: tuple[str, ...]
    always: tuple[str, ...] = ()


@dataclass
class Tally:
    """What came of one file's mutants."""

    file: str
    possible: int
    tried: int = 0
    killed: int = 0
    out_of_time: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    explained: list[Mutant] = field(default_factory=list)
    minutes: float = 0.0


def read_targets() -> list[Target]:
    """The files of targets.toml, in its order."""
    rows = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))["targets"]
    return [Target(row["file"], tuple(row["tests"]), tuple(row.get("always", ()))) for row in rows]


def read_explained() -> dict[tuple[str, str], str]:
    """Reasons by (file, mutant's name)."""
    rows = tomllib.loads((HERE / "explained.toml").read_text(encoding="utf-8")).get("mutants", [])
    return {(row["file"], row["mutant"]): row["why"] for row in rows}


def try_target(target: Target, most: int, seed: int, out: Path) -> Iterator[tuple[Mutant, Trial] | Tally]:
    """Each mutant as it is tried, then the tally.

    Raises:
        SystemExit: the tests fail on the sound source.
    """
    began = time.monotonic()
    tree = out / "src"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT / "src", tree, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    place = tree / "refinevad" / target.file
    source = place.read_text(encoding="utf-8")
    tests = [str(ROOT / "tests" / name) for name in target.tests]
    log = out / "tests.log"
    sound = run_tests(tests, tree, log)
    if not sound.passed:
        raise SystemExit(f"mutation: {' '.join(target.tests)} fail before anything is changed: {log}")
    places = places_of(source)
    tally, known = Tally(target.file, len(places)), read_explained()
    for where in chosen(source, places, most, f"{seed} {target.file}", target.always):
        mutant = mutant_at(source, where)
        place.write_text(mutant.source, encoding="utf-8")
        os.utime(place, (tally.tried, tally.tried))  # compiled anew: Python knows a file by its second and size
        trial = run_tests(tests, tree, log, sound)
        tally.tried += 1
        tally.killed += not trial.passed
        tally.out_of_time += trial.out_of_time
        if trial.passed:
            (tally.explained if (target.file, mutant.name) in known else tally.survivors).append(mutant)
        yield mutant, trial
    place.write_text(source, encoding="utf-8")
    tally.minutes = (time.monotonic() - began) / 60
    yield tally


def table(tallies: list[Tally], seed: int) -> str:
    """A row a file, in markdown."""
    lines = [
        "| file | mutants | tried | killed | of these out of time | survived, explained | survived | seed | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.file} | {one.possible} | {one.tried} | {one.killed} | {one.out_of_time} | {len(one.explained)} "
        f"| {len(one.survivors)} | {seed} | {one.minutes:.1f} |"
        for one in tallies
    ]
    return "\n".join(lines)
