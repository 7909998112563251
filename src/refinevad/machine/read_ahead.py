"""One stage of a chain in a thread of its own, a bounded number of items before the next stage."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TypeVar, cast

_Item = TypeVar("_Item")
_END = object()


def read_ahead(source: Iterable[_Item], ahead: int) -> Generator[_Item, None, None]:
    """The items of `source` in its order, made in another thread while the caller works; `ahead` wait at most.

    What `source` raises is raised here, after the items before it. Whether the caller reads to the end, leaves, or is
    interrupted: the thread ends, after the item it is at, before this generator is closed. With `ahead` 0 there is no
    thread: the items are made in turn.
    """
    if ahead == 0:
        yield from source
        return
    made: SimpleQueue[object] = SimpleQueue()
    room, left = Semaphore(ahead), Event()
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        reading = thread.submit(_read, source, made, room, left)
        try:
            while (item := made.get()) is not _END:
                room.release()
                yield cast(_Item, item)
            reading.result()
        finally:
            left.set()
            room.release()


def _read(source: Iterable[_Item], made: "SimpleQueue[object]", room: Semaphore, left: Event) -> None:
    """Put every item of `source`, while there is room and somebody to take it, then the end's mark."""
    try:
        room.acquire()
        for item in source:  # a generator is closed where this loop is left, in this thread
            made.put(item)
            room.acquire()
            if left.is_set():
                return
    finally:
        made.put(_END)
