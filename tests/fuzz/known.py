"""What was found and is not mended yet, by kind: part of what is said of it. An entry goes with its mending."""

KNOWN: dict[str, tuple[str, ...]] = {
    "captions": ("ufunc 'isfinite' not supported", "Exceeds the limit (4300 digits)"),
    "containers": ("'NoneType' object has no attribute 'width'",),
    "predictions": ("OverflowError", "That compression method is not supported"),
}
