"""Four real sources that play the same film in a loop: RTSP (GStreamer), Motion JPEG and HLS over HTTP, a file.

Each server is a process of its own that can be killed. `python soak_sources.py mjpeg|hls PORT FOLDER BEGAN` is one.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from access_units import write_access_units
from server_programs import Program, free_port

RATE = Fraction(25, 2)
SIZE = (320, 240)
PART_S = 2  # of HLS; a keyframe so often
LISTED = 5  # parts in the playlist
RTSP_SERVER = Path(__file__).resolve().parents[1] / "tests" / "rtsp_server.py"
DEBIAN_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Film:
    """What all sources play; `folder` holds it in each source's form."""

    folder: Path
    period_s: float

    def servers(self) -> dict[str, tuple[str, Program]]:
        """Address and server of each source that has one."""
        began, script = str(time.monotonic()), str(Path(__file__).resolve())
        rtsp, mjpeg, hls = free_port(), free_port(), free_port()
        here = [sys.executable, script]
        return {
            "rtsp": (
                f"rtsp://127.0.0.1:{rtsp}/stream",
                Program([DEBIAN_PYTHON, str(RTSP_SERVER), str(rtsp), str(self.folder / "units")], rtsp),
            ),
            "mjpeg": (
                f"http://127.0.0.1:{mjpeg}/video.mjpg",
                Program([*here, "mjpeg", str(mjpeg), str(self.folder / "jpeg"), began], mjpeg),
            ),
            "hls": (
                f"http://127.0.0.1:{hls}/live.m3u8",
                Program([*here, "hls", str(hls), str(self.folder / "hls"), began], hls),
            ),
        }


def make_film(source: Path, folder: Path, seconds: float) -> Film:
    """Cut `source` to whole parts at RATE and SIZE, and lay it down for `seconds` of playing."""
    import av

    pictures = list(_pictures(source))
    pictures = pictures[: len(pictures) // int(PART_S * RATE) * int(PART_S * RATE)]
    period_s = float(len(pictures) / RATE)
    (folder / "jpeg").mkdir(parents=True)
    (folder / "hls").mkdir()
    once = folder / "once.mp4"
    with av.open(str(once), "w") as container:
        gop = str(int(PART_S * RATE))
        options = {"preset": "veryfast", "crf": "30", "g": gop, "keyint_min": gop, "sc_threshold": "0", "bf": "0"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    repeats = int(seconds / period_s) + 1
    _repeat(once, folder / "film.mp4", repeats, {}, {})
    parts = {"hls_time": str(PART_S), "hls_list_size": "0", "hls_segment_filename": str(folder / "hls" / "part%d.ts")}
    _repeat(once, folder / "hls" / "all.m3u8", repeats, {"format": "hls"}, parts)
    write_access_units(folder / "units", [once])
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = *SIZE, "yuvj420p", 1 / RATE
    for number, picture in enumerate(pictures):
        frame = picture.reformat(format="yuvj420p")
        frame.pts, frame.time_base = number, 1 / RATE
        for packet in codec.encode(frame):
            (folder / "jpeg" / f"{number:05d}.jpg").write_bytes(bytes(packet))
    return Film(folder, period_s)


def open_film(folder: Path) -> Film:
    """What `make_film` laid down."""
    return Film(folder.resolve(), float(len(list((folder / "jpeg").iterdir())) / RATE))


def _pictures(source: Path) -> Iterator[Any]:
    """At RATE and SIZE, without times."""
    import av

    with av.open(str(source)) as container:
        stream, due = container.streams.video[0], Fraction(0)
        step = Fraction(stream.average_rate or 25) / RATE
        for number, frame in enumerate(container.decode(stream)):
            if number >= due:
                picture = frame.to_ndarray(format="rgb24")
                due += step
                yield av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(*SIZE)


def _repeat(once: Path, path: Path, repeats: int, how: dict[str, str], options: dict[str, str]) -> None:
    """The same packets again and again, with time going on."""
    import av

    with av.open(str(once)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1)
        packets = [(packet.pts, packet.is_keyframe, bytes(packet)) for packet in container.demux(stream) if packet.size]
        step = round(1 / RATE / base)
        with av.open(str(path), "w", options=options, **how) as out:  # type: ignore[call-overload]
            copy = out.add_stream_from_template(stream)
            for turn in range(repeats):
                for number, (_, key, content) in enumerate(packets):
                    packet = av.Packet(content)
                    packet.pts = packet.dts = (turn * len(packets) + number) * step
                    packet.duration, packet.time_base, packet.stream, packet.is_keyframe = step, base, copy, key
                    out.mux(packet)


# -- servers -----------------------------------------------------------------------------------------------------------


class Mjpeg(SimpleHTTPRequestHandler):
    """Pictures without end, by the clock: who connects later sees what is on now."""

    pictures: tuple[bytes, ...] = ()
    began = 0.0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = int((time.monotonic() - self.began) * RATE)
        try:
            while True:
                time.sleep(max(0.0, self.began + number / float(RATE) - time.monotonic()))
                body = self.pictures[number % len(self.pictures)]
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                self.wfile.write(head + body + b"\r\n")
                number += 1
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Hls(SimpleHTTPRequestHandler):
    """A playlist that moves on by the clock; its parts lie in a folder."""

    began = 0.0

    def do_GET(self) -> None:
        if not self.path.endswith("live.m3u8"):
            super().do_GET()
            return
        last = int((time.monotonic() - self.began) / PART_S) + LISTED
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{PART_S}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{last - LISTED}")
        lines += [f"#EXTINF:{PART_S}.0,\npart{number}.ts" for number in range(last - LISTED, last)]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.apple.mpegurl")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(kind: str, port: int, folder: Path, began: float) -> None:
    handler: Any
    if kind == "mjpeg":
        pictures = tuple(path.read_bytes() for path in sorted(folder.glob("*.jpg")))
        handler = type("Playing", (Mjpeg,), {"pictures": pictures, "began": began})
    else:
        handler = partial(type("Playing", (Hls,), {"began": began}), directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
