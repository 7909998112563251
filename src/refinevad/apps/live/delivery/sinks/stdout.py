"""Events as JSON lines on stdout, for pipes."""

import errno
import json
import sys
from io import RawIOBase, TextIOWrapper
from typing import BinaryIO, cast

from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.envelope import Envelope, Notice


class StdoutSink:
    """A line for each envelope, written through at once. `closed` tells that the reader has gone.

    Stdout may be a file on a disk that fills up in mid-line: the line is finished before another begins.
    """

    def __init__(self, name: str = "stdout", stream: TextIOWrapper | None = None) -> None:
        self.name, self.closed = name, False
        self._stream: TextIOWrapper = stream or cast(TextIOWrapper, sys.stdout)
        self._begun = ""  # id of the envelope whose line is not finished
        self._rest = b""  # of it
        self._whole = set[str]()  # ids of envelopes whose lines were finished before they came again

    def deliver(self, envelope: Envelope) -> None:
        self._say(envelope)

    def tell(self, notice: Notice) -> None:
        self._say(notice)

    def _say(self, envelope: Envelope | Notice) -> None:
        line = json.dumps(envelope, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            self._stream.flush()  # what others have written comes before it
            if self._rest:
                self._write_rest()
                self._whole.add(self._begun)
            if envelope["id"] in self._whole:
                self._whole.remove(envelope["id"])
            else:
                self._begun, self._rest = envelope["id"], line.encode("utf-8")
                self._write_rest()
        except (BrokenPipeError, ValueError) as error:  # ValueError: the file is closed
            self.closed = True
            raise RefusedError("nobody reads stdout any more") from error
        except OSError as error:
            raise DeliveryError(f"stdout cannot be written: {error.strerror or error}") from error

    def _write_rest(self) -> None:
        """Write on to the descriptor itself: a buffer would hold a line that failed, and write it a second time."""
        buffer = self._stream.buffer
        raw = cast("RawIOBase | BinaryIO", getattr(buffer, "raw", buffer))
        while self._rest:
            written = raw.write(self._rest)
            if not written:
                raise OSError(errno.EAGAIN, "it takes nothing just now")
            self._rest = self._rest[written:]

    def close(self) -> None:
        pass
