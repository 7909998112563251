"""What a camera's process says -> whole messages, without ever waiting for the rest of one.

`Connection.recv_bytes` waits until a message has come whole: a process that is stopped in the middle of one would keep
the thread that hears all cameras for ever. Here what has come is kept, and the rest is taken when it is there.

The process writes with `Connection.send_bytes`: four bytes of length, big-endian and signed, then the message.
"""

import os
import struct
from multiprocessing.connection import Connection

_LENGTH = struct.Struct("!i")  # -1 in it: a message of 2 GiB or more, which is longer than any that is taken
_AT_ONCE = 1 << 20


class Inlet:
    """One connection's incoming messages. Neither reading nor writing on it waits from now on.

    Args:
        most_bytes: of one message; longer ones are none of ours.
    """

    def __init__(self, connection: Connection, most_bytes: int) -> None:
        self._connection, self._most_bytes = connection, most_bytes
        os.set_blocking(connection.fileno(), False)
        self._parts: list[bytes] = []
        self._left = _LENGTH.size  # bytes that the length, or the message, still lacks
        self._in_message = False

    def read(self) -> bytes | None:
        """The message that has come whole; None: more of it is to come.

        Raises:
            EOFError: the other end is closed.
            OSError: the connection is broken, or says that a message is longer than any may be.
        """
        while True:
            while self._left:
                try:
                    part = os.read(self._connection.fileno(), min(self._left, _AT_ONCE))
                except BlockingIOError:
                    return None
                if not part:
                    raise EOFError
                self._parts.append(part)
                self._left -= len(part)
            whole, self._parts = b"".join(self._parts), []
            if self._in_message:
                self._in_message, self._left = False, _LENGTH.size
                return whole
            (length,) = _LENGTH.unpack(whole)
            if not 0 <= length <= self._most_bytes:
                raise OSError(f"a message of {length} bytes")
            self._in_message, self._left = True, length
