"""A look at an uploaded file, in a process of its own that is killed when it takes too long or too much memory.

As a program, `python -m refinevad.apps.service.probing FILE PIXELS`: it prints one JSON object, {"video": ...} or
{"error": ...}.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from refinevad.apps.live.settings.addresses import is_other_container, parse_address
from refinevad.errors import InputError
from refinevad.timeline import UNSTATED_RATE_HZ
from refinevad.video.edit_lists import open_film
from refinevad.video.streams import picture_stream, stated_duration_s, why_no_picture

_FASTEST_HZ = 240.0  # more is a slip of the header
MOST_MEMORY_BYTES = 4_000_000_000
# FFmpeg's name of a container -> the suffix under which it is stored: the uploader's own name is not believed
_SUFFIXES = {"mov": ".mp4", "matroska": ".mkv", "avi": ".avi", "mpegts": ".ts", "mpeg": ".mpg", "asf": ".wmv"}


@dataclass(frozen=True)
class Probed:
    """What a file is, by its content."""

    suffix: str
    codec: str
    width: int
    height: int
    duration_s: float
    frames: float

    @property
    def work(self) -> float:
        """Pixels of all its pictures together."""
        return self.width * self.height * self.frames


def probe_upload(path: Path, timeout_s: float, most_pixels: int) -> Probed:
    """Look at a file whose pictures may have at most `most_pixels`, width times height.

    Raises:
        InputError: it is no video that can be analysed, its pictures are too large, or it takes longer than
            `timeout_s` to look at.
    """
    command = [sys.executable, "-m", "refinevad.apps.service.probing", str(path), str(most_pixels)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise InputError("the file takes too long to open; convert it to MP4 and upload that") from None
    except json.JSONDecodeError:
        raise InputError("the file cannot be opened as a video: its reader crashed; convert it to MP4") from None
    if "error" in answer:
        raise InputError(answer["error"])
    return Probed(**answer["video"])


def _look(path: Path, most_pixels: int) -> Probed:
    import av

    address = parse_address(str(path))
    try:
        with open_film(path, address.url, address.options) as container:
            stream = picture_stream(container)
            if stream is None:
                raise InputError(f"the file has no moving pictures in it ({why_no_picture(container)}); choose a video")
            _require_size(stream.width, stream.height, most_pixels)  # by the header: before a picture is decoded
            for _ in container.decode(stream):
                break
            else:
                raise InputError("no picture of the file can be decoded; convert it to MP4")
            _require_size(stream.width, stream.height, most_pixels)
            names = container.format.name.split(",")
            duration = stated_duration_s(container, stream)
            codec = stream.codec_context.name
            rate = min(_FASTEST_HZ, float(stream.average_rate or stream.guessed_rate or UNSTATED_RATE_HZ))
            frames = max(float(stream.frames or 0), rate * duration)
    except InputError as error:  # who uploads it is not told where it lies
        raise InputError(str(error).replace(str(path), "the file")) from None
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if is_other_container(error):
            raise InputError("the file is in a container that uploads are not read from; convert it to MP4") from error
        reason = (getattr(error, "strerror", None) or str(error)).split("\n")[0]
        raise InputError(f"this is no video that FFmpeg can read ({reason}); choose another or convert it") from error
    suffix = next((_SUFFIXES[name] for name in names if name in _SUFFIXES), ".video")
    return Probed(suffix, codec, stream.width, stream.height, duration, frames)


def _require_size(width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        most = most_pixels / 1e6
        raise InputError(f"pictures of {width} x {height} are larger than {most:.1f} megapixels; scale the video down")


def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        print(json.dumps({"video": asdict(_look(Path(sys.argv[1]), int(sys.argv[2])))}))
    except InputError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main()
