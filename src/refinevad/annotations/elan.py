"""ELAN: `.eaf`, tiers of annotations aligned to a time line of milliseconds (or, by older versions, frames)."""

from collections.abc import Sequence
from fractions import Fraction
from urllib.parse import unquote
from xml.etree import ElementTree

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.as_text import child, milliseconds, xml_bytes
from refinevad.annotations.content import Content
from refinevad.errors import InputError
from refinevad.files.shown import short

TITLE = "ELAN"
_UNITS = {
    "milliseconds": Fraction(1, 1000),
    "PAL-frames": Fraction(1, 25),
    "NTSC-frames": Fraction(1001, 30000),
}
_TIER, _TYPE = "events", "events"
_SCHEMA = (
    "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation",
    "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
)


def claims(content: Content) -> bool:
    """A root called `ANNOTATION_DOCUMENT`."""
    return content.xml is not None and content.xml.tag == "ANNOTATION_DOCUMENT"


def read(content: Content) -> Written:
    """Aligned annotations of every tier: the value is the category, or the tier's name where there is none."""
    root = content.xml
    assert root is not None
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    address = "" if media is None else media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    video = MarkedVideo(_path(address) or content.path.stem)
    written = Written([video])
    times = _times(content, root, media)
    for tier in root.findall("TIER"):
        for aligned in tier.iter("ALIGNABLE_ANNOTATION"):
            start, end = (times.get(aligned.get(f"TIME_SLOT_REF{end}") or "") for end in (1, 2))
            if start is None or end is None:
                written.left["annotations without times"] += 1
                continue
            value = (aligned.findtext("ANNOTATION_VALUE") or "").strip()
            name = value or content.words(tier.get("TIER_ID"), "TIER_ID")
            video.marks.append(Mark(start, end, name))
        written.left["annotations of annotations"] += len(list(tier.iter("REF_ANNOTATION")))
    return written


def _path(address: str) -> str:
    """A file's path out of a URL; `./` and a drive's letter are no part of it."""
    path = unquote(address)
    return path.removeprefix("file://").lstrip("/").removeprefix("./")


def _times(content: Content, root: ElementTree.Element, media: ElementTree.Element | None) -> dict[str, float]:
    """Seconds of the video by time slot; a slot may have none."""
    header = root.find("HEADER")
    said = ("" if header is None else header.get("TIME_UNITS")) or "milliseconds"
    if said not in _UNITS:
        raise InputError(f"{content.path}: TIME_UNITS is {short(said)}, which is none of {', '.join(_UNITS)}")
    unit = _UNITS[said]
    origin = "" if media is None else media.get("TIME_ORIGIN") or ""
    offset = Fraction(content.number(origin, "TIME_ORIGIN")) / 1000 if origin else Fraction(0)
    times = {}
    for slot in root.findall("TIME_ORDER/TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        if value is not None:
            number = content.whole(value, f"time slot {slot.get('TIME_SLOT_ID')}")
            times[slot.get("TIME_SLOT_ID") or ""] = float(number * unit + offset)
    return times


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """One tier; events that overlap lie in further ones, since those of a tier may not."""
    (video,) = videos
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "refinevad",
            "DATE": "1970-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            _SCHEMA[0]: _SCHEMA[1],
        },
    )
    header = child(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    child(header, "MEDIA_DESCRIPTOR", MEDIA_URL=video.path, RELATIVE_MEDIA_URL=video.path, MIME_TYPE="video/mp4")
    order = child(root, "TIME_ORDER")
    ends: list[int] = []
    tiers: list[ElementTree.Element] = []
    for number, span in enumerate(video.spans, start=1):
        start, end = milliseconds(span.start_s), max(milliseconds(span.end_s), milliseconds(span.start_s) + 1)
        place = next((place for place, last in enumerate(ends) if last <= start), len(ends))
        if place == len(ends):
            ends.append(end)
            tier_name = _TIER if place == 0 else f"{_TIER} {place + 1}"
            tiers.append(ElementTree.Element("TIER", {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": tier_name}))
        ends[place] = end
        slots = (f"ts{2 * number - 1}", f"ts{2 * number}")
        for slot, value in zip(slots, (start, end), strict=True):
            child(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(value))
        names = {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
        aligned = child(child(tiers[place], "ANNOTATION"), "ALIGNABLE_ANNOTATION", **names)
        child(aligned, "ANNOTATION_VALUE", span.category)
    root.extend(tiers or [ElementTree.Element("TIER", {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": _TIER})])
    child(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_TYPE, TIME_ALIGNABLE="true", GRAPHIC_REFERENCES="false")
    return xml_bytes(root)


FORMAT = Format(
    "elan", TITLE, ".eaf", claims, read, render, holds=frozenset({"normal"}), per_video=True, resolution_s=0.001
)
