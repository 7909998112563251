"""Spoiling by structure: a table's cells, a tree's leaves, a file's length fields, and bytes where nothing is known."""

import io
import json
import re
import struct
import tomllib
import zipfile
from random import Random
from typing import Any

NUMBERS = (
    *("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e999", "-1", "0", "-0.0", "0x10", "1_0"),
    *("9" * 9, "9" * 23, "9" * 400, "9" * 5000, "0x" + "f" * 5000),
)
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
    "file:/dev/zero",
    ".",
    "/",
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
    """A tree of lists and tables with one to three leaves, keys or branches spoilt."""
    for _ in range(random.randint(1, 3)):
        content = _spoilt(random, content) if random.random() < 0.5 else _anywhere(random, content)
    return content


def _anywhere(random: Random, content: Any) -> Any:
    """One of all the places in a tree, each as likely as the next, holds something else."""
    place = random.choice([*_places(content)] or [()])

    def put(node: Any, place: tuple[Any, ...]) -> Any:
        if not place:
            return random.choice(LEAVES)
        if isinstance(node, dict):
            return {key: put(value, place[1:]) if key == place[0] else value for key, value in node.items()}
        return [put(value, place[1:]) if at == place[0] else value for at, value in enumerate(node)]

    return put(content, place)


def _places(node: Any, before: tuple[Any, ...] = ()) -> Any:
    """The way to each branch and leaf below a node."""
    if before:
        yield before
    if len(before) > 20:
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _places(value, (*before, key))


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
        for _ in range(random.choice((50, 100, 900, 3000))):
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


def tables(random: Random, content: bytes) -> bytes:
    """A TOML file: by its text, or by its tables, whose values are spoilt and written again."""
    if random.random() < 0.4:
        return text(random, content.decode())
    whole = tree(random, tomllib.loads(content.decode()))
    lines = [f"{_key(name)} = {_value(value)}" for name, value in whole.items()] if isinstance(whole, dict) else []
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=True).replace("\\ud800", "?")


def _value(value: Any, depth: int = 0) -> str:
    """A value as TOML writes it; what it cannot say (nothing at all) is a word, which is no TOML."""
    if depth > 200:
        return "0"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_value(part, depth + 1)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(part, depth + 1) for part in value) + "]"
    if isinstance(value, str):
        return _key(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def packed(random: Random, content: bytes) -> bytes:
    """An archive: its records, or what is in it with records that fit again."""
    if random.random() < 0.4:
        return binary(random, content)
    if random.random() < 0.5:
        return _records(random, content)
    file = io.BytesIO()
    how = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(file, "w", how) as new:
        for name in whole.namelist():
            new.writestr(name, array(random, whole.read(name)) if random.random() < 0.7 else whole.read(name))
    return file.getvalue()


def _records(random: Random, content: bytes) -> bytes:
    """The fields of one kind in an archive's directory and before its members: method, flags, sizes, offsets."""
    data = bytearray(content)
    local, central = random.choice(((6, 8), (8, 10), (14, 16), (18, 20), (22, 24), (26, 28), (None, 42)))
    value = random.choice((0, 1, 8, 12, 14, 97, 0x41, 0xFFFF, random.getrandbits(16)))
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        for found in re.finditer(re.escape(signature), content):
            if offset is not None and found.start() + offset + 2 <= len(data):
                struct.pack_into("<H", data, found.start() + offset, value)
    return bytes(data)


def array(random: Random, content: bytes) -> bytes:
    """A `.npy` file: its bytes, or the text of its header, which is then as long as is said of it."""
    if random.random() < 0.4 or content[:6] != b"\x93NUMPY":
        return binary(random, content)
    (length,) = struct.unpack_from("<H", content, 8)
    header, body = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    shapes = ("()", "(0,)", "(-1,)", "(True,)", f"({10**6}, {10**6})", f"({2**63},)", "8", "((((((1,),),),),),)")
    kinds = ("'<f2'", "'|O'", "'<c16'", "'|S0'", "'|V8'", "'<M8[s]'", "'|b1'", "[('a', '<f8')]", "'<f16'", "1", "'?'")
    how = random.randrange(3)
    if how == 0:
        header = re.sub(r"\([^)]*\)", lambda _: random.choice(shapes), header, count=1)
    elif how == 1:
        header = re.sub(r"'[<>|][a-z]\d+'", lambda _: random.choice(kinds), header, count=1)
    else:
        header = text(random, header).decode("latin-1")
    new = header.encode("latin-1", "replace")[:65_535]
    return content[:8] + struct.pack("<H", len(new)) + new + body


def film(random: Random, content: bytes) -> bytes:
    """A container: bytes anywhere, as likely at its end, where an MP4 keeps its index; or a length before a name."""
    how = random.random()
    if how < 0.4:
        return binary(random, content)
    if how < 0.6:
        return binary(random, content[::-1])[::-1]
    names = list(re.finditer(rb"[a-zA-Z]{4}", content))
    if not names:
        return binary(random, content)
    data = bytearray(content)
    for _ in range(random.randint(1, 3)):
        at = random.choice(names).start() + random.choice((-4, 0, 4, 8, 12, 16, 20, 24, 28, 32))
        size = random.choice((1, 2, 4, 4, 8))
        if 0 <= at <= len(data) - size:
            number = random.choice((*_INTEGERS, random.getrandbits(32))) & (256**size - 1)
            data[at : at + size] = number.to_bytes(size, "big")
    return bytes(data)


def stream(random: Random, content: bytes) -> bytes:
    """A bitstream: what lies behind the first headers, so that there is something to be decoded wrongly."""
    head = random.choice((0, 64, 200, 800))
    return content[:head] + binary(random, content[head:])


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
