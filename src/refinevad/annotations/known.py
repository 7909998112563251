"""Which videos there are, to annotations that name them in their tools' ways: a folder's, or none that is known."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

from refinevad.annotations.annotated import VideoFacts
from refinevad.errors import InputError
from refinevad.files.names import same_letters, some
from refinevad.timeline import Timeline, exact_rate
from refinevad.video.reading import VIDEO_SUFFIXES, probe


@runtime_checkable
class KnownVideos(Protocol):
    """Videos by their paths, and what is known of each."""

    @property
    def paths(self) -> Collection[str]:
        """Every path there is; none: the annotations' own names are taken."""

    @property
    def rate_otherwise(self) -> Fraction | None:
        """What frames are counted by where nobody knows the rate; None: that is an error."""

    def facts(self, path: str) -> VideoFacts:
        """What is known of a video, were it only that nothing is."""


class NoVideos:
    """Nothing is known beside the annotations."""

    paths: Collection[str] = ()
    rate_otherwise: Fraction | None = None

    def facts(self, path: str) -> VideoFacts:
        """Nothing."""
        return VideoFacts()


class VideoFolder:
    """The videos below a folder; each is looked at when it is asked for. Raises InputError where it is no folder."""

    rate_otherwise: Fraction | None = None

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputError(f"videos not found: {root} is not a folder")
        self.root = root
        self.paths: Collection[str] = dict.fromkeys(_videos_below(root)).keys()
        self._found: dict[str, VideoFacts] = {}

    def facts(self, path: str) -> VideoFacts:
        """By the video's header. Raises InputError where it cannot be read."""
        if path not in self.paths:
            return VideoFacts()
        if path not in self._found:
            info = probe(self.root / path)
            rate = exact_rate(info.rate_hz) if info.rate_hz > 0 else None
            size = (info.width, info.height)
            self._found[path] = VideoFacts(rate, info.frames or None, info.duration_s or None, size)
        return self._found[path]


class TimedVideos:
    """Videos of a set, of those with a timeline what that says.

    Args:
        paths: all of the set.
        timelines: of those to be judged, by path; of the others no time matters, and frames are taken to be of 25.
    """

    rate_otherwise: Fraction | None = Fraction(25)

    def __init__(self, paths: Iterable[str], timelines: Mapping[str, Timeline]) -> None:
        self.paths: Collection[str] = tuple(paths)
        self._timelines = timelines

    def facts(self, path: str) -> VideoFacts:
        """By its timeline."""
        line = self._timelines.get(path)
        if line is None or not line.frames or not line.shown_s:
            return VideoFacts()
        return VideoFacts(exact_rate(line.frames / line.shown_s), line.frames, line.duration_s)


def _videos_below(root: Path) -> Iterable[str]:
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(folder, name).relative_to(root).as_posix()


class Names:
    """Paths of videos, found by the names that tools have for them.

    In this order: letter by letter; a longer path that ends in one of them, or the other way round; the same without
    suffix; the file's name; the file's name without suffix. The first of these that fits one video is taken.
    """

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = {same_letters(path): path for path in paths}
        self._by_stem: dict[str, list[str]] = {}  # whatever fits a name has its stem
        for path in self._paths:
            self._by_stem.setdefault(PurePosixPath(_bare(path)).name, []).append(path)

    def find(self, name: str, where: str) -> str | None:
        """The path of a name; None: there is none. Raises InputError where several fit equally."""
        wanted = same_letters(name.replace("\\", "/")).removeprefix("./")
        if wanted in self._paths:
            return self._paths[wanted]
        bare, last = _bare(wanted), PurePosixPath(wanted).name
        tests: tuple[Callable[[str], bool], ...] = (
            lambda path: path.endswith(f"/{wanted}") or wanted.endswith(f"/{path}"),
            lambda path: _bare(path) in (wanted, bare) or _bare(path).endswith((f"/{wanted}", f"/{bare}")),
            lambda path: PurePosixPath(path).name == last,
            lambda path: PurePosixPath(_bare(path)).name in (last, PurePosixPath(bare).name),
        )
        near = [path for stem in {last, PurePosixPath(bare).name} for path in self._by_stem.get(stem, ())]
        for fits in tests:
            found = [path for path in near if fits(path)]
            if len(found) == 1:
                return self._paths[found[0]]
            if found:
                raise InputError(f"{where}: {name!r} may be {some(found, between=' or ')}; call it by its path")
        return None


def _bare(path: str) -> str:
    head, dot, suffix = path.rpartition(".")
    known = f".{suffix.lower()}" in VIDEO_SUFFIXES
    return head if dot and known else path
