"""A path's stem and suffix as text are those that Path has."""

from pathlib import Path

import pytest

from refinevad.files.names import stem_and_suffix

PLAIN = """
a.mp4 a.b/c.d.mp4 a.b/c a/.hidden a/.hidden.mp4 a/b. a/b.. a/..b a/... a/.. ü/Ü.MP4 a..b/c.d a/b..c
"""
ODD = """
./a.b a/./b.c a/b.c/ a/b.c/. /a/b.c /b.c //a/b.c ../a.b a/../b.c ./.a a//b.c .a/b.c .a/.b ././a.b
"""


@pytest.mark.parametrize("path", [*PLAIN.split(), *ODD.split(), "a b/c d.e f", "a/b.c.d ", "a\n.b"])
def test_they_are_those_of_a_path(path: str) -> None:
    assert stem_and_suffix(path) == (str(Path(path).with_suffix("")), Path(path).suffix)


@pytest.mark.parametrize("path", ["", ".", "/", "./"])
def test_what_has_no_name_has_none(path: str) -> None:
    with pytest.raises(ValueError, match="empty name"):
        stem_and_suffix(path)
