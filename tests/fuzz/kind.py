"""What a kind of inputs is: whole ones to begin with, how they are spoilt, and who reads them."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz import mutators

Example = tuple[str, bytes]  # how the input's name ends, and what is in it
Read = Callable[[Path, int], str | None]  # of a path and a seed; what it says was not borne, beside what it raises
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kind:
    """Whole inputs to begin with, how they are spoilt, and what reads them in the folder of a run."""

    examples: Callable[[Path], Sequence[Example]]
    spoil: Callable[[Random, bytes], bytes]
    reader: Callable[[Path], Read]


def by_text(random: Random, content: bytes) -> bytes:
    return mutators.text(random, content.decode())


def by_tree(random: Random, content: bytes) -> bytes:
    return mutators.dumped(random, json.loads(content))


def by_looks(random: Random, content: bytes) -> bytes:
    """By what it looks like: a tree, text, an archive, a headed file, or bytes."""
    if random.random() < 0.2:
        return mutators.binary(random, content)
    with suppress(ValueError):  # lines of JSON are text
        return by_tree(random, content)
    if content[8:9] == b"{":
        return mutators.headed(random, content)
    if content[:2] == b"PK":
        return mutators.packed(random, content)
    if content[:6] == b"\x93NUMPY":
        return mutators.array(random, content)
    try:
        return by_text(random, content)
    except UnicodeDecodeError:
        return mutators.binary(random, content)


def plain(read: Callable[[Path], object]) -> Callable[[Path], Read]:
    """A reader that needs nothing but the path."""

    def reader(_: Path) -> Read:
        def one(path: Path, _: int) -> None:
            read(path)

        return one

    return reader


def wanted_name(path: Path) -> str:
    """The name under which a file is looked for, of the inputs that have one: `input-7-config.json` -> config.json."""
    return path.name.split("-", 2)[2]
