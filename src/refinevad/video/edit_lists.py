"""MP4's edit lists: what a track shows of its pictures, and when. FFmpeg reads some otherwise than they are meant.

A list's edits are shown one after the other, each so many ticks of the media from `media_time` on; -1 is a pause
without pictures. FFmpeg reads pauses at the beginning and edits behind them. An edit that lasts 0 it takes for nothing,
where it means "to the end"; a pause behind the pictures for pictures. So such a list is reworded in what FFmpeg is
given to read, and the file left as it is. What has no other wording is refused: pictures shown faster, slower or held,
and pauses in between. FFmpeg lays out every picture that a list shows as it opens a file: lists are looked at before.
"""

import io
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from refinevad.errors import InputError
from refinevad.files.remote import RangedFile, RemotePath
from refinevad.video.streams import picture_stream

if TYPE_CHECKING:
    from av.container import InputContainer

_PAUSE = -1
_MOST_EDITS, _MOST_TIMES = 100, 2.0  # of one list; how often over all of a track may be shown
_MOST_BOXES = 100_000
_BEGIN_MP4 = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"uuid"))
_TO_THE_END = {0: 2**32 - 1, 1: 2**40}  # where the length is not stated, by the box's version: what there is
_ENTRY = {0: struct.Struct(">Iihh"), 1: struct.Struct(">Qqhh")}
_ADVICE = "convert it with `ffmpeg -ignore_editlist 1 -i FILE -c copy OUT.mp4`, which shows all of it, or anew"


class Edit(NamedTuple):
    """One stretch: ticks of the movie, first tick of the media (-1: a pause), and speed."""

    duration: int
    media_time: int
    rate: float = 1.0


@dataclass(frozen=True)
class EditList:
    """A track's list. `place`: of its entry count in the file; ticks a second of movie and media, 0: not stated."""

    version: int
    place: int
    edits: tuple[Edit, ...]
    movie_hz: int
    media_hz: int
    media_ticks: int

    def times_over(self) -> float:
        """How often over the media is shown; at most so, where its length is not stated."""
        if not self.movie_hz or not self.media_hz or not self.media_ticks:
            return float(sum(edit.media_time != _PAUSE for edit in self.edits))
        shown = 0.0
        for edit in self.edits:
            rest = max(self.media_ticks - max(edit.media_time, 0), 0)
            if edit.media_time != _PAUSE:
                shown += min(edit.duration * self.media_hz / self.movie_hz, rest)
        return shown / self.media_ticks

    def meant(self) -> tuple[Edit, ...]:
        """The list in the wording that FFmpeg reads as it is meant.

        Raises:
            InputError: it has none; what the sentence says of the file, without its name.
        """
        edits = list(self.edits)
        while edits and edits[-1].media_time == _PAUSE:
            edits.pop()
        if not edits or (self.media_ticks and min(map(self._begins, edits)) >= self.media_ticks):
            raise InputError("shows none of its pictures")
        last = edits[-1]
        if not last.duration:
            edits[-1] = Edit(self._to_the_end(last.media_time), last.media_time, last.rate or 1.0)
        edits = [edit for edit in edits if edit.duration]  # the others show nothing
        if any(edit.media_time != _PAUSE and edit.rate != 1.0 for edit in edits):
            raise InputError("shows its pictures faster, slower or held")
        shown = [edit.media_time != _PAUSE for edit in edits]
        if _PAUSE in [edit.media_time for edit in edits[shown.index(True) :]]:
            raise InputError("has pauses between its pictures")
        return tuple(edits)

    def _begins(self, edit: Edit) -> float:
        """Tick of the media from which on an edit shows any."""
        return math.inf if edit.media_time == _PAUSE else float(edit.media_time)

    def _to_the_end(self, media_time: int) -> int:
        """Ticks of the movie from a tick of the media to its end."""
        most = _TO_THE_END[self.version]
        if not self.media_ticks or not self.media_hz:
            return most
        rest = (self.media_ticks - max(media_time, 0)) * self.movie_hz / self.media_hz
        return min(math.ceil(rest), most) or most


def open_film(path: Path, url: str, container_options: dict[str, str] | None = None) -> "InputContainer":
    """`av.open(url)` of the file at `path`, with its edit lists read as meant.

    Raises:
        InputError: an edit list that cannot be shown.
        av.error.FFmpegError, OSError, ValueError: as `av.open` does.
    """
    import av

    lists = edit_lists(path)
    # what lies elsewhere is read by ranges; of its name FFmpeg is told the end, by which it knows some formats
    source = NamedFile(path) if isinstance(path, RemotePath) else url
    container = av.open(source, "r", container_options=container_options, metadata_errors="ignore")
    stream = picture_stream(container)
    found = lists.get(stream.id) if stream is not None and "mov" in container.format.name.split(",") else None
    if found is None:
        return container
    try:
        meant = found.meant()
    except InputError as error:
        container.close()
        raise InputError(f"the edit list of {path} {error}; {_ADVICE}") from None
    if meant == found.edits:
        return container
    container.close()
    file = RewordedFile(path, *_wording(found, meant))
    return av.open(file, "r", container_options=container_options, metadata_errors="ignore")


def edit_lists(path: Path) -> dict[int, EditList]:
    """The lists of an MP4's tracks by the tracks' numbers; empty for any other file, and for one that is damaged there.

    Raises:
        InputError: a list that shows its track many times over, which is a bomb, or has hundreds of edits.
    """
    found: dict[int, EditList] = {}
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if file.read(8)[4:] in _BEGIN_MP4:
                found = _Tracks(file).lists(size)
    except (OSError, struct.error, ValueError):
        return {}
    for one in found.values():
        if len(one.edits) > _MOST_EDITS or one.times_over() > _MOST_TIMES:
            raise InputError(f"the edit list of {path} shows its pictures or sound again and again; {_ADVICE}")
    return found


class NamedFile(RangedFile):
    """A remote file as FFmpeg is given it; closed with the container that reads it."""

    def __init__(self, path: RemotePath) -> None:
        super().__init__(path)
        self.name = f"video{path.suffix}"


class RewordedFile(io.RawIOBase):
    """A file in which some bytes read as others."""

    def __init__(self, path: Path, place: int, wording: bytes) -> None:
        self._file, self._place, self._wording = path.open("rb"), place, wording

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()
        data = self._file.read(size)
        first, last = max(start, self._place), min(start + len(data), self._place + len(self._wording))
        if first >= last:
            return data
        new = self._wording[first - self._place : last - self._place]
        return data[: first - start] + new + data[last - start :]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def _wording(old: EditList, edits: Sequence[Edit]) -> tuple[int, bytes]:
    """Where a list's count and entries stand, and what is to stand there; the box keeps its length."""
    entry = _ENTRY[old.version]
    entries = b"".join(entry.pack(edit.duration, edit.media_time, 1, 0) for edit in edits)
    return old.place, struct.pack(">I", len(edits)) + entries.ljust(entry.size * len(old.edits), b"\0")


class _Tracks:
    """Walks along an MP4's boxes, from one head to the next."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._boxes = file, 0

    def lists(self, size: int) -> dict[int, EditList]:
        found: dict[int, EditList] = {}
        movie = next((span for kind, *span in self._within(0, size) if kind == b"moov"), None)
        if movie is None:
            return {}
        boxes = list(self._within(*movie))
        movie_hz = next((self._clock(start)[0] for kind, start, _ in boxes if kind == b"mvhd"), 0)
        for kind, start, end in boxes:
            if kind == b"trak" and (one := self._list(start, end, movie_hz)) is not None:
                found.setdefault(*one)
        return found

    def _list(self, start: int, end: int, movie_hz: int) -> tuple[int, EditList] | None:
        """A track's number and list."""
        number, place, clock = 0, None, (0, 0)
        for kind, first, last in self._within(start, end):
            if kind == b"tkhd":
                number = self._number(first)
            elif kind == b"edts":
                place = next(((*span,) for kind, *span in self._within(first, last) if kind == b"elst"), place)
            elif kind == b"mdia":
                clock = next((self._clock(at) for kind, at, _ in self._within(first, last) if kind == b"mdhd"), clock)
        if place is None:
            return None
        version = min(self._bytes(place[0], 1)[0], 1)
        (count,) = struct.unpack(">I", self._bytes(place[0] + 4, 4))
        entry = _ENTRY[version]
        count = min(count, (place[1] - place[0] - 8) // entry.size, _MOST_EDITS + 1)
        read = entry.iter_unpack(self._bytes(place[0] + 8, count * entry.size))
        edits = tuple(Edit(duration, at, whole + part / 65_536) for duration, at, whole, part in read)
        return (number, EditList(version, place[0] + 4, edits, movie_hz, *clock)) if edits else None

    def _within(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """(kind, where its content begins, where it ends) of the boxes in a stretch."""
        while start + 8 <= end and self._boxes < _MOST_BOXES:
            self._boxes += 1
            size, kind = struct.unpack(">I4s", self._bytes(start, 8))
            head = 8
            if size == 1:
                (size,), head = struct.unpack(">Q", self._bytes(start + 8, 8)), 16
            last = start + size if size else end
            if size and size < head:
                return
            yield kind, start + head, min(last, end)
            start = last

    def _clock(self, at: int) -> tuple[int, int]:
        """Ticks a second and in all, of a movie's or a media's head."""
        if self._bytes(at, 1)[0] == 1:
            hz, ticks = struct.unpack(">IQ", self._bytes(at + 20, 12))
        else:
            hz, ticks = struct.unpack(">II", self._bytes(at + 12, 8))
        return hz, ticks

    def _number(self, at: int) -> int:
        place = at + (20 if self._bytes(at, 1)[0] == 1 else 12)
        (number,) = struct.unpack(">I", self._bytes(place, 4))
        return int(number)

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("cut short")
        return data
