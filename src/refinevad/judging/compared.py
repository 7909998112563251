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

from refinevad.datasets.dataset import Item
from refinevad.features.store import Features
from refinevad.judging.intervals import difference
from refinevad.judging.metrics import Runs
from refinevad.judging.resampling import Bootstrap
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.ridge import RIDGE
from refinevad.top_k import top_mean

MODEL = "model"


@dataclass(frozen=True)
class Compared:
    """Video AUC on validation videos.

    Attributes:
        videos: how many.
        video_auc: of `MODEL` and of each control, by name.
        model_minus_control: the model's less each control's, as `intervals.difference` has it; None where the videos
            are too few for an interval.
    """

    videos: int
    video_auc: dict[str, float]
    model_minus_control: dict[str, dict[str, Any] | None]

    @property
    def linear_recommended(self) -> bool:
        """Whether the ridge control is better than the model: the whole interval lies below 0."""
        gap = self.model_minus_control.get(RIDGE)
        return gap is not None and bool(gap["ci95"][1] < 0)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "linear_recommended": self.linear_recommended}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Compared":
        """What `as_dict` gave, as JSON holds it."""
        return cls(content["videos"], dict(content["video_auc"]), dict(content["model_minus_control"]))

    def sentences(self) -> list[str]:
        """One for each control that the model is not ahead of, and the advice where there is one."""
        told = [
            f"{_behind(name, f'{self.videos} validation', gap)}: "
            f"video AUC {self.video_auc[MODEL]:.3f} against {self.video_auc[name]:.3f}, {interval_words(gap)}"
            for name, gap in self.model_minus_control.items()
            if not _ahead(gap)
        ]
        if self.linear_recommended:
            told.append(
                f"the {RIDGE} is better on these videos: train it as the model, with --head linear and another --out"
            )
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
        {name: difference(ours, sampled) for name, sampled in found.items() if name != MODEL},
    )


def _bag(scores: Float[np.ndarray, "segment"], anomalous: bool) -> Runs:
    return Runs(np.array([float(top_mean(scores))]), np.array([int(anomalous)]), np.array([int(not anomalous)]))


def _ahead(gap: Mapping[str, Any] | None) -> bool:
    """Whether the whole interval of the model's figure less a control's lies above 0."""
    return gap is not None and bool(gap["ci95"][0] > 0)


def _behind(control: str, videos: str, gap: Mapping[str, Any] | None) -> str:
    how = "not surely ahead" if gap is not None and gap["difference"] > 0 else "not ahead"
    return f"the model is {how} of the {control} on the {videos} videos"


def interval_words(gap: Mapping[str, Any] | None) -> str:
    """A difference with its interval, in words."""
    if gap is None:
        return "too few videos for an interval"
    low, high = gap["ci95"]
    return f"difference {gap['difference']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"


def control_sentence(metrics: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What to say where the model is not ahead of the ridge control on test videos by frame AUC; None where it is."""
    control = controls.get(RIDGE)
    if control is None or metrics.get("auc") is None or control.get("auc") is None:
        return None
    gap = control["model_minus_control"]["auc"]
    if _ahead(gap):
        return None
    return (
        f"{_behind(RIDGE, str(metrics['videos']) + ' test', gap)}: "
        f"frame AUC {metrics['auc']:.3f} against {control['auc']:.3f}, {interval_words(gap)}"
    )
