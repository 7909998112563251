"""Which category prototypes CORE placed close to each other."""

import numpy as np

from refinevad.apps.explain.chart import Panel, drawing
from refinevad.apps.explain.figure import Figure, panes, signed, swatches
from refinevad.apps.explain.heat_map import heat_map
from refinevad.apps.explain.inside import Explained
from refinevad.apps.explain.seriation import seriate
from refinevad.apps.explain.statistic import cosines

_TITLE = "Which categories the model holds alike"
_MANY = 40  # categories; beyond that a cell's number cannot be read


def prototype_figure(explained: Explained) -> Figure:
    """Cosines of all pairs of prototypes, like ones side by side, against what chance gives in that many dimensions."""
    names, vectors = explained.categories, explained.prototypes
    if len(names) < 2:
        return Figure(_TITLE, "", f"This run knows one category, {names[0]}: there is no second prototype to compare.")
    alike = cosines(vectors)
    order = seriate(1.0 - alike)
    alike, names = alike[np.ix_(order, order)], tuple(names[place] for place in order)
    upper = np.triu_indices(len(names), 1)
    pairs = alike[upper]
    chance = 2.0 / np.sqrt(vectors.shape[1])  # two standard deviations of random directions' cosine
    beyond = int((np.abs(pairs) > chance).sum())
    ranked = np.argsort(pairs)
    most = (names[upper[0][ranked[-1]]], names[upper[1][ranked[-1]]], float(pairs[ranked[-1]]))
    least = (names[upper[0][ranked[0]]], names[upper[1][ranked[0]]], float(pairs[ranked[0]]))
    expected = 0.0455 * len(pairs)
    verdict = (
        "so training has given the prototypes a structure of their own"
        if beyond > 2 * expected + 2
        else "so they are hardly more alike than random directions: training left them nearly where they started"
    )
    told = (
        f"Most alike: {most[0]} and {most[1]} (cosine {signed(most[2])}); least: {least[0]} and {least[1]} "
        f"({signed(least[2])}). {beyond} of {len(pairs)} pairs lie outside ±{chance:.2f}, where chance would leave "
        f"about {expected:.0f} in {vectors.shape[1]} dimensions, {verdict}."
    )
    texts = [
        [
            f"{v:.1f}".replace("-0.0", "0.0").replace("-", "−").replace("0.", ".") if i != j else ""
            for j, v in enumerate(row)
        ]
        for i, row in enumerate(alike)
    ]
    cells = [
        [f"{names[i]} and {names[j]}: cosine {signed(v)}" for j, v in enumerate(row)] for i, row in enumerate(alike)
    ]
    shades = alike / max(float(np.abs(pairs).max()), 1e-9) * 0.9
    np.fill_diagonal(shades, 0.0)
    if len(names) > _MANY:
        texts = [[""] * len(names) for _ in names]
    matrix = heat_map("Cosine of each pair of category prototypes", names, shades, texts, cells)
    legend = swatches({"alike": "var(--curve)", "opposed": "var(--event)"})
    body = panes(
        ("Cosine of each pair; like categories are neighbours", matrix + legend),
        (
            "All pairs, beside random directions",
            _spread(pairs, vectors.shape[1]) + swatches({"pairs": "var(--curve)", "random directions": "var(--muted)"}),
        ),
    )
    numbers = {
        "order": list(names),
        "cosine_highest": most,
        "cosine_lowest": least,
        "pairs": len(pairs),
        "pairs_beyond_chance": beyond,
        "chance_band": float(chance),
    }
    return Figure(
        _TITLE, "Look for blocks of colour along the diagonal: categories the model treats as kin.", told, body, numbers
    )


def _spread(pairs: np.ndarray, width: int) -> str:
    reach = max(0.3, 1.1 * float(np.abs(pairs).max()))
    edges = np.linspace(-reach, reach, 25)
    heights = np.histogram(pairs, edges)[0] / len(pairs)
    sigma = 1.0 / np.sqrt(width)
    x = np.linspace(-reach, reach, 121)
    bell = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)) * (edges[1] - edges[0])
    panel = Panel((-reach, reach), (0.0, 1.1 * float(max(heights.max(), bell.max()))), "cosine", "share of pairs")
    panel.histogram(edges, heights, "var(--curve)", 0.3)
    panel.curve(x, bell, "var(--muted)")
    return drawing("Histogram of the cosines of prototype pairs beside that of random directions", [panel])
