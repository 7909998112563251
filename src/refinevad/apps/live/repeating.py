"""Work that is done now and then on a thread, for as long as something runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_END_S = 10.0  # how long work that is under way may take at the end


@contextmanager
def repeating(name: str, work: Callable[[], None], every_s: float, first_s: float = 0.0) -> Iterator[None]:
    """Call `work` after `first_s` seconds and then every `every_s`, until the block is left.

    `name`: the thread's. What `work` raises ends the thread: it handles what may come.
    """
    stop = threading.Event()

    def loop() -> None:
        wait_s = first_s
        while not stop.wait(wait_s):
            work()
            wait_s = every_s

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_END_S)
