"""An RTSP server on GStreamer, run as a program of its own by Debian's python3, which has the bindings (python3-gi).

    /usr/bin/python3 tests/rtsp_server.py PORT pattern|FILE [--login USER PASSWORD] [--tls PEM]

Serves rtsp(s)://127.0.0.1:PORT/stream, prints `ready` once it listens, and runs until it is killed. FILE holds H.264
access units as tests/servers.py writes them; they are sent in a loop, at their own pace, with time going on.
"""

import argparse
import struct
import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

PATTERN = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
UNITS = (
    "( appsrc name=units is-live=true format=time block=false max-bytes=4000000 "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def read_units(path):
    """(presentation ns, decoding ns, bytes) of each access unit, and how long the loop lasts."""
    content = Path(path).read_bytes()
    (length_ns,) = struct.unpack_from(">q", content)
    units, at = [], 8
    while at < len(content):
        pts, dts, size = struct.unpack_from(">qqI", content, at)
        units.append((pts, dts, content[at + 20 : at + 20 + size]))
        at += 20 + size
    return units, length_ns


class Feed:
    """Pushes access units into one pipeline for as long as it asks for them."""

    def __init__(self, source, units, length_ns):
        self.source, self.units, self.length_ns, self.sent = source, units, length_ns, 0
        source.connect("need-data", self.push)

    def push(self, _source, _size):
        turn, place = divmod(self.sent, len(self.units))
        pts, dts, payload = self.units[place]
        buffer = Gst.Buffer.new_wrapped(payload)
        buffer.pts, buffer.dts = pts + turn * self.length_ns, max(dts + turn * self.length_ns, 0)
        self.sent += 1
        self.source.emit("push-buffer", buffer)


def guard(login, tls):
    """Who may look: those who log in, or everyone; over TLS where there is a certificate."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if login:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login), token)
    else:
        auth.set_default_token(token)
    if tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(tls))
    return auth


def main():
    Gst.init(None)
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("what")
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--tls", help="certificate and key")
    options = parser.parse_args()
    port, what = options.port, options.what
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory.set_shared(True)
    feeds = []  # kept: the pipeline holds no reference to them
    if what == "pattern":
        factory.set_launch(PATTERN)
    else:
        units, length_ns = read_units(what)
        factory.set_launch(UNITS)
        factory.connect(
            "media-configure",
            lambda _, media: feeds.append(Feed(media.get_element().get_by_name_recurse_up("units"), units, length_ns)),
        )
    if options.login or options.tls:
        server.set_auth(guard(options.login, options.tls))
        factory.add_role_from_structure(
            Gst.Structure.from_string("viewer,media.factory.access=true,media.factory.construct=true")[0]
        )
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
