"""SQLite's file: held to be whole before anything touches it, and copied before its schema changes."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from refinevad.errors import InputError

MOST_CHECKED_BYTES = 2 << 30  # a larger file is opened unchecked: reading all of it would take minutes
BACKUPS_KEPT = 3
_WAIT_S = 10.0


def require_whole(path: Path) -> None:
    """Look through a database without changing a byte of it; none, or an empty file, is whole.

    Raises:
        InputError: it is damaged, or no database; the sentence says how to go on.
    """
    try:
        size = path.stat().st_size if path.is_file() else 0
        if not size or size > MOST_CHECKED_BYTES:
            return
        with closing(_read_only(path)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "malformed" not in str(error) and "disk image" not in str(error):
            return  # locked, or it cannot be opened: told by whoever opens it
        raise InputError(_damaged(path, str(error))) from error
    except sqlite3.DatabaseError as error:
        raise InputError(_damaged(path, str(error))) from error
    except OSError:
        return
    if found is None or found[0] != "ok":
        raise InputError(_damaged(path, "no check" if found is None else str(found[0]).splitlines()[-1]))


def backups_of(path: Path) -> list[Path]:
    """Copies made before migrations, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.before-*.backup"), key=lambda copy: (copy.stat().st_mtime, copy.name))


def back_up(path: Path, revision: str) -> Path:
    """Copy a database, of the schema `revision`, beside itself; of such copies the newest `BACKUPS_KEPT` stay.

    Raises:
        InputError: the disk has no room for it, or the folder cannot be written.
    """
    day = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    copy = path.with_name(f"{path.name}.before-{revision}-{day}-{os.getpid()}.backup")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        with closing(_read_only(path)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        partial.replace(copy)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InputError(
            f"storage {path} must be brought up to date, and no copy of it can be made before ({error}); free the disk"
        ) from error
    for old in backups_of(path)[:-BACKUPS_KEPT]:
        with suppress(OSError):
            old.unlink()
    return copy


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)


def _damaged(path: Path, reason: str) -> str:
    copies = [copy.name for copy in backups_of(path)]
    restore = f"put back its newest copy, {copies[-1]}, or " if copies else ""
    return (
        f"storage {path} is damaged or no database of refinevad ({reason}); it is left as it is: {restore}rescue what "
        f"can be read with `sqlite3 {path.name} .recover | sqlite3 rescued.db`, or move it away to begin anew"
    )
