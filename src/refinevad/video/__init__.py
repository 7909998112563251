"""Files and streams -> clips: segments of pixels with their presentation times."""
