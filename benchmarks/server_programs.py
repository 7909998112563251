"""Servers that are programs of their own, for soaks and for tests: started, killed, stalled; and disks to be filled."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 1800.0  # a machine may be busy


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether a program takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Program:
    """A server process on a port that stays the same when it is killed and started again.

    Attributes:
        user: whose process it is; None: this program's.
        patience_s: so long it may take to come up, or to end.
    """

    command: Sequence[str]
    port: int
    user: int | None = None
    patience_s: float = PATIENCE_S
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            RuntimeError: it is started already, ends at once, or does not come up.
        """
        if self.process is not None:
            raise RuntimeError(f"{self.command[0]} is already started")
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command, stdout=quiet, stderr=quiet, stdin=quiet, user=self.user, cwd="/", start_new_session=True
        )
        until = time.monotonic() + self.patience_s
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} did not come up on port {self.port}")
            time.sleep(0.02)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once by default: then its children too, which would go on serving for a while."""
        if self.process is not None:
            if how is signal.SIGKILL:
                os.killpg(self.process.pid, how)
            else:
                self.process.send_signal(how)
            self.process.wait(self.patience_s)
            self.process = None

    def pause(self) -> None:
        """Stall: connections stay open and nothing comes."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """A file system of so much, such as "24m", at a folder.

    Raises:
        OSError: none can be mounted here.
    """
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        raise OSError(f"no file system can be mounted at {place}: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
