"""Stand-ins for a camera's process, for tests of the fleet: they say little, and late; light, to start soon."""

import os
import signal
import struct
import time
from multiprocessing.connection import Connection

from refinevad.apps.live.capture.messages import Opened, Pulse, encode
from refinevad.apps.live.capture.worker import WorkerJob

START_S = 3.0
_ALIVE, _OPENED = encode(Pulse(0, 0, 0, 0, 0, 0)), encode(Opened(64, 48, 25.0, "h264", recording=False))


def mute_for_long(job: object, connection: Connection) -> None:
    """Says nothing while it starts, as where modules are loaded from a disk that others want, too."""
    time.sleep(START_S)
    steady(job, connection)


def opens_for_long(job: object, connection: Connection) -> None:
    """Is there at once, and then looks for long at what it opens."""
    connection.send_bytes(_ALIVE)
    mute_for_long(job, connection)


def hangs(job: object, connection: Connection) -> None:
    """Comes up, and never says another word."""
    connection.send_bytes(_OPENED)
    time.sleep(3600.0)


def steady(job: object, connection: Connection) -> None:
    connection.send_bytes(_OPENED)
    while True:
        connection.send_bytes(_ALIVE)
        time.sleep(0.1)


def stops_in_mid_message(job: object, connection: Connection) -> None:
    """Comes up, and is stopped (a debugger, a frozen group of processes) with half of a message said."""
    connection.send_bytes(_OPENED)
    os.write(connection.fileno(), struct.pack("!i", 1 << 20) + bytes(1 << 16))
    os.kill(os.getpid(), signal.SIGSTOP)


def halts_in_mid_message(job: object, connection: Connection) -> None:
    """Says each message in two halves, with a pause between."""
    connection.send_bytes(_OPENED)
    while True:
        message = struct.pack("!i", len(_ALIVE)) + _ALIVE
        for half in (message[:7], message[7:]):
            os.write(connection.fileno(), half)
            time.sleep(0.1)


def as_named(job: WorkerJob, connection: Connection) -> None:
    """The stand-in whose name the job's address is shown by."""
    globals()[job.address.shown](job, connection)
