"""How a model does on validation videos, by their labels alone."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Validation:
    """Video-level validation: AUC of the videos' top-k scores, and their cross-entropy, which settles ties."""

    video_auc: float
    loss: float

    def better_than(self, other: "Validation | None") -> bool:
        if other is None:
            return True
        ours, theirs = np.nan_to_num([self.video_auc, other.video_auc], nan=0.0)
        return (round(float(ours), 6), -self.loss) > (round(float(theirs), 6), -other.loss)
