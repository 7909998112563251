"""Log lines of the server's libraries: one of a kind a minute, however often it happens, and no control characters."""

import logging
import time
import traceback
from collections.abc import Callable

from refinevad.files.shown import shown

EVERY_S = 60.0
_MOST_KINDS = 1000
LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "websockets")


class Sparingly(logging.Filter):
    """Passes the first of a kind; the next to pass after `every_s` says how many there were between."""

    def __init__(self, every_s: float = EVERY_S, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s, self._now = every_s, now
        self._passed: dict[object, float] = {}
        self._held: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = _kind(record), self._now()
        if now - self._passed.get(kind, float("-inf")) < self._every_s:
            self._held[kind] = self._held.get(kind, 0) + 1
            return False
        if len(self._passed) >= _MOST_KINDS:
            self._passed.clear()
        self._passed[kind] = now
        more = self._held.pop(kind, 0)
        record.msg, record.args = shown(record.getMessage()) + (f" ({more} more like it)" if more else ""), ()
        if record.exc_info and record.exc_info[1] is not None:  # what the formatter would write, made plain
            lines = "".join(traceback.format_exception(record.exc_info[1])).rstrip().split("\n")
            record.exc_text = "\n".join(map(shown, lines))
        return True


def _kind(record: logging.LogRecord) -> object:
    """What makes two records alike: where they were written, and the error they tell of."""
    error = record.exc_info[1] if record.exc_info else None
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else None
    return (record.name, record.pathname, record.lineno, type(error), place)


def log_sparingly() -> None:
    """Let the libraries' loggers write sparingly. A second call changes nothing."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if not any(isinstance(known, Sparingly) for known in logger.filters):
            logger.addFilter(Sparingly())
