"""What a file says of itself, kept with the features that are made of it: by it they are known to be up to date."""

from pathlib import Path
from typing import Any

from refinevad.files.whole import sampled_sha256
from refinevad.video.reading import probe


def source_of(path: Path) -> dict[str, Any]:
    """Name, size of the picture, rate, length, bytes, time of change and a digest of a video file.

    Raises:
        InputError: it cannot be opened.
    """
    status = path.stat()
    return {
        "name": path.name,
        **probe(path).as_dict(),
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sampled_sha256": sampled_sha256(path),
    }
