"""Which of a segment's channels a model looks at: the same for RefineVAD and for the other heads."""

from typing import Any, Literal

from refinevad.errors import InputError
from refinevad.files.shown import short

Ranges = tuple[tuple[int, int], ...]
Empty = Literal["zero", "mean"]  # what segments that hold nothing score (RefineVADConfig)
_MOST_CHANNELS = 1_000_000


class InputRanges:
    """What a configuration with `channels`, `inputs` and `merge_runs` can be asked.

    Attributes:
        channels: D, numbers a segment.
        inputs: channel ranges [first, last) the model looks at; none: all of them.
        merge_runs: equal neighbouring segments become one.
    """

    channels: int
    inputs: Ranges
    merge_runs: bool

    def check_inputs(self) -> None:
        """Raises InputError for a range outside the channels, or more of them than any encoder makes."""
        if self.channels > _MOST_CHANNELS:
            raise InputError(f"a model looks at {_MOST_CHANNELS} channels at most: got {self.channels}")
        if any(not 0 <= first < last <= self.channels for first, last in self.inputs):
            raise InputError(f"model inputs {self.inputs} are no ranges of {self.channels} channels")

    @property
    def selected(self) -> list[int]:
        """The channels the model looks at."""
        return [channel for first, last in self.inputs or ((0, self.channels),) for channel in range(first, last)]

    @property
    def made_for(self) -> Ranges:
        """What an encoder must make for the model (`Encoder.reading`); none: all of it."""
        return () if self.merge_runs else self.inputs  # runs of equal segments are told by every channel


def as_ranges(values: Any) -> Ranges:
    """Ranges as a file holds them, as a configuration does. Raises InputError where they are no pairs of numbers."""
    try:
        return tuple((int(first), int(last)) for first, last in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"model inputs are pairs of channels, [first, last]: got {short(values)}") from error
