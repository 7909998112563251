"""A file of annotations, parsed at most once: JSON, XML or text, bounded, and with a sentence where it is none."""

import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from refinevad.errors import InputError
from refinevad.files.json_files import check_regular
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json

MOST_BYTES = 1 << 30
_MOST_NUMBER = 1e12  # of seconds and frames


class Content:
    """A file that may be of any format; what it is not is None.

    Raises:
        InputError: no regular file, too large, or not UTF-8; when asked for: JSON or XML that is none.
    """

    def __init__(self, path: Path) -> None:
        check_regular(path, MOST_BYTES)
        self.path = path
        self.suffix = path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """The file as text."""
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} is not UTF-8 text; save it as UTF-8") from error
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error

    @cached_property
    def json(self) -> Any:
        """What a `.json` file holds."""
        if self.suffix != ".json":
            return None
        try:
            return parse_json(self.text)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{self.path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
            ) from error
        except ValueError as error:
            raise InputError(f"{self.path}: {error}") from error

    @cached_property
    def xml(self) -> ElementTree.Element | None:
        """The root of an `.xml` or `.eaf` file; one that declares entities is refused."""
        if self.suffix not in (".xml", ".eaf"):
            return None
        if "<!DOCTYPE" in self.text or "<!ENTITY" in self.text:
            raise InputError(f"{self.path} declares a document type, which no annotation needs; save it without")
        try:
            return ElementTree.fromstring(self.text)
        except ElementTree.ParseError as error:
            raise InputError(f"{self.path}: not XML ({error})") from error

    def objects(self, value: object, where: str) -> list[dict[str, Any]]:
        """A list of objects; an absent one is empty. Raises InputError for anything else."""
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise InputError(f"{self.path}: {where} is {short(value)} where a list of objects is expected")
        return value

    def mapping(self, value: object, where: str) -> dict[str, Any]:
        """An object. Raises InputError for anything else."""
        if not isinstance(value, dict):
            raise InputError(f"{self.path}: {where} is {short(value)} where an object is expected")
        return value

    def words(self, value: object, where: str) -> str:
        """A text that says something. Raises InputError for anything else."""
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.path}: {where} is {short(value)} where a text is expected")
        return value.strip()

    def number(self, value: object, where: str) -> float:
        """A finite number, also written as a text, as XML does. Raises InputError for anything else."""
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):
                raise ValueError
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or abs(number) > _MOST_NUMBER:
            raise InputError(f"{self.path}: {where} is {short(value)} where a number is expected")
        return number

    def whole(self, value: object, where: str) -> int:
        """A whole number at or above 0. Raises InputError for anything else."""
        number = self.number(value, where)
        if number < 0 or number != int(number):
            raise InputError(f"{self.path}: {where} is {short(value)} where a whole number at or above 0 is expected")
        return int(number)
