"""Memory that is used over and over is kept, where glibc would give it back and have the kernel blank it anew."""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# mallopt's parameters (malloc.h), and where they stand without us once a program has freed a block of 32 MiB
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 30  # bytes: no block below is given back
_USUAL_MMAP, _USUAL_TRIM = 32 << 20, 64 << 20

_lock = threading.Lock()
_inside = 0


@contextmanager
def large_blocks_kept() -> Iterator[None]:
    """Blocks of memory up to 1 GiB that are freed inside are at hand for the next one; afterwards they are given back.

    glibc asks the kernel for each block of 32 MiB and more anew and returns it at once, so that training on wide
    features wrote to blank pages all the time: every step has a dozen such blocks. Elsewhere than with glibc nothing
    changes. Of the whole process; inside one another, the outermost counts.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(_KEPT, _KEPT)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _set(_USUAL_MMAP, _USUAL_TRIM)
                _trim()


def _set(mmap_from: int, trim_from: int) -> None:
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, mmap_from)
        mallopt(_TRIM_THRESHOLD, trim_from)


def _trim() -> None:
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _of_glibc(name: str) -> Callable[..., Any] | None:
    """A function of the C library; None where that is another one."""
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version
        found: Callable[..., Any] = getattr(library, name)
    except (AttributeError, OSError, TypeError):
        return None
    return found
