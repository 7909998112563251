"""How much of what varies in the scores comes by which path."""

import numpy as np
from jaxtyping import Float

from refinevad.apps.explain.figure import Figure
from refinevad.apps.explain.inside import Explained
from refinevad.detection.wording import escape
from refinevad.scoring.paths import PathCurves, shares_of_variance

_TITLE = "Which path a score comes by"
_LOOK = (
    "A path's share is Cov(what it adds, the logit) / Var(the logit): the shares add up to 100 %, and one below 0 runs "
    "against the score. Look at the second column: which path tells when in a video something happens."
)
_COLUMNS = {
    "everywhere": "all segments",
    "within": "within videos: when",
    "between": "between videos: which",
}


def paths_figure(explained: Explained) -> Figure:
    """A table of each path's share of the variance of the logits: of all segments, within and between videos."""
    model = explained.checkpoint.refinevad
    curves = [PathCurves.of(model, video.scores.paths) for video in explained.videos if video.timeline.segments]
    videos = [paths for paths in curves if paths is not None]
    if not videos:
        return Figure(_TITLE, "", "No test video has a segment whose score could be split.")
    names = dict(videos[0].names)
    if len(names) == 1:
        name = next(iter(names.values()))
        told = f"{name} carries 100 % of every score: this run has no other path."
        return Figure(_TITLE, "", told, numbers={column: dict.fromkeys(names, 1.0) for column in _COLUMNS})
    shares = {
        column: dict(zip(names, shares_of_variance(added).tolist(), strict=True))
        for column, added in _parts([paths.added for paths in videos]).items()
    }
    return Figure(_TITLE, _LOOK, _words(names, shares), _table(names, shares), shares)


def _parts(added: list[Float[np.ndarray, "_segment path"]]) -> dict[str, Float[np.ndarray, "segment path"]]:
    """What varies: over all segments, beside each video's mean, and of the means, each by its number of segments."""
    means = np.concatenate([np.broadcast_to(video.mean(axis=0), video.shape) for video in added])
    whole = np.concatenate(added)
    return {"everywhere": whole, "within": whole - means, "between": means}


def _words(names: dict[str, str], shares: dict[str, dict[str, float]]) -> str:
    def told(column: str) -> str:
        return ", ".join(f"{names[path]} {_percent(share)}" for path, share in shares[column].items())

    return (
        f"Of what varies in the logits of the test segments: {told('everywhere')}. "
        f"Within videos: {told('within')}. Between videos: {told('between')}."
    )


def _percent(share: float) -> str:
    return "undefined" if np.isnan(share) else f"{100 * share:.0f} %".replace("-", "−")


def _table(names: dict[str, str], shares: dict[str, dict[str, float]]) -> str:
    head = "".join(f'<th scope="col">{told}</th>' for told in _COLUMNS.values())
    rows = "".join(
        f'<tr><th scope="row"><i class="path {path}"></i>{escape(name)}</th>'
        + "".join(f"<td>{_bar(path, shares[column][path])}</td>" for column in _COLUMNS)
        + "</tr>"
        for path, name in names.items()
    )
    return (
        '<div class="scroll"><table class="by-path"><thead><tr><th scope="col">Path</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _bar(path: str, share: float) -> str:
    width = 0.0 if np.isnan(share) else 100 * min(max(share, 0.0), 1.0)
    return f'<span class="track"><i class="{path}" style="width:{width:.1f}%"></i></span>{_percent(share)}'
