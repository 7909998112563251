"""The page: seven figures about one run, in one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from refinevad.apps.explain.confusion_figure import confusion_figure
from refinevad.apps.explain.distribution_figure import distribution_figure
from refinevad.apps.explain.event_figure import event_figure
from refinevad.apps.explain.figure import Figure
from refinevad.apps.explain.gate_figure import gate_figure
from refinevad.apps.explain.inside import Explained
from refinevad.apps.explain.map_figure import map_figure
from refinevad.apps.explain.paths_figure import paths_figure
from refinevad.apps.explain.prototype_figure import prototype_figure
from refinevad.apps.report.page import facts, page
from refinevad.apps.report.writer import write_text
from refinevad.detection.wording import escape, length

FIGURES = {
    "paths": paths_figure,
    "prototypes": prototype_figure,
    "map": map_figure,
    "gate": gate_figure,
    "events": event_figure,
    "confusion": confusion_figure,
    "distribution": distribution_figure,
}


def figures_of(explained: Explained) -> dict[str, Figure]:
    """All figures, by name, in the page's order."""
    return {name: make(explained) for name, make in FIGURES.items()}


def write_explanation(
    path: Path, title: str, explained: Explained, figures: Sequence[Figure], provenance: Mapping[str, str]
) -> None:
    """Write the page.

    Raises:
        InputError: the file cannot be written.
    """
    config = explained.checkpoint.refinevad.config
    normals = sum(not video.labels for video in explained.videos)
    body = [
        '<p class="kicker">Inside a trained run, on its test videos</p>',
        f"<h1>{escape(title)}</h1>",
        facts(
            {
                "Videos": f"{len(explained.videos)} ({normals} normal)",
                "Length": length(sum(video.timeline.duration_s for video in explained.videos)),
                "Categories": str(len(explained.categories)),
                "Gate": config.gate,
                "Topology": config.topology,
                "Width": str(config.width),
                "Encoder": explained.checkpoint.encoder,
            }
        ),
        *(figure.html(place) for place, figure in enumerate(figures, start=1)),
    ]
    text = page(
        f"{title}: inside", "\n".join(body), provenance, scripts=("explanation.js",), styles=("explanation.css",)
    )
    write_text(path, text)
