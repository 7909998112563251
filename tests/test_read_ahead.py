"""A stage in a thread of its own: the same items, the same errors, and no thread left, however the reader leaves."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.machine.read_ahead import read_ahead


def threads() -> int:
    return sum(thread.name.startswith("read-ahead") for thread in threading.enumerate())


class Source:
    """Counts up to `items`, then raises `error` if there is one; notes what it made and where it was closed."""

    def __init__(self, items: int, error: BaseException | None = None) -> None:
        self.items, self.error = items, error
        self.made = 0
        self.closed_in: str | None = None

    def __iter__(self) -> Iterator[int]:
        try:
            for item in range(self.items):
                self.made += 1
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.closed_in = threading.current_thread().name


@given(items=st.integers(0, 20), ahead=st.integers(0, 5))
def test_the_items_in_their_order(items: int, ahead: int) -> None:
    assert list(read_ahead(Source(items), ahead)) == list(range(items))
    assert threads() == 0


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_comes_after_the_items_before_it(error: BaseException) -> None:
    seen: list[int] = []
    with pytest.raises(type(error)) as caught:
        seen.extend(read_ahead(Source(3, error), 2))
    assert caught.value is error
    assert seen == [0, 1, 2]
    assert threads() == 0


def test_no_more_than_asked_for_is_made_ahead() -> None:
    """With 3 ahead: one taken, so at most 4 made; then the source is held."""
    source = Source(100)
    with closing(read_ahead(source, 3)) as items:
        assert next(items) == 0
        deadline = threading.Event()
        while source.made < 4 and not deadline.wait(0.01):
            pass
        deadline.wait(0.05)
        assert source.made == 4


@pytest.mark.parametrize("taken", [1, 2, 50])
def test_who_leaves_early_leaves_no_thread_and_an_ended_source(taken: int) -> None:
    source = Source(100)
    with closing(read_ahead(source, 4)) as items:
        for _ in range(taken):
            next(items)
    assert threads() == 0
    assert source.closed_in is not None
    assert source.closed_in.startswith("read-ahead")
    assert source.made <= taken + 5


def test_an_error_of_the_reader_leaves_no_thread() -> None:
    def divide() -> None:
        with closing(read_ahead(Source(100), 2)) as items:
            for item in items:
                1 // (item - 3)

    with pytest.raises(ZeroDivisionError):
        divide()
    assert threads() == 0


def test_without_any_ahead_there_is_no_thread() -> None:
    source = Source(3)
    items = read_ahead(source, 0)
    assert next(items) == 0
    assert (threads(), source.made) == (0, 1)
    items.close()
    assert source.closed_in == threading.current_thread().name
