"""events.parquet: a row for each event of every video that was analysed into a folder; DuckDB and pandas read it.

A video's rows are replaced when it is analysed again, never doubled. The file is whole at any time: what was found is
gathered, and the table written anew beside its place every half a minute and at the end. Needs pyarrow
(refinevad[archive]), which is imported with the first table.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from refinevad.detection.found import Detection
from refinevad.errors import InputError
from refinevad.files.remote import RemotePath
from refinevad.files.shown import shown
from refinevad.files.whole import atomic_write
from refinevad.scoring.event_record import event_facts

NAME = "events.parquet"
COLUMNS = ("video", "changed", "start_s", "end_s", "category", "peak", "peak_s", "probabilities", "model", "record")
_EVERY_S = 30.0


def can_write() -> bool:
    """Whether pyarrow is installed; nothing is imported."""
    return find_spec("pyarrow") is not None


class EventsTable:
    """What is found in videos, on its way into a folder's events.parquet; by `with`, whose end writes the rest.

    Raises:
        InputError: the file that is there is no such table, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._rows: list[dict[str, Any]] = []
        self._videos: set[str] = set()
        self._written = time.monotonic()

    def __enter__(self) -> "EventsTable":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write()

    def add(self, video: Path, detection: Detection, record: str) -> None:
        """Replace a video's events. `record`: name of its JSON document beside the table."""
        name, changed = _text(str(video.absolute())), datetime.fromtimestamp(video.stat().st_mtime, UTC)
        self._rows = [row for row in self._rows if row["video"] != name] if name in self._videos else self._rows
        self._videos.add(name)
        for event in detection.events:
            facts = event_facts(event)
            shares = json.dumps(facts["probabilities"])
            kept = {key: facts[key] for key in ("start_s", "end_s", "category", "peak", "peak_s")}
            run = _text(str(detection.model.get("run", "")))
            beside = {"video": name, "changed": changed, "probabilities": shares, "model": run, "record": _text(record)}
            self._rows.append({**kept, **beside})
        if time.monotonic() - self._written >= _EVERY_S:
            self.write()

    def write(self) -> None:
        """Put what was added into the file."""
        if not self._videos:
            return
        import pyarrow as arrow
        from pyarrow import compute, parquet

        new = arrow.Table.from_pylist(self._rows, _schema())
        with _alone(self.path):
            if self.path.exists():
                old = read_events(self.path)
                stays = compute.invert(compute.is_in(old["video"], arrow.array(sorted(self._videos), arrow.string())))
                new = arrow.concat_tables([old.filter(stays), new])
            order = [(name, "ascending") for name in ("video", "start_s", "end_s")]  # whoever was done first
            with atomic_write(self.path) as partial:
                parquet.write_table(new.sort_by(order), partial, compression="zstd")
        self._rows, self._videos, self._written = [], set(), time.monotonic()


def read_events(path: Path, columns: Sequence[str] | None = None, condition: Any = None) -> Any:
    """The table of an events.parquet, a pyarrow.Table of `COLUMNS`; `condition`: an expression of pyarrow's.

    Raises:
        InputError: pyarrow is missing, or this is no such table.
    """
    if not can_write():
        raise InputError(f"{path.name} needs pyarrow; pip install 'refinevad[archive]'")
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            schema = parquet.read_schema(file)
            if not schema.equals(_schema()):
                raise arrow.ArrowInvalid("it has other columns")
            file.seek(0)
            return parquet.read_table(file, columns=columns, filters=condition)
    except FileNotFoundError as error:
        raise InputError(
            f"no {NAME} in {path.parent}; run detect --out {path.parent} with refinevad[archive]"
        ) from error
    except (OSError, arrow.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no table of events ({reason}); move it away and run detect again") from error


def _text(name: str) -> str:
    """A file's name as a column of text can hold it: one that is no UTF-8 as a terminal shows it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return shown(name)
    return name


def _schema() -> Any:
    import pyarrow as arrow

    number, text = arrow.float64(), arrow.string()
    kinds = {"changed": arrow.timestamp("us", "UTC"), **dict.fromkeys(("start_s", "end_s", "peak", "peak_s"), number)}
    return arrow.schema([arrow.field(name, kinds.get(name, text), nullable=False) for name in COLUMNS])


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One program at a time reads and writes the table; in a store far away nobody sees to that."""
    if isinstance(path, RemotePath):
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
