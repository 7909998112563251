"""Every kind in turn: spoil, hand over, wait so long, keep what was found."""

import multiprocessing
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from fuzz.kinds import KINDS
from fuzz.known import KNOWN
from fuzz.worker import work

HANG_S = 20.0
_START_S = 120.0  # a loaded machine imports slowly
_MOST_OF_ONE = 5  # findings told that say the same; all are kept


@dataclass(frozen=True)
class Finding:
    """An input that was not borne: `what` happened, and the file that shows it."""

    what: str
    said: str
    file: Path


@dataclass
class Tally:
    """What became of one kind's inputs; `findings` are the first of each sort of the `found` ones.

    `refused`: by a sentence; `known`: found before (known.py), and not in `found`; the others were read whole.
    """

    kind: str
    tried: int = 0
    refused: int = 0
    found: int = 0
    known: int = 0
    findings: list[Finding] = field(default_factory=list)


class _Reader:
    """The process that reads, begun anew when it has died or hangs."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder = kind, folder
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def read(self, path: Path, seed: int) -> tuple[str, str]:
        if self._process is None:
            self._start()
        assert self._pipe is not None
        assert self._process is not None
        self._pipe.send((str(path), seed))
        try:
            if self._pipe.poll(HANG_S):
                what, said = self._pipe.recv()
                return str(what), str(said)
            what, said = "hang", f"over {HANG_S:g} s"
        except (EOFError, ConnectionError):
            self._process.join()
            what, said = "crash", f"exit status {self._process.exitcode}"
        self.stop()
        return what, said

    def _start(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("forkserver")  # what readers need is imported once
        context.set_forkserver_preload(["fuzz.kinds", "refinevad.apps.service.app"])
        self._process = context.Process(target=work, args=(self._kind, str(self._folder), theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.poll(_START_S), f"{self._kind}: its reader does not start"
        self._pipe.recv()

    def stop(self) -> None:
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None


def run(inputs: int, seed: int, kinds: Sequence[str], out: Path) -> list[Tally]:
    """Try so many inputs, spread over the kinds; those that are not borne are kept in `out`/<kind>/."""
    return [_one(kind, inputs // len(kinds) + (at < inputs % len(kinds)), seed, out) for at, kind in enumerate(kinds)]


def _one(name: str, inputs: int, seed: int, out: Path) -> Tally:
    kind, tally, said_before = KINDS[name], Tally(name), dict[str, int]()
    folder = Path(mkdtemp(prefix=f"fuzz-{name}-"))
    reader = _Reader(name, folder)
    try:
        examples = kind.examples(folder)
        for number in range(inputs):
            random = Random(f"{name} {seed} {number}")
            example, content = random.choice(examples)
            path = folder / f"input-{number}{example}"
            path.write_bytes(kind.spoil(random, content))
            what, said = reader.read(path, number)
            tally.tried += 1
            tally.refused += not what and bool(said)
            if what:
                if any(part in said for part in KNOWN.get(name, ())):
                    tally.known += 1
                    continue
                tally.found += 1
                finding = Finding(what, said, _kept(path, out / name, what))
                key = f"{what} {said.rpartition('(')[2]}"
                said_before[key] = said_before.get(key, 0) + 1
                if said_before[key] <= _MOST_OF_ONE:
                    tally.findings.append(finding)
    finally:
        reader.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _kept(path: Path, folder: Path, what: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{what.replace(' ', '-')}-{path.name}"
    shutil.copyfile(path, kept)
    return kept


def table(tallies: Sequence[Tally]) -> str:
    """Kinds, and of each how many were tried, refused by a sentence, found wanting, and found so before."""
    rows = [[tally.kind, tally.tried, tally.refused, tally.found, tally.known] for tally in tallies]
    whole = ["all", *(sum(int(row[column]) for row in rows) for column in (1, 2, 3, 4))]
    lines = [list(map(str, row)) for row in (["kind", "tried", "refused", "found", "known"], *rows, whole)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in lines
    )
