"""Which category anomalous test videos are named, against which they are."""

import numpy as np

from refinevad.apps.explain.figure import Figure, panes
from refinevad.apps.explain.heat_map import heat_map
from refinevad.apps.explain.inside import Explained
from refinevad.apps.explain.seriation import seriate
from refinevad.apps.explain.statistic import confusion, cosines
from refinevad.detection.wording import escape

_TITLE = "Which category it is named"


def confusion_figure(explained: Explained) -> Figure:
    """True by named, in the order of the first figure; rows shaded by their share."""
    names = explained.categories
    videos = [video for video in explained.videos if any(label in names for label in video.labels)]
    if len(names) < 2:
        return Figure(_TITLE, "", f"This run knows one category, {names[0]}: it cannot be named wrongly.")
    if not videos:
        return Figure(_TITLE, "", "No test video is of a category this run knows.")
    order = seriate(1.0 - cosines(explained.prototypes))
    ordered = tuple(names[place] for place in order)
    presence = np.stack([video.scores.presence for video in videos])
    named = [names[int(row.argmax())] for row in presence]
    counts = confusion([video.labels for video in videos], named, ordered)
    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(total, 1)
    right = sum(said in video.labels for video, said in zip(videos, named, strict=True))
    top = np.argsort(-presence, axis=1, kind="stable")[:, :3]
    among = sum(any(names[place] in video.labels for place in row) for video, row in zip(videos, top, strict=True))
    most = total.max() / max(len(videos), 1)
    present = total[:, 0] > 0
    balanced = float(np.diag(share)[present].mean())
    told = (
        f"{right} of {len(videos)} anomalous videos ({100 * right / len(videos):.0f} %) are named rightly, "
        f"{100 * among / len(videos):.0f} % have the right name among the first three; always saying the "
        f"commonest would give {100 * most:.0f} %. Averaged over categories it is {100 * balanced:.0f} %."
    )
    texts = [[str(count) if count else "" for count in row] for row in counts]
    cells = [
        [
            f"{ordered[i]} named {ordered[j]}: {counts[i, j]} of {total[i, 0]} ({100 * share[i, j]:.0f} %)"
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]
    matrix = heat_map(
        "Confusion of categories on anomalous test videos", ordered, share, texts, cells, ("true", "named")
    )
    body = panes(
        ("Videos by true and named category; shade: share of the row", matrix),
        ("Named rightly, and what else they are taken for", _table(ordered, counts)),
    )
    numbers = {
        "videos": len(videos),
        "named_rightly": right / len(videos),
        "right_among_three": among / len(videos),
        "commonest": float(most),
        "mean_over_categories": balanced,
        "categories": list(ordered),
        "counts": counts.tolist(),
    }
    look = (
        "Look for a dark diagonal; a dark cell off it is a pair of categories taken for each other. "
        "Named: the category most likely present in the whole video."
    )
    return Figure(_TITLE, look, told, body, numbers)


def _table(names: tuple[str, ...], counts: np.ndarray) -> str:
    rows = []
    for place, name in enumerate(names):
        line, total = counts[place], int(counts[place].sum())
        if not total:
            continue
        others = sorted(
            ((int(c), names[j]) for j, c in enumerate(line) if c and j != place), key=lambda x: (-x[0], x[1])
        )
        told = ", ".join(f"{other} {count}" for count, other in others[:2]) or "–"
        more = f" +{sum(count for count, _ in others[2:])}" if len(others) > 2 else ""
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{line[place]} of {total}</td>'
            f'<td>{100 * line[place] / total:.0f} %</td><td class="said">{escape(told)}{more}</td></tr>'
        )
    return (
        '<div class="scroll"><table class="tight"><thead><tr><th scope="col">True</th><th scope="col">Right</th>'
        f'<th scope="col">Share</th><th scope="col" class="said">Else</th></tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )
