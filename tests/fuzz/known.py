"""What was found and is not mended yet, by kind: part of what is said of it. An entry goes with its mending."""

KNOWN: dict[str, tuple[str, ...]] = {}
