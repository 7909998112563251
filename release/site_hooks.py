"""Hooks of mkdocs.yml: pages written from the program, and the promise that the site loads nothing from elsewhere."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import refinevad
from refinevad.apps.cli import build_parser
from release.command_pages import command_reference
from release.python_pages import python_reference
from release.self_contained import loaded_from_elsewhere

_FIGURE = r"[+-]?\d[\d.,]*"
_TOGETHER = (  # a mean and its deviation, and the ends of an interval, stay on one line
    (re.compile(rf"({_FIGURE}) ± ({_FIGURE})"), r"\1&nbsp;±&nbsp;\2"),
    (re.compile(rf"\[({_FIGURE}), ({_FIGURE})\]"), r"[\1,&nbsp;\2]"),
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written from the program."""
    pages = {
        "reference/commands.md": command_reference(build_parser()),
        "reference/python.md": python_reference(refinevad),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Give pages of wide tables the room of the table of contents."""
    if page.file.src_uri.startswith("results/"):
        page.meta.setdefault("hide", ["toc"])
    return markdown


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Keep figures that belong together on one line."""
    if page.file.src_uri.startswith("results"):
        for pattern, together in _TOGETHER:
            html = pattern.sub(together, html)
    return html


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Hold every page and style sheet to the promise that nothing is loaded from elsewhere. Raises PluginError."""
    for path in sorted(Path(config.site_dir).rglob("*")):
        found = loaded_from_elsewhere(path.read_bytes()) if path.suffix in (".html", ".css") else None
        if found:
            raise PluginError(f"{path} loads from elsewhere: {found}")
