"""One figure of the page: drawings, and in words what to look for and what they show here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinevad.detection.wording import escape


@dataclass(frozen=True)
class Figure:
    """A titled figure.

    Attributes:
        title, look, told: plain text, escaped here: its name, what to look for, what it shows in this run.
        body: HTML, escaped by whoever made it; empty: there is nothing to draw, and `told` says why.
        numbers: what `told` quotes, for the JSON.
    """

    title: str
    look: str
    told: str
    body: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def html(self, place: int) -> str:
        name = f"figure-{place}"
        look = f'<p class="look">{escape(self.look)}</p>' if self.body else ""
        return (
            f'<section class="card explained" aria-labelledby="{name}"><h2 id="{name}"><span>{place}</span>'
            f'{escape(self.title)}</h2><p class="told">{escape(self.told)}</p>{look}{self.body}</section>'
        )


def panes(*drawings: tuple[str, str]) -> str:
    """Drawings side by side where there is room, each (caption, HTML)."""
    inside = "".join(f"<figure><figcaption>{escape(told)}</figcaption>{drawn}</figure>" for told, drawn in drawings)
    return f'<div class="panes">{inside}</div>'


def swatch(colour: str, name: str) -> str:
    return f'<span><i style="background:{colour}"></i>{escape(name)}</span>'


def swatches(entries: Mapping[str, str]) -> str:
    """A legend: name -> CSS colour."""
    return f'<div class="legend">{"".join(swatch(colour, name) for name, colour in entries.items())}</div>'


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def strength(correlation: float) -> str:
    """A correlation in words."""
    size = abs(correlation)
    return "no" if size < 0.1 else "a weak" if size < 0.3 else "a moderate" if size < 0.6 else "a strong"
