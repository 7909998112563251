"""MP4 files whose edit lists are what a test wants: boxes put into a file that FFmpeg wrote."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

Entry = tuple[int, int, int, int]  # duration, media time, whole and fraction of the rate


def edited(path: Path, entries: Sequence[Entry], version: int = 0, track: int = 0) -> Path:
    """Put an edit list into one track of a file that ends with its moov box, in place of the one it has."""
    data = path.read_bytes()
    (moov,) = _spans(data, (b"moov",))
    trak = _spans(data, (b"moov", b"trak"))[track]
    inside = {kind: (start, end) for kind, start, end in _boxes(data, trak[0] + 8, trak[1])}
    body = struct.pack(">B3xI", version, len(entries))
    body += b"".join(struct.pack(">Iihh" if version == 0 else ">Qqhh", *entry) for entry in entries)
    box = _box(b"edts", _box(b"elst", body))
    start, end = inside.get(b"edts", (inside[b"tkhd"][1],) * 2)
    grown = len(box) - (end - start)
    data = data[:start] + box + data[end:]
    for place in (moov[0], trak[0]):
        (size,) = struct.unpack_from(">I", data, place)
        data = data[:place] + struct.pack(">I", size + grown) + data[place + 4 :]
    path.write_bytes(data)
    return path


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, start, start + size
        start += size


def _spans(data: bytes, kinds: tuple[bytes, ...]) -> list[tuple[int, int]]:
    spans = [(-8, len(data))]
    for wanted in kinds:
        spans = [(a, b) for start, end in spans for kind, a, b in _boxes(data, start + 8, end) if kind == wanted]
    return spans
