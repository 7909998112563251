"""Which of a segment's channels a model looks at: the same for RefineVAD and for the other heads."""

from collections.abc import Iterable

from refinevad.errors import InputError

Ranges = tuple[tuple[int, int], ...]


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
        """Raises InputError for a range outside the channels."""
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


def as_ranges(values: Iterable[Iterable[int]]) -> Ranges:
    """Ranges as a file holds them, as a configuration does."""
    return tuple((int(first), int(last)) for first, last in values)
