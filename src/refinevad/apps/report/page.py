"""The shell of a report: one HTML file with everything inside, that can reach nothing outside."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from refinevad import __version__
from refinevad.detection.wording import escape

UPLOT_SCRIPT = "vendor/uplot/uPlot.iife.min.js"
UPLOT_STYLE = "vendor/uplot/uPlot.min.css"
UPLOT_LICENCE = "vendor/uplot/LICENSE"


@cache
def asset(name: str) -> str:
    """Text of a file that ships beside this module."""
    return files("refinevad.apps.report").joinpath(name).read_text(encoding="utf-8")


def page(
    title: str,
    body: str,
    provenance: Mapping[str, str],
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    uplot: bool = False,
) -> str:
    """A whole HTML document.

    Args:
        title: plain text, escaped here.
        body: HTML, escaped by whoever made it.
        provenance: what made the report, for the footer; plain text, empty values are left out.
        scripts: names of assets that run, in order.
        styles: names of style sheets beside the reports' own.
        uplot: whether the plotting library (MIT, its licence is inlined too) is needed.
    """
    sheets = [asset("style.css"), *(asset(name) for name in styles)]
    sources = [asset(name) for name in scripts]
    if uplot:
        sheets.insert(0, asset(UPLOT_STYLE))
        licence = asset(UPLOT_LICENCE).replace("*/", "* /")
        sources.insert(0, f"/*\nuPlot\n{licence}*/\n{asset(UPLOT_SCRIPT)}")
    # "</" would end the element early; inside a script it can only stand in a string or an expression.
    sources = [source.replace("</script", "<\\/script") for source in sources]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(sources)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta name="generator" content="refinevad {escape(__version__)}">',
            f"<title>{escape(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{''.join(sheets)}</style>",
            "</head>",
            "<body>",
            f"<main>{body}</main>",
            _footer(provenance),
            *(f"<script>{source}</script>" for source in sources),
            "</body>",
            "</html>",
            "",
        ]
    )


def embedded_json(name: str, value: Any) -> str:
    """Data for a script, as an element that neither runs nor can be closed from within."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


def data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def facts(pairs: Mapping[str, str]) -> str:
    """A row of small labelled figures; plain text, escaped here, empty values left out."""
    cells = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items() if value]
    return f'<dl class="facts">{"".join(cells)}</dl>'


def cautioning(sentences: Sequence[str]) -> str:
    """How far to believe what follows, before it is read; plain text, escaped here."""
    return "".join(f'<p class="caution">{escape(sentence)}</p>' for sentence in sentences)


def _policy(sources: Sequence[str]) -> str:
    """Only these very scripts run; only the video beside the page is loaded; nothing is sent anywhere."""
    digests = [base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in sources]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _footer(provenance: Mapping[str, str]) -> str:
    rows = [
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in {**provenance, "made by": f"refinevad {__version__}"}.items()
        if value
    ]
    return f"<footer><dl>{''.join(rows)}</dl></footer>"
