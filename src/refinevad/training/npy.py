"""Arrays as others publish them: `.npy`, memory mapped, never unpickled."""

from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float

from refinevad.errors import InputError


def open_npy(path: Path) -> Float[np.ndarray, "*axes"]:
    """Map a file's numbers into memory; of the file nothing but its header is read.

    Raises:
        InputError: missing, no `.npy`, shorter than its header says, without a number, not floats, or Python objects,
            which could run code when unpickled.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="c")  # what is written stays in memory
    except FileNotFoundError as error:
        raise InputError(f"features not found: {path}; check the list and the folder") from error
    except OSError as error:
        raise InputError(f"features {path} cannot be read ({error.strerror})") from error
    except (ValueError, SyntaxError, TokenError, OverflowError, RecursionError) as error:  # NumPy parses Python here
        if "Python objects" in str(error):
            raise InputError(
                f"{path} holds Python objects, which could run code when opened; save it again as an array of floats"
            ) from error
        raise InputError(f"{path} is no whole .npy file ({error}); copy it again") from error
    if array.dtype.kind != "f":
        raise InputError(f"{path} holds {array.dtype}, features are floats; save it again as an array of floats")
    if not array.size:
        raise InputError(f"{path} holds no segment: its shape is {array.shape}")
    return array
