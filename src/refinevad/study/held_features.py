"""Features kept in memory, for tables that train many models on one set."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features


@dataclass(frozen=True)
class HeldFeatures(FeatureIndex):
    """A feature folder whose items are read once."""

    held: dict[str, Features] = field(default_factory=dict)

    @classmethod
    def of(cls, index: FeatureIndex) -> "HeldFeatures":
        return cls(index.root, index.items, index.encoder, index.source)

    def load(self, items: Sequence[Item]) -> list[Features]:
        missing = [item for item in items if item.name not in self.held]
        self.held.update(zip((item.name for item in missing), super().load(missing), strict=True))
        return [self.held[item.name] for item in items]

    def stored(self, items: Sequence[Item]) -> list[Features]:
        return self.load(items)
