"""A small JPEG of a frame, upright, for pages and snapshots."""

from fractions import Fraction
from typing import TYPE_CHECKING

from refinevad.video.upright import AS_STORED, orientation

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

_QUALITY = "5"  # of 2 (best) to 31: 30 to 60 kB at 640 x 360


class PreviewMaker:
    """Encodes frames no larger than `long_side`; the encoder is kept as long as their size stays."""

    def __init__(self, long_side: int) -> None:
        self._long_side = long_side
        self._encoder: VideoCodecContext | None = None

    def jpeg(self, frame: "VideoFrame") -> bytes:
        """The frame as JPEG, even sides, aspect kept."""
        import av

        scale = min(1.0, self._long_side / max(frame.width, frame.height))
        width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
        shown = orientation(frame)
        if shown != AS_STORED:
            pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
            frame = av.VideoFrame.from_ndarray(shown.apply(pixels), format="rgb24")
            width, height = frame.width, frame.height
        small = frame.reformat(width=width, height=height, format="yuvj420p")
        small.pts, small.time_base = None, Fraction(1, 25)
        small.pict_type = av.video.frame.PictureType.NONE
        encoder = self._encoder_for(width, height)
        return b"".join(bytes(packet) for packet in encoder.encode(small))

    def _encoder_for(self, width: int, height: int) -> "VideoCodecContext":
        import av

        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (width, height):
            encoder = av.VideoCodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
            encoder.options = {"qmin": _QUALITY, "qmax": _QUALITY, "strict": "unofficial"}
            self._encoder = encoder
        return encoder
