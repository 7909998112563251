"""What stands behind an encoder's word: a model's name, and options behind that.

As in `clip:openai/clip-vit-base-patch16@frames=4,pool=mean-max,crops=10`.
"""

import re
from dataclasses import dataclass, replace

from refinevad.errors import InputError

POOLS = ("mean", "max", "min")
_OPTIONS = re.compile(r"(?P<source>.*)@(?P<options>[a-z]+=[\w-]+(?:,[a-z]+=[\w-]+)*)")
_MOST_FRAMES = 256


@dataclass(frozen=True)
class NetworkOptions:
    """What may be said behind a model's name.

    Attributes:
        frames: colour frames a segment; None: the family's own number.
        pool: how the vectors of a segment's frames become one: `mean`, `max`, `min`, or several joined by `-`, which
            are put one behind the other.
        crops: 1, or 10: the mean over ten crops of each frame.
    """

    frames: int | None = None
    pool: tuple[str, ...] = ("mean",)
    crops: int = 1


def with_options(named: str) -> tuple[str, NetworkOptions]:
    """A model's name and the options behind it. Raises InputError for an option that is none."""
    found = _OPTIONS.fullmatch(named)
    if found is None:
        return named, NetworkOptions()
    options = NetworkOptions()
    for pair in found["options"].split(","):
        name, _, value = pair.partition("=")
        if name == "pool" and value and all(part in POOLS for part in value.split("-")):
            options = replace(options, pool=tuple(dict.fromkeys(value.split("-"))))
        elif name == "frames" and value.isdecimal() and 0 < int(value) <= _MOST_FRAMES:
            options = replace(options, frames=int(value))
        elif name == "crops" and value in ("1", "10"):
            options = replace(options, crops=int(value))
        else:
            raise InputError(
                f"unknown option {pair!r} behind {found['source']}: there are frames=1 to {_MOST_FRAMES}, "
                f"pool={'-'.join(POOLS)} or some of these, and crops=1 or 10"
            )
    return found["source"], options
