"""Arrays as others publish them: `.npy`, memory mapped, and `.npz`, never unpickled.

Their headers are text that Python parses, and archives say how they are packed: whatever comes of that is one error.
"""

import io
import lzma
import math
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float, Shaped

from refinevad.errors import InputError
from refinevad.files.json_files import check_regular
from refinevad.files.whole import is_there

MOST_ARCHIVE_BYTES = 1 << 30  # of an archive's arrays, unpacked
_HEADER_ERRORS = (ValueError, SyntaxError, TokenError, OverflowError, RecursionError, TypeError, MemoryError)
# RuntimeError: encrypted, or packed in a way that Python's zipfile does not know (NotImplementedError)
_ARCHIVE_ERRORS = (*_HEADER_ERRORS, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def open_npy(path: Path) -> Float[np.ndarray, "*axes"]:
    """Map a file's numbers into memory; of the file nothing but its header is read.

    Raises:
        InputError: missing, no `.npy`, shorter than its header says, without a number, not floats, or Python objects,
            which could run code when unpickled.
    """
    array = map_npy(path)
    if array.dtype.kind != "f":
        raise InputError(f"{path} holds {array.dtype}, features are floats; save it again as an array of floats")
    if not array.size:
        raise InputError(f"{path} holds no segment: its shape is {array.shape}")
    return array


def map_npy(path: Path) -> Shaped[np.ndarray, "*axes"]:
    """A file's values of whatever kind, mapped into memory.

    Raises:
        InputError: missing, no `.npy`, shorter than its header says, or Python objects.
    """
    if not is_there(path):
        raise InputError(f"features not found: {path}; check the list and the folder")
    check_regular(path, 1 << 62)  # of any size: nothing of it is read
    try:
        return np.lib.format.open_memmap(path, mode="c")  # what is written stays in memory
    except OSError as error:
        raise InputError(f"features {path} cannot be read ({error.strerror})") from error
    except _HEADER_ERRORS as error:
        if "Python objects" in str(error):
            raise InputError(
                f"{path} holds Python objects, which could run code when opened; save it again as an array of floats"
            ) from error
        raise InputError(f"{path} is no whole .npy file ({error}); copy it again") from error


def read_npz(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of an archive by name, read-only.

    Raises:
        InputError: no archive, damaged, encrypted, packed in a way unknown here, a name twice, Python objects, arrays
            that are not as long as their headers say, or more than a gibibyte of them.
    """
    check_regular(path, MOST_ARCHIVE_BYTES)
    arrays: dict[str, Shaped[np.ndarray, ...]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(member.file_size for member in archive.infolist())
            if whole > MOST_ARCHIVE_BYTES:
                most = f"at most {MOST_ARCHIVE_BYTES:,} are expected there"
                raise InputError(f"{path} holds {whole:,} bytes of arrays; {most}")
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise InputError(f"{path}: the array {name!r} stands twice; keep one")
                arrays[name] = _array(archive.read(member))  # which reads no more than the directory says
    except _ARCHIVE_ERRORS as error:
        raise InputError(
            f"{path} is damaged, or no archive of plain number arrays ({error}); save it with numpy.savez"
        ) from error
    return arrays


def _array(content: bytes) -> Shaped[np.ndarray, "..."]:
    """The array of a whole `.npy` in memory. Raises ValueError, or what NumPy's reader of headers raises."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an array of version {version}")
    shape, by_columns, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects, which could run code when opened")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{len(content) - file.tell()} bytes for an array of shape {shape}")
    return np.ndarray(shape, dtype, content, file.tell(), order="F" if by_columns else "C")
