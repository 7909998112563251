"""Whether a built page or style sheet makes a browser load something from elsewhere."""

import re

# what a browser loads by itself; a link that a reader may follow is none
_LOADED = re.compile(
    rb"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
    rb"""|<link\b[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon|manifest)\b[^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+"""
    rb"""|<link\b[^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon|manifest)\b"""
    rb"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"'\s)]+|url\(["']?(?:https?:)?//[^"'\s)]+"""
)


def loaded_from_elsewhere(content: bytes) -> str | None:
    """The first thing that a browser would fetch from another host; None where there is none."""
    found = _LOADED.search(content)
    return found[0].decode(errors="replace")[:200] if found else None
