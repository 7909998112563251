"""Errors that are part of the product: one sentence that says what, where and what to do."""


class RefineVADError(Exception):
    """Base of every error refinevad raises on purpose. The program prints its text and exits with status 1."""


class InputError(RefineVADError):
    """The input, an option or the environment is at fault. The program prints the text and exits with status 2."""
