"""Whether a value out of a file is an ordinary number."""

import sys
from typing import TypeGuard


def is_finite(value: object) -> TypeGuard[int | float]:
    """Whether it is a whole number or a float, neither NaN nor infinite, and no larger than a float can be.

    Files hold whole numbers of any length, and `float` raises OverflowError for those beyond every float. True and
    False are no numbers.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
