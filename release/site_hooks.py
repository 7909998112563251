"""Hooks of mkdocs.yml: the pages that are written from the program, and that the built site asks nobody for anything."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import refinevad
from refinevad.apps.cli import build_parser
from release.command_pages import command_reference
from release.python_pages import python_reference

# what a browser loads by itself; a link that a reader may follow is none
_LOADED = re.compile(
    rb"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
    rb"""|<link\b[^>]*rel=["']?(?:stylesheet|preconnect|preload|icon|manifest)[^>]*href=["']?(?:https?:)?//[^"'\s>]+"""
    rb"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"'\s)]+|url\(["']?(?:https?:)?//[^"'\s)]+"""
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


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Hold every page and style sheet to the promise that nothing is loaded from elsewhere. Raises PluginError."""
    for path in sorted(Path(config.site_dir).rglob("*")):
        found = _LOADED.search(path.read_bytes()) if path.suffix in (".html", ".css") else None
        if found:
            raise PluginError(f"{path} loads from elsewhere: {found[0].decode(errors='replace')[:200]}")
