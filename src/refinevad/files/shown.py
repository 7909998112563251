"""Text from outside, such as a file's name, -> text that a terminal shows and does not obey."""


def shown(text: str) -> str:
    """The text with what cannot be printed as escapes: controls (`\\x1b`), line ends, marks that turn the direction of
    writing, and bytes of a file's name that are no UTF-8 (`\\udce9` for E9)."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def short(value: object) -> str:
    """A value in an error's sentence, as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
