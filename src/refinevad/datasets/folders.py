"""`<split>/<category>/**/video` folders -> which videos there are; whatever is not taken is counted and told."""

import errno
import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from refinevad.files.names import same_letters, some, stem_and_suffix
from refinevad.files.remote import RemotePath
from refinevad.video.reading import VIDEO_SUFFIXES

SPLITS = ("train", "val", "test")
_ALSO = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
# what systems leave in every folder: archives of macOS, network drives, wastebaskets, file systems
_SYSTEM = frozenset({"__macosx", "$recycle.bin", "#recycle", "system volume information", "lost+found"})
_BESIDE = frozenset({".srt", ".vtt", ".json", ".jsonl", ".ndjson"})  # captions, which encoders look for on their own


@dataclass(frozen=True)
class FoundVideo:
    """A video by its path below the set's folder, in the split and category that its folders say."""

    path: str
    split: str
    category: str


@dataclass
class NotRead:
    """Folders that were not looked into: `unreadable`, as a disk's `lost+found` often is, and links to `known` ones."""

    unreadable: list[Path] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)

    def words(self) -> list[str]:
        """A sentence for each kind."""
        told = (
            (self.unreadable, "cannot be read, whatever they hold"),
            (self.known, "are links to what is read already, left out"),
        )
        return [f"{len(them)} folders {what}: {some([str(one) for one in them])}" for them, what in told if them]


@dataclass
class _LeftOut:
    """Videos that are not taken, by why; and other files, by suffix."""

    nowhere: list[str] = field(default_factory=list)
    uncategorised: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    aside: NotRead = field(default_factory=NotRead)


def split_named(name: str) -> str | None:
    """The split that a folder or a table calls so, in any case: train, val or test, or a longer word for it."""
    plain = name.casefold()
    return plain if plain in SPLITS else _ALSO.get(plain)


def videos_in_folders(root: Path) -> tuple[list[FoundVideo], tuple[str, ...]]:
    """The videos below `root`, train first, and a sentence for each kind of file that is left out.

    Raises:
        PermissionError: a category's folder cannot be read; others that cannot are told.
    """
    found: list[FoundVideo] = []
    left = _LeftOut()
    for name in names_below(root, left.aside):
        parts = name.split("/")
        suffix = stem_and_suffix(name)[1].lower()
        if suffix not in VIDEO_SUFFIXES:
            if split_named(parts[0]) is not None and suffix not in _BESIDE:
                left.others[suffix or "without a suffix"] += 1
        elif any(map(_is_system, parts)):
            left.system.append(name)
        elif (split := split_named(parts[0])) is None or len(parts) == 1:
            left.nowhere.append(name)
        elif len(parts) == 2:
            left.uncategorised.append(name)
        else:
            found.append(FoundVideo(name, split, same_letters(parts[1])))
    for folder in left.aside.unreadable:
        below = folder.relative_to(root).parts
        if below and split_named(below[0]) is not None and not any(map(_is_system, below)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    found.sort(key=lambda video: (SPLITS.index(video.split), video.path.split("/")))
    return found, tuple(_notes(left))


def files_below(root: Path, aside: NotRead) -> Iterator[Path]:
    """`names_below` as paths. Raises OSError alike."""
    return (root / name for name in names_below(root, aside))


def names_below(root: Path, aside: NotRead) -> Iterator[str]:
    """Every file below a folder by its path from there, with `/` between folders, in order.

    Links to folders come last, and none is followed to what was read. Folders that are not looked into are added to
    `aside`. Text, because a hundred thousand `Path`s take seconds.

    Raises:
        OSError: the folder itself cannot be read.
    """

    if isinstance(root, RemotePath):
        yield from (path.relative_to(root).as_posix() for path in root.walk_files())
        return

    def set_down(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        aside.unreadable.append(Path(error.filename))

    seen: set[tuple[int, int]] = set()
    beginnings = deque([root])
    while beginnings:
        beginning = beginnings.popleft()
        for name, folders, files in os.walk(beginning, onerror=set_down):
            folder = Path(name)
            status = folder.stat()
            place = (status.st_dev, status.st_ino)
            if place in seen:
                folders.clear()
                aside.known.append(folder)
                continue
            seen.add(place)
            links = [each for each in folders if (folder / each).is_symlink()]
            beginnings.extend(folder / each for each in sorted(links))
            folders[:] = sorted(set(folders) - set(links))
            below = folder.relative_to(root).as_posix()
            yield from sorted(files) if below == "." else (f"{below}/{each}" for each in sorted(files))


def _is_system(name: str) -> bool:
    return name[:1] in (".", "@") or name.casefold() in _SYSTEM


def _notes(left: _LeftOut) -> Iterator[str]:
    for names, why in (
        (left.nowhere, f"lie in no folder of a split ({', '.join(SPLITS)})"),
        (left.uncategorised, "lie in a split's folder but in no category's"),
        (left.system, "are hidden or lie in a hidden or system folder"),
    ):
        if names:
            yield f"{len(names)} videos {why} and are left out: {some(names)}"
    yield from left.aside.words()
    if left.others:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in left.others.most_common())
        yield f"{left.others.total()} files are no videos by their names and are left out: {counts}"
