"""Charts as inline SVG: panels with axes that hold points, curves, stacked areas and histograms. No library."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from refinevad.detection.wording import escape

WIDTH, HEIGHT = 420.0, 300.0  # user units of a usual chart; the page scales it to its column
LEFT, RIGHT, TOP, FOOT = 50.0, 12.0, 10.0, 42.0


@dataclass
class Panel:
    """One pair of axes inside a drawing. Values outside the range are clipped to it.

    Attributes:
        x, y: range of the values.
        x_name, y_name: of the axes; empty: no name.
        box: left, top, width and height in user units.
        clock: whether x is seconds and told as minutes.
        bare: no ticks (a map, whose axes mean nothing).
        x_ticks: whether values stand below the x axis.
        log: whether x is a logarithm to base 10, told as the number itself.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_name: str = ""
    y_name: str = ""
    box: tuple[float, float, float, float] = (LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - FOOT)
    clock: bool = False
    bare: bool = False
    x_ticks: bool = True
    log: bool = False
    parts: list[str] = field(default_factory=list)

    def across(self, values: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
        left, _, width, _ = self.box
        return np.asarray(left + width * _share(values, self.x))

    def up(self, values: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
        _, top, _, height = self.box
        return np.asarray(top + height * (1 - _share(values, self.y)))

    def dots(
        self,
        x: Float[np.ndarray, "dot"],
        y: Float[np.ndarray, "dot"],
        colour: str,
        size: float = 3.0,
        opacity: float = 0.35,
    ) -> None:
        """Many points without names, as one element."""
        steps = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(self.across(x), self.up(y), strict=True))
        self.parts.append(
            f'<path d="{steps}" stroke="{colour}" stroke-width="{size:g}" stroke-linecap="round" '
            f'stroke-opacity="{opacity:g}" fill="none"/>'
        )

    def point(self, x: float, y: float, colour: str, told: str, group: str, small: bool = False) -> None:
        """One point that says what it is; `group` is what the legend calls it."""
        self.parts.append(
            f'<circle class="tell" data-group="{escape(group)}" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" '
            f'r="{3.2 if small else 4.6}" fill="{colour}"><title>{escape(told)}</title></circle>'
        )

    def curve(self, x: Float[np.ndarray, "knot"], y: Float[np.ndarray, "knot"], colour: str, width: float = 2) -> None:
        self.parts.append(
            f'<path d="{self._path(x, y)}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            'stroke-linejoin="round"/>'
        )

    def area(
        self,
        x: Float[np.ndarray, "knot"],
        low: Float[np.ndarray, "knot"],
        high: Float[np.ndarray, "knot"],
        colour: str,
        told: str,
        opacity: float = 1.0,
    ) -> None:
        """The ground between two curves."""
        back = self._path(x[::-1], low[::-1]).replace("M", "L", 1)
        self.parts.append(
            f'<path class="tell" d="{self._path(x, high)}{back}Z" fill="{colour}" fill-opacity="{opacity:g}">'
            f"<title>{escape(told)}</title></path>"
        )

    def histogram(
        self, edges: Float[np.ndarray, "edge"], heights: Float[np.ndarray, "bin"], colour: str, fill: float = 0.14
    ) -> None:
        """Steps over bins, filled lightly."""
        x = np.repeat(edges, 2)
        y = np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
        path = self._path(x, y)
        self.parts.append(
            f'<path d="{path}Z" fill="{colour}" fill-opacity="{fill:g}" stroke="{colour}" stroke-width="1.6"/>'
        )

    def band(self, start: float, end: float, told: str) -> None:
        """A true event: shaded over the panel's height, with a bar along its foot."""
        left, right = float(self.across(start)), float(self.across(end))
        _, top, _, height = self.box
        width = max(right - left, 1.5)
        self.parts.append(
            f'<g class="tell"><title>{escape(told)}</title>'
            f'<rect x="{left:.1f}" y="{top:g}" width="{width:.1f}" height="{height:g}" fill="var(--truth-fill)"/>'
            f'<rect x="{left:.1f}" y="{top + height:g}" width="{width:.1f}" height="3.5" fill="var(--truth)"/></g>'
        )

    def edges(self, start: float, end: float, told: str) -> None:
        """A true event where shading would hide what is drawn: its two borders and a bar above."""
        left, right = float(self.across(start)), float(self.across(end))
        _, top, _, height = self.box
        self.parts.append(
            f'<g class="tell"><title>{escape(told)}</title>'
            f'<path d="M{left:.1f} {top:g}v{height:g}M{right:.1f} {top:g}v{height:g}" stroke="var(--ink)" '
            f'stroke-width="1.4" stroke-dasharray="3 3"/><rect x="{left:.1f}" y="{top - 4:g}" '
            f'width="{max(right - left, 1.5):.1f}" height="4" fill="var(--truth)"/></g>'
        )

    def rule(self, colour: str, *, x: float | None = None, y: float | None = None, told: str = "") -> None:
        """A dashed line across the panel at one value."""
        left, top, width, height = self.box
        place = (
            f"M{self.across(x):.1f} {top:g}v{height:g}"
            if x is not None
            else f"M{left:g} {self.up(y or 0.0):.1f}h{width:g}"
        )
        self.parts.append(
            f'<path class="tell" d="{place}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="5 4">'
            f"<title>{escape(told)}</title></path>"
        )

    def svg(self) -> str:
        """Grid, ticks and names, then what the panel holds."""
        left, top, width, height = self.box
        out = [] if self.bare else [*self._y_axis(), *self._x_axis()]
        if self.bare:
            out.append(
                f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="none" '
                'stroke="var(--grid)"/>'
            )
        if self.x_name:
            lower = 14 if self.bare else 34
            out.append(_text(left + width / 2, top + height + lower, self.x_name, "middle"))
        if self.y_name:
            place = f"translate({left - 38:g} {top + height / 2:g}) rotate(-90)"
            out.append(f'<text transform="{place}" text-anchor="middle">{escape(self.y_name)}</text>')
        return "".join([*out, *self.parts])

    def _y_axis(self) -> list[str]:
        left, _, width, height = self.box
        out = []
        for tick in ticks(*self.y, most=5 if height > 120 else 3):
            y = float(self.up(tick))
            out.append(f'<path d="M{left:g} {y:.1f}h{width:g}" stroke="var(--grid)"/>')
            out.append(_text(left - 6, y + 4, _number(tick, self.y), "end"))
        return out

    def _x_axis(self) -> list[str]:
        left, top, width, height = self.box
        out = [f'<path d="M{left:g} {top + height:g}h{width:g}" stroke="var(--line)"/>']
        for tick, told in self._x_values() if self.x_ticks else ():
            out.append(_text(float(self.across(tick)), top + height + 17, told, "middle"))
        return out

    def _x_values(self) -> list[tuple[float, str]]:
        if self.clock:
            return [(tick, f"{int(tick) // 60}:{int(tick) % 60:02d}") for tick in clock_ticks(*self.x)]
        if self.log:
            return log_ticks(*self.x)
        return [(tick, _number(tick, self.x)) for tick in ticks(*self.x, most=6)]

    def _path(self, x: Float[np.ndarray, "knot"], y: Float[np.ndarray, "knot"]) -> str:
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(self.across(x), self.up(y), strict=True))


def drawing(label: str, panels: Sequence[Panel], height: float = HEIGHT, width: float = WIDTH) -> str:
    """An SVG of panels; `label` says in words what it shows, for those who cannot see it."""
    body = "".join(panel.svg() for panel in panels)
    return f'<svg class="drawn" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">{body}</svg>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers inside [low, high]: steps of 1, 2 or 5 times a power of ten, at most `most` of them."""
    if not high > low:
        return [low]
    power = 10.0 ** np.floor(np.log10((high - low) / most))
    step = next(s * power for s in (1.0, 2.0, 5.0, 10.0, 20.0) if (high - low) / (s * power) <= most - 1 or s == 20.0)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(place * step) for place in np.arange(first, last + 1)]


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Places of round numbers on an axis of logarithms to base 10: powers of ten, with 2 and 5 where there is room."""
    leading = (1,) if high - low > 2.5 else (1, 2, 5) if high - low > 0.6 else tuple(range(1, 10))
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    numbers = [digit * 10.0**power for power in powers for digit in leading]
    return [(float(np.log10(number)), f"{number:g}") for number in numbers if low <= np.log10(number) <= high]


def clock_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Whole seconds at steps a clock would show."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
    step = next((s for s in steps if (high - low) / s <= most - 1), steps[-1])
    return [float(tick) for tick in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]


def thinned(count: int, most: int) -> list[int]:
    """At most `most` places spread evenly over `count`."""
    return (
        [] if count == 0 else [int(place) for place in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
    )


def span_of(values: Float[np.ndarray, "value"], margin: float = 0.05) -> tuple[float, float]:
    """The range of values with a margin, never empty."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = margin * (high - low) or max(abs(high), 1.0) * 0.05
    return low - room, high + room


def _share(values: Float[np.ndarray, "*shape"] | float, span: tuple[float, float]) -> Float[np.ndarray, "*shape"]:
    low, high = span
    return np.asarray(np.clip((np.asarray(values, dtype=np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0))


def _number(value: float, span: tuple[float, float]) -> str:
    if abs(value) < 1e-9 * (span[1] - span[0]):
        return "0"
    digits = int(np.clip(2 - np.floor(np.log10(max(span[1] - span[0], 1e-9))), 0, 6))
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
