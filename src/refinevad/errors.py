"""Errors that are part of the product: one sentence that says what, where and what to do."""

_MOST_LETTERS, _HEAD, _TAIL = 10_000, 6_000, 3_000  # a path may have 4,096 of them


class RefineVADError(Exception):
    """Base of every error refinevad raises on purpose. The program prints its text and exits with status 1."""

    def __str__(self) -> str:
        """The sentence; of one that repeats a file's endless value, its beginning and its end."""
        text = super().__str__()
        return text if len(text) <= _MOST_LETTERS else f"{text[:_HEAD]} ... {text[-_TAIL:]}"


class InputError(RefineVADError):
    """The input, an option or the environment is at fault. The program prints the text and exits with status 2."""
