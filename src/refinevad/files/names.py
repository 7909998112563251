"""Names in sentences: the one that was meant by a name that matches nothing, and the first of many."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `name` most likely stands for; None where none is near.

    In this order: the same but for case, backslashes, `./` and how accents are written; one path is the end of the
    other; the same but for a suffix; the same file in another folder; a few letters changed.
    """
    known = {_plain(one): one for one in names}
    wanted = _plain(name)
    for same in (_equal, _tail, _but_suffix, _same_file):
        found = [one for plain, one in known.items() if same(wanted, plain)]
        if len(found) == 1:
            return found[0]
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
    return known[close[0]] if close else None


def hint(name: str, names: Iterable[str]) -> str:
    """` (nearest: NAME)`, or nothing."""
    found = nearest(name, names)
    return "" if found is None else f" (nearest: {found})"


def some(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first of many names or sentences, and how many more there are."""
    more = f"{between.rstrip(', ')} and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def stem_and_suffix(path: str) -> tuple[str, str]:
    """A path without its suffix, as `Path` has both; in a tenth of its time where the path is written plainly.

    Raises:
        ValueError: a path without a name.
    """
    head, slash, name = path.rpartition("/")
    if name in ("", ".") or head.startswith(("/", ".")) or (slash and not head) or "//" in path or "/." in head:
        return str(Path(path).with_suffix("")), Path(path).suffix
    dot = name.rfind(".")
    cut = len(path) - len(name) + dot if 0 < dot < len(name) - 1 else len(path)
    return path[:cut], path[cut:]


def same_letters(name: str) -> str:
    """A name with its accents in one form: macOS takes them apart, other systems do not, and both look alike."""
    return unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    return PurePosixPath(same_letters(name).replace("\\", "/").strip()).as_posix().casefold()


def _equal(a: str, b: str) -> bool:
    return a == b


def _tail(a: str, b: str) -> bool:
    return a.endswith(f"/{b}") or b.endswith(f"/{a}")


def _but_suffix(a: str, b: str) -> bool:
    return bool(a) and _bare(a) == _bare(b)


def _bare(name: str) -> str:
    head, _, name = name.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return f"{head}/{stem}" if dot and stem and len(suffix) <= 5 else f"{head}/{name}"


def _same_file(a: str, b: str) -> bool:
    return bool(a) and _bare(a).rpartition("/")[2] == _bare(b).rpartition("/")[2]
