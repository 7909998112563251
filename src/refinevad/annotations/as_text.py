"""Values as the bytes of a file, the same for the same values."""

import json
from typing import Any
from xml.etree import ElementTree


def json_bytes(content: Any) -> bytes:
    """Indented JSON in UTF-8."""
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")


def xml_bytes(root: ElementTree.Element) -> bytes:
    """Indented XML in UTF-8, with its declaration."""
    ElementTree.indent(root, " ")
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def child(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    """A new element inside another."""
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text or None
    return element


def clock(second: float, point: str) -> str:
    """HH:MM:SS with milliseconds behind `point`, rounded to the nearest."""
    total = round(second * 1000)
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d}{point}{total % 1000:03d}"


def milliseconds(second: float) -> int:
    """Rounded to the nearest."""
    return round(second * 1000)
