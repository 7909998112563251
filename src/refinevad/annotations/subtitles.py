"""SubRip (`.srt`) and WebVTT (`.vtt`): a cue is an event, its text the category, its file called as the video is."""

from collections.abc import Sequence
from functools import partial

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.as_text import clock
from refinevad.annotations.content import Content
from refinevad.encoders.cues import read_cues
from refinevad.errors import InputError


def claims(suffix: str, content: Content) -> bool:
    """By the suffix."""
    return content.suffix == suffix


def read(content: Content) -> Written:
    """Cues that say something."""
    cues = read_cues(content.path, content.text)
    return Written([MarkedVideo(content.path.stem, [Mark(cue.start_s, cue.end_s, cue.text) for cue in cues])])


def render_srt(videos: Sequence[AnnotatedVideo]) -> bytes:
    """Numbered cues."""
    (video,) = videos
    cues = [
        f"{number}\n{clock(span.start_s, ',')} --> {clock(span.end_s, ',')}\n{_line(span.category)}\n"
        for number, span in enumerate(video.spans, start=1)
    ]
    return "\n".join(cues).encode()


def render_vtt(videos: Sequence[AnnotatedVideo]) -> bytes:
    """Cues under the line that begins such a file."""
    (video,) = videos
    cues = [
        f"{clock(span.start_s, '.')} --> {clock(span.end_s, '.')}\n{_line(span.category)}\n" for span in video.spans
    ]
    return "\n".join(["WEBVTT\n", *cues]).encode()


def _line(category: str) -> str:
    """A category as a cue's text. Raises InputError for one that would mean something else there."""
    if category.isdecimal() or any(sign in category for sign in ("<", "{", "->", "\u2192")):
        raise InputError(
            f"the category {category!r} cannot be a subtitle: it would be read as markup, a number or times"
        )
    return category


SRT = Format(
    "srt", "SRT", ".srt", partial(claims, ".srt"), read, render_srt, frozenset({"normal"}), True, resolution_s=0.001
)
VTT = Format(
    "webvtt",
    "WebVTT",
    ".vtt",
    partial(claims, ".vtt"),
    read,
    render_vtt,
    frozenset({"normal"}),
    True,
    resolution_s=0.001,
)
