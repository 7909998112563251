"""Why a source cannot be opened, in one sentence that fits its kind: what FFmpeg says, and a knock on the door.

FFmpeg reports a host that is not there, a port that answers in another language and one that says nothing by the same
"invalid data" or "input/output error". So after such a failure the host is asked once, in plain TCP.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from refinevad.apps.live.settings.addresses import PORTS, Address, mask

ReasonKind = Literal[
    "login", "path", "refused", "route", "host", "timeout", "protocol", "certificate", "device", "file", "broken"
]
KNOCK_S = 3.0
LATE_SHARE = 0.9  # of the time that opening was given: what took as long has run out of it, whatever FFmpeg calls it
_BOUNDED = "; redirects and playlists are followed only for cameras of the operator's cameras.toml"
_DEFAULT_PORTS = {**PORTS, "https": 443}
_NO_ROUTE = frozenset((101, 113, 112))  # ENETUNREACH, EHOSTUNREACH, EHOSTDOWN


@dataclass(frozen=True)
class Reason:
    """What is wrong; `text` names neither address nor login."""

    kind: ReasonKind
    text: str


def reason_of(error: Exception, address: Address, *, took_s: float = 0.0, open_s: float = float("inf")) -> Reason:
    """Of an error of opening what `address` names, `looked_up()`; it took so long, of the time it was given."""
    import av

    said = reason_text(error)
    if address.scheme == "file":
        return Reason("file", said)
    if address.scheme == "device":
        return _of_device(error, said)
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        known = "@" in urlsplit(address.url).netloc
        sent = (
            "the camera refuses this user name and password"
            if known
            else "the camera asks for a user name and password"
        )
        return Reason("login", f"{sent} ({said})")
    if isinstance(error, av.error.HTTPNotFoundError):
        return Reason("path", f"the camera is there, but has no stream of that path ({said}); see its manual for it")
    if isinstance(error, av.error.ExitError) or took_s >= LATE_SHARE * open_s:
        return Reason("timeout", f"nothing came within {open_s:.0f} s")
    if isinstance(error, av.error.InvalidDataError | OSError):
        return _knock(address) or _not_spoken(address, said)
    return Reason("broken", said + _BOUNDED * _is_bounded(address))


def reason_text(error: Exception) -> str:
    """What an error of FFmpeg says, without credentials."""
    import av

    if isinstance(error, av.error.ExitError):  # what PyAV's own time limit makes of it
        return "nothing came in time"
    text = getattr(error, "strerror", None) or str(error)
    return mask(text.split("\n")[0])


def _of_device(error: Exception, said: str) -> Reason:
    if isinstance(error, FileNotFoundError):
        return Reason("device", f"{said}: no such device is here; plug it in, or see which /dev/video* there are")
    if isinstance(error, PermissionError):
        return Reason("device", f"{said}: this user may not open the device; add it to the group video")
    return Reason("device", f"the device gives no pictures ({said}); another program may hold it")


def _knock(address: Address) -> Reason | None:
    """What is wrong with the host and port themselves; None: somebody answers there."""
    parts = urlsplit(address.url)
    port = parts.port or _DEFAULT_PORTS[address.scheme]
    try:
        with socket.create_connection((parts.hostname or "", port), KNOCK_S) as plain:
            return _tls(plain, parts.hostname or "", address) if address.scheme in ("rtsps", "https") else None
    except socket.gaierror:
        return Reason("host", "its host is not known here; check the name, or give its address")
    except ConnectionRefusedError:
        return Reason("refused", f"Connection refused: nothing listens on port {port} there; check the port")
    except TimeoutError:
        return Reason("timeout", f"its host does not answer on port {port}; it is off, or behind a firewall")
    except OSError as error:
        if error.errno in _NO_ROUTE:
            return Reason("route", f"{error.strerror}: there is no way from here to its host; check the network")
        return Reason("broken", str(error.strerror or error))


def _tls(plain: socket.socket, host: str, address: Address) -> Reason | None:
    """Whether the server speaks TLS, and shows the certificate that it should."""
    context = ssl.create_default_context(cafile=str(address.ca_file) if address.ca_file else None)
    if address.ca_file is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(plain, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        return Reason("certificate", f"its certificate is not what ca_file vouches for ({error.verify_message})")
    except (ssl.SSLError, ConnectionError):
        return Reason("protocol", f"what answers there does not speak TLS; try {address.scheme.removesuffix('s')}://")


def _not_spoken(address: Address, said: str) -> Reason:
    if address.scheme in ("rtsp", "rtsps"):
        return Reason("protocol", f"what answers there does not speak RTSP ({said}); check the port, or try http://")
    return Reason("protocol", f"what comes from there is no video ({said}){_BOUNDED * _is_bounded(address)}")


def _is_bounded(address: Address) -> bool:
    return address.by_api and address.scheme in ("http", "https")
