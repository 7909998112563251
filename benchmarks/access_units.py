"""H.264 in the form that tests/rtsp_server.py plays."""

import struct
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext


def write_access_units(path: Path, videos: Sequence[Path], spoiled: Collection[int] = ()) -> Path:
    """H.264 files in a row as rtsp_server.py reads them: length, then (pts, dts, size, bytes) of each, in ns."""
    units: list[tuple[int, int, bytes]] = []
    offset = 0
    for video in videos:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            frame_ns = round(Fraction(10**9) / (stream.average_rate or 25))
            annex_b, end = BitStreamFilterContext("h264_mp4toannexb", stream), 0
            for packet in container.demux(stream):
                for out in annex_b.filter(packet if packet.size else None):
                    scale = Fraction(out.time_base) * 10**9
                    pts, dts = round((out.pts or 0) * scale), round((out.dts or 0) * scale)
                    units.append((offset + pts, offset + dts, bytes(out)))
                    end = max(end, pts + frame_ns)
        offset += end
    with path.open("wb") as file:
        file.write(struct.pack(">q", offset))
        for number, (pts, dts, payload) in enumerate(units):
            if number in spoiled:
                payload = payload[:8] + b"\xff" * (len(payload) - 8)
            file.write(struct.pack(">qqI", pts, dts, len(payload)) + payload)
    return path
