"""What a RUN says of its encoder, read without torch: enough to begin decoding while the model is being opened.

It is a guess to work ahead by. Whoever uses what was made by it first opens the run, which checks everything, and
compares (`RunOutline.fits`).
"""

from pathlib import Path
from typing import Any, NamedTuple

from refinevad.errors import InputError
from refinevad.files.json_files import read_json
from refinevad.input_ranges import Ranges, as_ranges
from refinevad.timeline import SegmentRule

CONFIG = "config.json"
MOST_CONFIG_BYTES = 8 << 20


class RunOutline(NamedTuple):
    """The encoder by its word, what a segment is, and the channels that the model needs (none: all)."""

    encoder: str
    rule: SegmentRule
    made_for: Ranges


def outline_of(folder: Path) -> RunOutline | None:
    """A RUN folder's outline; None where it does not read as one, or is unusual. Opening the run tells why."""
    try:
        config: Any = read_json(folder / CONFIG, MOST_CONFIG_BYTES)
        encoder, model = config["encoder"], config["model"]
        rule = SegmentRule(**config["signature"]["rule"])
        if not (0.01 <= (rule.seconds or 1.0) <= 60.0 and (rule.frames or 1) <= 3000):
            return None  # memory is taken for a segment's frames: not before the run is checked
        made_for = () if model.get("merge_runs") else as_ranges(model.get("inputs", ()))
    except (InputError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return RunOutline(encoder, rule, made_for) if isinstance(encoder, str) else None
