"""Text from elsewhere, such as names of files, cameras and browsers, made fit for a terminal or a log."""

import unicodedata

_UNSHOWN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # control, direction and format marks, surrogates, line ends
_JOINERS = "\u200c\u200d"  # letters of some scripts need them


def plain(text: str) -> str:
    """Text in which whatever would move a cursor, end a line or turn the direction of writing is spelt out.

    A name such as "\\x1b[2J" must not clear the screen of whoever reads of it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(letter) if unicodedata.category(letter) in _UNSHOWN else letter for letter in text)


def _spelt(letter: str) -> str:
    code = ord(letter)
    if letter in _JOINERS:
        return letter
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
