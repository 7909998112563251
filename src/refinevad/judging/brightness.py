"""How bright a video is: mean luma of three pictures of it, from 0 to 255. Features do not keep it, files do."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from refinevad.errors import InputError
from refinevad.video.reading import VIDEO_SUFFIXES, open_container

_PLACES = (1 / 6, 1 / 2, 5 / 6)  # shares of the duration; a picture is the keyframe before its place


def brightness_of(data: Path, names: Sequence[str]) -> dict[str, float]:
    """Brightness by video, of the names that are readable video files in `data`; the others have none."""
    files = {name: data / name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES}
    found = {
        name: _brightness(path, path.stat().st_size, path.stat().st_mtime_ns)
        for name, path in files.items()
        if path.is_file()
    }
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=4096)  # a table asks once a seed
def _brightness(path: Path, _size: int, _changed: int) -> float | None:
    try:
        import av
    except ImportError:  # an extra
        return None
    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            values = []
            for place in _PLACES:
                if container.duration:
                    container.seek(int((container.start_time or 0) + place * container.duration))
                frame = next(container.decode(stream), None)
                if frame is not None:
                    values.append(float(frame.to_ndarray(format="gray").mean()))
    except (InputError, av.FFmpegError):
        return None
    return sum(values) / len(values) if values else None
