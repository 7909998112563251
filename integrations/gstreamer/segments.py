"""GStreamer's pictures, by an appsink, into refinevad: scores as they become final, and events as they begin and end.

    python3 integrations/gstreamer/segments.py RUN 'filesrc location=camera.webm ! decodebin'
    python3 integrations/gstreamer/segments.py fighting 'rtspsrc location=rtsp://camera/1 ! decodebin'

RUN is a trained run or a model that ships. The first part of the pipeline is yours; it has to end in raw video. Needs
GStreamer's Python bindings (Debian: python3-gi, gir1.2-gst-plugins-base-1.0), which a system's own Python has.
"""

import sys
from collections.abc import Iterator
from typing import Any

import gi
import numpy as np

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

SINK = "videoconvert ! video/x-raw,format=RGB ! appsink name=pictures sync=false max-buffers=8"


def pictures(pipeline: str) -> Iterator[tuple[np.ndarray, float]]:
    """RGB pictures (height, width, 3) and their seconds, until the stream ends.

    Raises:
        RuntimeError: what GStreamer says is wrong.
    """
    Gst.init(None)
    whole = Gst.parse_launch(f"{pipeline} ! {SINK}")
    sink, bus = whole.get_by_name("pictures"), whole.get_bus()
    whole.set_state(Gst.State.PLAYING)
    try:
        while True:
            sample = sink.emit("try-pull-sample", 100 * Gst.MSECOND)
            if sample is not None:
                yield _picture(sample)
                continue
            message = bus.pop_filtered(Gst.MessageType.ERROR)
            if message is not None:
                raise RuntimeError(message.parse_error()[0].message)
            if sink.get_property("eos"):
                return
    finally:
        whole.set_state(Gst.State.NULL)


def _picture(sample: Any) -> tuple[np.ndarray, float]:
    """A sample's rows may be padded to four bytes."""
    shape, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
    width, height = shape.get_value("width"), shape.get_value("height")
    plain = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
    rows = plain.reshape(height, -1)[:, : 3 * width]
    return np.ascontiguousarray(rows.reshape(height, width, 3)), buffer.pts / Gst.SECOND


def main(run: str, pipeline: str) -> None:
    """Print a line for each score and each change of an event."""
    import refinevad

    stream = refinevad.StreamingDetector.open(run, window=60.0, delay=5.0)
    for picture, second in pictures(pipeline):
        _tell(stream.push_frame(picture, second))
    _tell(stream.flush())


def _tell(output: Any) -> None:
    scored = output.segments
    for start_s, end_s, score in zip(scored.start_s, scored.end_s, scored.scores, strict=True):
        print(f"{start_s:9.2f} {end_s:9.2f} {score:.3f}", flush=True)
    for update in output.updates:
        print(update.kind, update.event, update.after.category, f"{update.after.start_s:.1f} s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
