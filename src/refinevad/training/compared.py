"""A model beside its controls: what validation videos' labels can say of it, and the sentences about who is ahead.

A model is ahead of a control where the 95 % interval of their paired difference over whole videos lies above 0, and the
control is better where it lies below. Validation videos have labels alone: compared is video AUC. Test videos have
temporal truth, and evaluation.py compares every figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.features import Features
from refinevad.training.dataset import Item
from refinevad.training.metrics import Runs, top_mean
from refinevad.training.resampling import Bootstrap, Difference, paired
from refinevad.training.ridge import RIDGE
from refinevad.training.truth import Truth, VideoTruth

MODEL = "model"


@dataclass(frozen=True)
class Compared:
    """Video AUC on validation videos.

    Attributes:
        videos: how many.
        video_auc: of `MODEL` and of each control, by name.
        model_minus: the model's less each control's; None where the videos are too few for an interval.
    """

    videos: int
    video_auc: dict[str, float]
    model_minus: dict[str, Difference | None]

    @property
    def linear_recommended(self) -> bool:
        """Whether the ridge control is better than the model: the whole interval lies below 0."""
        difference = self.model_minus.get(RIDGE)
        return difference is not None and difference.high < 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "linear_recommended": self.linear_recommended}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Compared":
        """What `as_dict` gave, as JSON holds it."""
        minus = {name: None if found is None else Difference(**found) for name, found in content["model_minus"].items()}
        return cls(content["videos"], dict(content["video_auc"]), minus)

    def sentences(self) -> list[str]:
        """One for each control that the model is not ahead of, and the advice where there is one."""
        ours = self.video_auc[MODEL]
        told = [
            f"the model is not ahead of the {name} on the {self.videos} validation videos: "
            f"video AUC {ours:.3f} to {self.video_auc[name]:.3f}, {interval_words(difference)}"
            for name, difference in self.model_minus.items()
            if difference is None or not difference.low > 0
        ]
        if self.linear_recommended:
            told.append("the ridge control is better here: train again with --head linear, which makes it the model")
        return told


def compare_on_labels(
    items: Sequence[Item],
    features: Sequence[Features],
    scores: Mapping[str, Sequence[Float[np.ndarray, "_segment"]]],
) -> Compared | None:
    """Compare by the videos' labels alone; `scores` are of `MODEL` and of each control. Videos without a segment do
    not count.

    None without a normal or an anomalous video.
    """
    kept = [place for place, video in enumerate(features) if video.timeline.segments]
    if {items[place].anomalous for place in kept} != {True, False}:
        return None
    truths = [VideoTruth(items[i].name, items[i].labels, features[i].timeline, (), ()) for i in kept]
    bootstrap = Bootstrap.of(Truth((), tuple(truths)))
    found = {
        name: bootstrap.area({items[i].name: _bag(curves[i], items[i].anomalous) for i in kept})
        for name, curves in scores.items()
    }
    ours = found[MODEL]
    return Compared(
        len(kept),
        {name: sampled.value for name, sampled in found.items()},
        {name: paired(ours, sampled) for name, sampled in found.items() if name != MODEL},
    )


def _bag(scores: Float[np.ndarray, "segment"], anomalous: bool) -> Runs:
    return Runs(np.array([float(top_mean(scores))]), np.array([int(anomalous)]), np.array([int(not anomalous)]))


def interval_words(difference: Difference | None) -> str:
    """The difference with its interval, in words."""
    if difference is None:
        return "too few videos for an interval"
    return f"difference {difference.mean:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"


def control_sentence(metrics: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What to say where the model is not ahead of the ridge control on test videos by frame AUC; None where it is."""
    control = controls.get(RIDGE)
    if control is None or metrics.get("auc") is None or control.get("auc") is None:
        return None
    found = control["model_minus_control"]["auc"]
    difference = None if found is None else Difference(found["difference"], *found["ci95"])
    if difference is not None and difference.low > 0:
        return None
    return (
        f"the model is not ahead of the {RIDGE} on the {metrics['videos']} test videos: "
        f"frame AUC {metrics['auc']:.3f} to {control['auc']:.3f}, {interval_words(difference)}"
    )
