"""Stand-ins for a camera's process, for tests of the fleet: they say little, and late; light, to start soon."""

import time
from multiprocessing.connection import Connection

from refinevad.apps.live.capture.messages import Opened, Pulse, encode

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
