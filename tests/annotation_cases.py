"""Annotated videos for tests, and the videos that they are of as a set would know them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from refinevad.annotations.annotated import AnnotatedVideo, Annotations, Format, Span, VideoFacts
from refinevad.annotations.choice import FORMATS, format_named
from refinevad.annotations.reading import read_annotations
from refinevad.annotations.writing import write_annotations
from refinevad.judging.events_format import EVENTS

NTSC = Fraction(30000, 1001)
ALL = (*FORMATS, EVENTS)


class Given:
    """Videos of which the facts are given."""

    rate_otherwise = None

    def __init__(self, facts: Mapping[str, VideoFacts]) -> None:
        self.paths, self._facts = tuple(facts), facts

    def facts(self, path: str) -> VideoFacts:
        return self._facts[path]


def video(
    path: str,
    stretches: Sequence[tuple[int, int, str]],
    rate: Fraction = Fraction(25),
    frames: int = 250,
    split: str = "",
    scores: Sequence[float] = (),
) -> AnnotatedVideo:
    """A video by the frames [first, end) of what happens in it."""
    spans = [
        Span(float(first / rate), float(end / rate), category, scores[place] if scores else None)
        for place, (first, end, category) in enumerate(stretches)
    ]
    facts = VideoFacts(rate, frames, float(frames / rate), (64, 48))
    return AnnotatedVideo(path, tuple(sorted(spans, key=lambda s: (s.start_s, s.end_s, s.category))), facts, split)


def frames_of(videos: Sequence[AnnotatedVideo], rates: Mapping[str, Fraction]) -> dict[str, list[tuple[int, int, str]]]:
    """What happens in each video, in frames; a time that is not on a frame to within a microsecond is a failure."""
    found = {}
    for one in videos:
        rows = []
        for span in one.spans:
            ends = [Fraction(second) * rates[one.path] for second in (span.start_s, span.end_s)]
            assert all(abs(end - round(end)) < Fraction(1, 1000) for end in ends), (one.path, span)
            rows.append((round(ends[0]), round(ends[1]), span.category))
        found[one.path] = sorted(rows)
    return found


def there_and_back(videos: Sequence[AnnotatedVideo], format: Format, folder: Path) -> Annotations:
    """Write videos in a format and read them again, knowing which videos there are."""
    out = folder if format.per_video or format.folder else folder / f"made{format.suffix}"
    write_annotations(out, Annotations(tuple(videos)), format)
    return read_annotations(out, Given({one.path: one.facts for one in videos}), ALL)


def named(name: str) -> Format:
    """A format by its name, events.csv among them."""
    return format_named(name, ALL)
