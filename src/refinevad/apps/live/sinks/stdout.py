"""Events as JSON lines on stdout, for pipes."""

import json
import sys
from io import TextIOWrapper
from typing import TextIO

from refinevad.apps.live.sinks.base import Envelope, RefusedError


class StdoutSink:
    """A line for each envelope, written through at once. `closed` tells that the reader has gone."""

    def __init__(self, name: str = "stdout", stream: TextIOWrapper | None = None) -> None:
        self.name, self.closed = name, False
        self._stream: TextIO = stream or sys.stdout

    def deliver(self, envelope: Envelope) -> None:
        line = json.dumps(envelope, ensure_ascii=False, allow_nan=False)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError) as error:  # ValueError: the file is closed
            self.closed = True
            raise RefusedError("nobody reads stdout any more") from error

    def close(self) -> None:
        pass
