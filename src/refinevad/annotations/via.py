"""VIA 3 (VGG): a project in JSON with temporal segments, in seconds; regions in a picture are counted."""

from collections.abc import Sequence
from typing import Any

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written, categories_of
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content

TITLE = "VIA"
_VIDEO, _LOCAL, _SELECT = 4, 1, 4
_OPTIONS = (2, 3, 4)  # checkbox, radio, select: the value is the name of an option


def claims(content: Content) -> bool:
    """An object with VIA's parts."""
    return isinstance(content.json, dict) and {"project", "attribute", "metadata", "file"} <= content.json.keys()


def read(content: Content) -> Written:
    """Every attribute of a segment that has a value is one category."""
    files, views = (content.mapping(content.json[key], key) if key in content.json else {} for key in ("file", "view"))
    attributes = content.mapping(content.json["attribute"], "attribute")
    written, by_view = Written(), dict[str, MarkedVideo]()
    for number, file in files.items():
        name = content.mapping(file, f"file {number}").get("fname")
        video = MarkedVideo(content.words(name, f"file {number}, fname"))
        shown = [view for view, one in views.items() if isinstance(one, dict) and number in _texts(one.get("fid_list"))]
        by_view |= dict.fromkeys(shown or [number], video)
        written.videos.append(video)
    for key, entry in content.mapping(content.json["metadata"], "metadata").items():
        where = f"metadata {key}"
        entry = content.mapping(entry, where)
        times, region = entry.get("z"), entry.get("xy")
        if not isinstance(times, list) or len(times) != 2 or region:
            written.left["regions and points in time"] += 1
            continue
        start_s, end_s = (content.number(time, f"{where}, z") for time in times)
        owner = by_view.get(str(entry.get("vid")))
        if owner is None:
            written.left["segments of no video"] += 1
            continue
        labels = _values(content, entry.get("av"), attributes, where)
        if not labels:
            written.left["segments without a category"] += 1
        owner.marks += [Mark(start_s, end_s, label) for label in labels]
    return written


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _values(content: Content, values: object, attributes: dict[str, Any], where: str) -> list[str]:
    found = []
    for number, value in content.mapping(values or {}, f"{where}, av").items():
        attribute = attributes.get(number)
        kind = attribute.get("type") if isinstance(attribute, dict) else None
        options = attribute.get("options", {}) if isinstance(attribute, dict) else {}
        named = str(value).split(",") if kind == _OPTIONS[0] else [str(value)]
        if kind in _OPTIONS and isinstance(options, dict):
            named = [str(options.get(name, name)) for name in named]
        found += [name.strip() for name in named if name.strip()]
    return found


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """A project whose one attribute is the category."""
    options = {str(number): name for number, name in enumerate(categories_of(videos))}
    number_of = {name: number for number, name in options.items()}
    places = {str(place): video for place, video in enumerate(videos, start=1)}
    spans = [(place, span) for place, video in places.items() for span in video.spans]
    return json_bytes(
        {
            "project": {
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": "refinevad",
                "creator": "refinevad",
                "created": 0,
                "vid_list": list(places),
            },
            "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
            "attribute": {
                "1": {
                    "aname": "TEMPORAL-SEGMENTS",
                    "anchor_id": "FILE1_Z2_XY0",
                    "type": _SELECT,
                    "desc": "what happens",
                    "options": options,
                    "default_option_id": "",
                }
            },
            "file": {
                place: {"fid": place, "fname": video.path, "type": _VIDEO, "loc": _LOCAL, "src": video.path}
                for place, video in places.items()
            },
            "metadata": {
                f"{place}_{number:08d}": {
                    "vid": place,
                    "flg": 0,
                    "z": [span.start_s, span.end_s],
                    "xy": [],
                    "av": {"1": number_of[span.category]},
                }
                for number, (place, span) in enumerate(spans, start=1)
            },
            "view": {place: {"fid_list": [place]} for place in places},
        }
    )


FORMAT = Format("via", TITLE, ".json", claims, read, render, holds=frozenset({"normal"}))
