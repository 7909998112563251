"""A ZIP archive written as it is sent: no copy on disk, and no more in memory than a piece of a file."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import IO, cast

PIECE_BYTES = 262_144
_DATE = (1980, 1, 1, 0, 0, 0)  # the format's first: archives of the same files are the same


class _Sent:
    """What `zipfile` writes to, and `take` empties; it can only go forward, so sizes stand behind each file."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def archive(files: Iterable[tuple[Path, str]], name: str, text: Callable[[Sequence[str]], str]) -> Iterator[bytes]:
    """Pieces of an archive that holds each file under its name, uncompressed, and behind them one more of text.

    Args:
        files: one that is gone when its turn comes is left out.
        text: is given the names of those that are in.
    """
    sent, names = _Sent(), list[str]()
    with zipfile.ZipFile(cast(IO[bytes], sent), "w", zipfile.ZIP_STORED) as whole:
        for path, inside in files:
            try:
                file = path.open("rb")
            except OSError:
                continue
            with file:
                yield from _one(whole, sent, inside, file)
            names.append(inside)
        yield from _one(whole, sent, name, BytesIO(text(names).encode()))
    yield sent.take()


def _one(whole: zipfile.ZipFile, sent: _Sent, name: str, file: BufferedIOBase) -> Iterator[bytes]:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = 0o644 << 16
    with whole.open(info, "w", force_zip64=True) as target:  # its size is not known until it has been read
        while piece := file.read(PIECE_BYTES):
            target.write(piece)
            yield sent.take()
    yield sent.take()
