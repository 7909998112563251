"""Spoiling by structure: a table's cells, a tree's leaves, a file's length fields, and bytes where nothing is known."""

import json
import re
from random import Random
from typing import Any

NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "-1", "0", "-0.0", "9" * 23, "9" * 5000, "0x10", "1_0")
TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "ü" * 300,
    "a" * 70_000,
    "../../etc/passwd",
    "/dev/zero",
    '"',
    ",",
    ";",
    "\ud800",
)
LEAVES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    -0.5,
    [],
    {},
    [[]],
    [None],
    {"": 0},
    *TEXTS,
)
_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def text(random: Random, content: str) -> bytes:
    """A text file of lines: one to three things are wrong with it."""
    for _ in range(random.randint(1, 3)):
        content = random.choice((_cell, _number, _line, _letters, _word))(random, content)
    return _encoded(random, content)


def _cell(random: Random, content: str) -> str:
    """A value between separators, in another's place."""
    parts = re.split(r"([,\n=\[\]\t ])", content)
    if len(parts) > 2:
        parts[random.randrange(0, len(parts), 2)] = random.choice(NUMBERS + TEXTS)
    return "".join(parts)


def _number(random: Random, content: str) -> str:
    found = list(re.finditer(r"-?\d+(\.\d+)?", content))
    if not found:
        return content
    match = random.choice(found)
    return content[: match.start()] + random.choice(NUMBERS) + content[match.end() :]


def _line(random: Random, content: str) -> str:
    lines = content.split("\n")
    at = random.randrange(len(lines))
    how = random.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[random.randrange(len(lines))])
    elif how == 2:
        random.shuffle(lines)
    elif how == 3:
        lines[at] = random.choice(TEXTS)
    else:
        lines = lines[:at] * random.choice((1, 50))
    return "\n".join(lines)


def _letters(random: Random, content: str) -> str:
    at = random.randrange(len(content) + 1)
    if random.random() < 0.5:
        return content[:at] + content[at + random.randint(1, 5) :]
    return (
        content[:at]
        + random.choice(('"', "'", "\n", "\r", "\x00", "{", "]", "#", "\\", "\\u0000", "=", "ÿ"))
        + content[at:]
    )


def _word(random: Random, content: str) -> str:
    words = sorted(set(re.findall(r"\w+", content)))
    if len(words) < 2:
        return content
    one, other = random.sample(words, 2)
    return re.sub(rf"\b{re.escape(one)}\b", lambda _: other, content, count=random.randint(1, 3))


def _encoded(random: Random, content: str) -> bytes:
    how = random.random()
    if how < 0.03:
        return content.encode("utf-16", "surrogatepass")
    if how < 0.06:
        return content.encode("latin-1", "replace") + b"\xe9"
    if how < 0.1:
        return b"\xef\xbb\xbf" + content.encode("utf-8", "surrogatepass")
    return content.encode("utf-8", "replace" if how < 0.9 else "surrogatepass")


def tree(random: Random, content: Any) -> Any:
    """A JSON tree with one to three leaves, keys or branches spoilt."""
    content = json.loads(json.dumps(content))
    for _ in range(random.randint(1, 3)):
        content = _spoilt(random, content)
    return content


def _spoilt(random: Random, node: Any) -> Any:
    if isinstance(node, dict) and node and random.random() < 0.85:
        key = random.choice(sorted(node))
        how = random.random()
        if how < 0.15:
            return {name: value for name, value in node.items() if name != key}
        if how < 0.25:
            return {(random.choice(TEXTS) if name == key else name): value for name, value in node.items()}
        return {**node, key: _spoilt(random, node[key])}
    if isinstance(node, list) and node and random.random() < 0.85:
        at = random.randrange(len(node))
        if random.random() < 0.2:
            return node[:at] + node[at:][: random.randrange(2)] * random.choice((0, 2, 1000))
        return [*node[:at], _spoilt(random, node[at]), *node[at + 1 :]]
    if random.random() < 0.03:
        deep: Any = node
        for _ in range(random.choice((50, 3000))):
            deep = [deep]
        return deep
    return random.choice(LEAVES)


def dumped(random: Random, content: Any) -> bytes:
    """A spoilt tree as JSON, sometimes with its text spoilt too. NaN and Infinity are written as Python writes them."""
    try:
        said = json.dumps(tree(random, content))
    except RecursionError:
        said = "[" * 100_000
    return text(random, said) if random.random() < 0.15 else said.encode()


def binary(random: Random, content: bytes) -> bytes:
    """Bytes turned, cut, doubled, or overwritten as a length would be; where headers lie more often than elsewhere."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        end = len(data) if random.random() < 0.4 else min(len(data), 600)
        at = random.randrange(end)
        how = random.randrange(7)
        if how == 0:
            data[at] ^= 1 << random.randrange(8)
        elif how == 1:
            size = random.choice((1, 2, 4, 8))
            number = random.choice(_INTEGERS) & (256**size - 1)
            data[at : at + size] = number.to_bytes(size, random.choice(("big", "little")))  # type: ignore[arg-type]
        elif how == 2:
            del data[at:]
        elif how == 3:
            data[at:at] = data[at : at + random.randint(1, 400)]
        elif how == 4:
            del data[at : at + random.randint(1, 400)]
        elif how == 5:
            length = random.randint(1, 64)
            data[at : at + length] = random.randbytes(length)
        else:
            data[at : at + 188] = bytes(188)
    return bytes(data)


def headed(random: Random, content: bytes) -> bytes:
    """A safetensors file whose header, a JSON tree with its length before it, is spoilt and then fits again or not."""
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    new = dumped(random, header)
    said = len(new) if random.random() < 0.9 else random.choice((0, 1, 2**32, 2**63 - 1, 2**64 - 1, len(new) + 1))
    return said.to_bytes(8, "little") + new + (body if random.random() < 0.9 else body[: len(body) // 2])
