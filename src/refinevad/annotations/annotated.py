"""What annotations say of videos, whichever tool made them: as a file writes it, and in seconds of the video."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from refinevad.annotations.content import Content
from refinevad.errors import InputError
from refinevad.timeline import border_at


@dataclass(frozen=True)
class Mark:
    """Something that happens, [start, end): seconds, or frames counted from 0, as `in_frames` says."""

    start: int | float
    end: int | float
    category: str
    score: float | None = None
    in_frames: bool = False


@dataclass
class MarkedVideo:
    """One video as a file speaks of it: by the name that its tool has for it.

    Attributes:
        rate_hz: frames a second by the file's word; None: it has none.
        split: by the file's word; empty: it has none.
    """

    name: str
    marks: list[Mark] = field(default_factory=list)
    rate_hz: float | None = None
    split: str = ""


@dataclass
class Written:
    """What one file says; `left` counts what in it is no stretch of time with a category."""

    videos: list[MarkedVideo] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video beside its annotation; None where it is not."""

    rate: Fraction | None = None
    frames: int | None = None
    duration_s: float | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Span:
    """Something that happens in [start_s, end_s), counted from the video's first picture."""

    start_s: float
    end_s: float
    category: str
    score: float | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """One video with what happens in it, in order of time; nothing: it is normal."""

    path: str
    spans: tuple[Span, ...]
    facts: VideoFacts = VideoFacts()
    split: str = ""

    @property
    def stem(self) -> str:
        """Its path without suffix."""
        head, dot, suffix = self.path.rpartition(".")
        return head if dot and "/" not in suffix and not head.endswith("/") and head else self.path

    def rate(self, what: str) -> Fraction:
        """Frames a second. Raises InputError where they are not known; `what` counts in frames."""
        if self.facts.rate is None:
            raise InputError(
                f"{what} counts frames, and the frame rate of {self.path} is not known: name the folder of the videos "
                "with --videos, or the rate with --rate"
            )
        return self.facts.rate

    def size(self, what: str) -> tuple[int, int]:
        """Width and height in pixels. Raises InputError where they are not known; `what` draws boxes."""
        if self.facts.size is None:
            raise InputError(
                f"{what} draws boxes, and the picture's size of {self.path} is not known: name the folder of the "
                "videos with --videos"
            )
        return self.facts.size

    def frames(self, span: Span, what: str) -> tuple[int, int]:
        """A span as frames [first, end), counted from 0; one frame at least."""
        rate = self.rate(what)
        first = border_at(span.start_s, rate)
        return first, max(border_at(span.end_s, rate), first + 1)

    def length(self, what: str) -> int:
        """Frames in all: what is known, or up to the end of what happens."""
        last = max((self.frames(span, what)[1] for span in self.spans), default=0)
        if self.facts.frames:
            return max(self.facts.frames, last)
        if self.facts.duration_s:
            return max(border_at(self.facts.duration_s, self.rate(what)), last)
        return last


@dataclass(frozen=True)
class Annotations:
    """Videos with what happens in them, and a sentence for each thing that a person should know of the rest."""

    videos: tuple[AnnotatedVideo, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """One tool's way of writing annotations.

    Attributes:
        name: as `--to` says it; `title`: as sentences do.
        suffix: of its files.
        claims: whether a file is of this format.
        read: what a file says.
        render: videos as the bytes of a file; None: it is only read.
        holds: which of `scores`, `normal` (videos in which nothing happens) and `splits` it can say.
        per_video: a file speaks of one video, and is called as that is.
        resolution_s: to what its times are rounded; 0: frames, or as many digits as there are.
        folder: videos as the files of a folder, by name, which say everything; None: it has no such form.
    """

    name: str
    title: str
    suffix: str
    claims: Callable[[Content], bool]
    read: Callable[[Content], Written]
    render: Callable[[Sequence[AnnotatedVideo]], bytes] | None
    holds: frozenset[str] = frozenset()
    per_video: bool = False
    resolution_s: float = 0.0
    folder: Callable[[Sequence[AnnotatedVideo]], dict[str, bytes]] | None = None


def categories_of(videos: Sequence[AnnotatedVideo]) -> list[str]:
    """Every category that occurs, sorted."""
    return sorted({span.category for video in videos for span in video.spans})
