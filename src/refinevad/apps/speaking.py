"""Which model speaks, and how sure it may be: the first line where a model that ships does."""

from collections.abc import Iterable
from pathlib import Path

from refinevad.errors import InputError
from refinevad.shipped.card import Card
from refinevad.shipped.names import shipped_name


def who_speaks(runs: Iterable[Path]) -> list[str]:
    """A sentence for each model that ships among RUN folders; none for a run of one's own, whose maker knows it.

    Raises:
        InputError: its weights are not those that its card speaks of.
    """
    cards = [Card.read(run) for run in dict.fromkeys(runs) if shipped_name(run) is not None]
    for card in cards:
        if not card.intact:
            raise InputError(f"the weights of {card.name} are not those of its card; install refinevad again")
    return [card.sentence for card in cards]
