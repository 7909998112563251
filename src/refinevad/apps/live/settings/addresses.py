"""Addresses of cameras and files: which schemes are opened, what FFmpeg may do with each, credentials kept unseen.

FFmpeg reads far more than videos: `concat:`, `subfile,`, `data:`, playlists that name other files and hosts. Three
things keep it to what was meant: only known schemes come through; `protocol_whitelist` and, for files,
`format_whitelist` bound what it opens on its own; a file is handed over as `file:` and an absolute path, so that
no name is taken for a protocol.

An address that came in by the API is bounded further: its host is looked at each time it is opened (hosts.py), FFmpeg
goes to the address that was looked at, and nothing that an answer names is followed, neither a redirect nor a playlist.
"""

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from refinevad.apps.live.settings.hosts import Resolve, addresses_of, one_that_answers, require_ordinary_host
from refinevad.apps.live.settings.secret import Secret
from refinevad.errors import InputError

Scheme = Literal["file", "rtsp", "rtsps", "http", "https", "device"]
NETWORK: tuple[Scheme, ...] = ("rtsp", "rtsps", "http", "https")
VOUCHED: tuple[Scheme, ...] = ("rtsps", "https")  # whose server shows a certificate
PORTS: dict[Scheme, int] = {"rtsp": 554, "rtsps": 322, "http": 80}
TIMEOUT_S = 10.0  # without a byte for so long, the connection counts as lost

_DEVICE = re.compile(r"/dev/video\d{1,3}")
_PLACE = re.compile(r"(\[[\w.:%]+\]|[\w.%-]+)(:\d*)?")  # all else is read differently by different programs
_BY_PORT: dict[int, Scheme] = {80: "http", 8080: "http", 8000: "http", 443: "https", 8443: "https", 322: "rtsps"}
_HOST = re.compile(
    r"(?P<login>[^/\s]*@)?(?P<host>\[[0-9a-fA-F:.]+\]|[\w-]+(?:\.[\w-]+)+|localhost)(?::(?P<port>\d+))?(?P<path>[/?].*)?"
)
_FILMS = frozenset(("mp4", "mov", "mkv", "avi", "webm", "ts", "mpg", "mpeg", "m4v", "wmv", "flv"))
_HAS_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_IN_TEXT = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://[^\s'\"<>]+")
_OPEN_QUERY = frozenset(
    ("camera", "channel", "fps", "height", "profile", "proto", "stream", "subtype", "unicast", "width")
)
# containers that hold pictures themselves; playlists, which name other files, are not among them
_CONTAINERS = "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,ogg,mjpeg,mpjpeg,h264,hevc"
_PROTOCOLS: dict[Scheme, str] = {
    "file": "file",
    "device": "file",
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsp,rtsps,rtp,srtp,tcp,udp,tls,crypto",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "https,http,httpproxy,tcp,tls,crypto",
}


@dataclass(frozen=True)
class Address:
    """Where pictures come from.

    Attributes:
        shown: for everything but FFmpeg.
        url: for FFmpeg alone; it may hold a password.
        by_api: someone gave it through the API, who need not be the operator.
        ca_file: certificates by one of which an rtsps or https server must be vouched for; None: whatever certificate
            it has is taken, as FFmpeg does, because cameras sign their own.
        named: the host and port by which an HTTP server knows itself, where `url` has an address in place of it.
    """

    scheme: Scheme
    shown: str
    url: str = field(repr=False)
    by_api: bool = False
    ca_file: Path | None = None
    named: str = ""

    def __str__(self) -> str:
        return self.shown

    @property
    def path(self) -> Path | None:
        """Where a file lies; None: it is none."""
        return Path(self.url.removeprefix("file:")) if self.scheme == "file" else None

    @property
    def live(self) -> bool:
        """Whether it has a pace of its own, so that late frames are dropped, and no end."""
        return self.scheme != "file"

    @property
    def format(self) -> str | None:
        """FFmpeg's input format where it cannot be guessed."""
        return "v4l2" if self.scheme == "device" else None

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's options for opening it: av.open(address.url, format=address.format, options=address.options)."""
        options = {"protocol_whitelist": _PROTOCOLS[self.scheme]}
        microseconds = str(round(TIMEOUT_S * 1e6))
        if self.scheme == "file":
            options["format_whitelist"] = _CONTAINERS
        elif self.scheme in ("rtsp", "rtsps"):
            options |= {"rtsp_transport": "tcp", "timeout": microseconds, "allowed_media_types": "video"}
        elif self.scheme in ("http", "https"):
            options |= {"rw_timeout": microseconds, "format_whitelist": f"{_CONTAINERS},hls"}
            if self.by_api:
                options |= {"max_redirects": "0", "format_whitelist": _CONTAINERS}
        if self.named:
            options["headers"] = f"Host: {self.named}\r\n"
        if self.ca_file is not None:
            options |= {"tls_verify": "1", "ca_file": str(self.ca_file)}
        return options

    def require_allowed(self, resolve: Resolve = addresses_of) -> list[str]:
        """The addresses of the host of an address that came in by the API; of the operator's none are looked at.

        Raises:
            InputError: one of them may not be reached.
        """
        return require_ordinary_host(urlsplit(self.url).hostname or "", resolve) if self._bounded else []

    def looked_up(self, resolve: Resolve = addresses_of) -> "Address":
        """What to open: where it came in by the API, the host's address in place of its name, so that both are one.

        https keeps the name: servers choose their certificate by it. What is asked for there is sent only once a
        server has answered the TLS handshake, which a cloud's metadata service does not.

        Raises:
            InputError: as `require_allowed`.
        """
        found = self.require_allowed(resolve)
        if not found or self.scheme not in PORTS:
            return self
        parts = urlsplit(self.url)
        before, at, place = parts.netloc.rpartition("@")
        host = one_that_answers(found, parts.port or PORTS[self.scheme])
        host = f"[{host}]" if ":" in host else host
        netloc = f"{before}{at}{host}{'' if parts.port is None else f':{parts.port}'}"
        named = place if self.scheme == "http" else ""
        return replace(self, url=urlunsplit(parts._replace(netloc=netloc)), named=named)

    @property
    def _bounded(self) -> bool:
        return self.by_api and self.scheme in NETWORK


def parse_address(
    text: str,
    *,
    roots: Sequence[Path] | None = None,
    username: str | None = None,
    password: Secret | None = None,
) -> Address:
    """Read a path, a URL or /dev/videoN.

    Args:
        roots: where given (addresses that come in by the API), a file must lie inside one of these folders, after
            links are followed, devices are refused, and the address is marked `by_api`; None: the operator's own
            command line or configuration.
        username, password: put into a network URL; nothing else takes them, and no password goes without a name.

    Raises:
        InputError: an unknown scheme, no host, a file that is not there or not allowed, credentials that cannot be
            used. The sentence shows no password.
    """
    if not text or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise InputError(
            "an address is empty or has control characters in it; give a file, a stream's URL or /dev/videoN"
        )
    credentials = username is not None or password is not None
    if _DEVICE.fullmatch(text):
        _require_none(credentials, text)
        if roots is not None:
            raise InputError(f"{text}: devices can only be named in the configuration or on the command line")
        return Address("device", text, text)
    match = _HAS_SCHEME.match(text)
    scheme = match.group(1).lower() if match else "file"
    named = roots is None and match is not None and _is_file(text)  # `cam:1.mp4` is a name that files may have
    if scheme == "file" or named:
        _require_none(credentials, text)
        return _file(text, roots, named)
    for known in NETWORK:
        if scheme == known:
            return replace(_network(known, text, username, password), by_api=roots is not None)
    _require_scheme(text)
    raise InputError(
        f"{_mask_url(text)}: scheme '{scheme}' is not opened; use file, {', '.join(NETWORK)} or /dev/videoN"
    )


def _require_none(credentials: bool, text: str) -> None:
    if credentials:
        _require_scheme(text)
        raise InputError(f"username and password are for network addresses; {text} is none: leave them out")


def require_pair(source: Address, main: Address) -> Address:
    """A camera's stream in full size beside the one that is scored. Raises InputError where the two are no pair."""
    if not (source.live and main.live):
        odd = source if main.live else main
        raise InputError(f"{odd} is a file: a second stream in full size is for live cameras alone; leave main away")
    return main


def suggested(text: str) -> str | None:
    """An address with the scheme that it lacks, `10.0.0.5/live` -> `rtsp://10.0.0.5/live`; None: it lacks none.

    A login in it stays in it: what is suggested is for whoever wrote the address, and for nobody else.
    """
    text = text.strip()
    found = _HOST.fullmatch(text)
    if found is None or (not found["port"] and not found["login"] and Path(text).suffix[1:].lower() in _FILMS):
        return None  # `street.mp4` is a file that is not there
    return f"{_BY_PORT.get(int(found['port'] or 0), 'rtsp')}://{text}"


def _require_scheme(text: str) -> None:
    if whole := suggested(text):
        raise InputError(f"{_mask_url(text)} does not say how to speak to it; write {_mask_url(whole)}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name that a file may have
        return False


def _file(text: str, roots: Sequence[Path] | None, named: bool) -> Address:
    """A file by its path, or by a URL where no file is `named` so."""
    path = Path(text if named or not text.lower().startswith("file:") else _path_of_file_url(text))
    try:
        resolved = path.expanduser().resolve() if roots is None else path.resolve()
        there = resolved.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle, no such user after ~
        raise InputError(f"video not found: {path}") from error
    if roots is not None and not any(resolved.is_relative_to(root.resolve()) for root in roots):
        _require_scheme(text)
        # the same sentence whether it is there or not: nobody may feel out the disk by it
        raise InputError(f"{path} does not lie in a folder from which files may be analysed")
    if not there:
        _require_scheme(text)
        raise InputError(f"video not found: {path}")
    return Address("file", str(path), f"file:{resolved}")


def _path_of_file_url(text: str) -> str:
    rest = text[len("file:") :]
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host not in ("", "localhost"):
        raise InputError(f"{text}: a file URL names a file on this machine; write file:///path")
    path = unquote(slash + path)
    if any(ord(letter) < 32 for letter in path):
        raise InputError("a file URL has control characters in it; give the file's plain path")
    return path


def _network(scheme: Scheme, text: str, username: str | None, password: Secret | None) -> Address:
    advice = "write scheme://user:password@host:port/path, with % codes for special characters in a password"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError(f"{_mask_url(text)} is no URL; {advice}") from None
    place = parts.netloc.rpartition("@")[2]
    if not host or not _PLACE.fullmatch(place) or any(letter.isspace() for letter in text):
        raise InputError(f"{_mask_url(text)} names no host or has spaces in it; {advice}")
    if username is None and password is not None:
        raise InputError(f"{_mask_url(text)}: a password without a username; give both")
    if username is not None:
        if parts.username is not None:
            raise InputError(f"{_mask_url(text)} has credentials of its own besides username and password; keep one")
        secret = f":{quote(password.reveal(), safe='')}" if password else ""
        place = f"[{host}]" if ":" in host else host
        netloc = f"{quote(username, safe='')}{secret}@{place}{'' if port is None else f':{port}'}"
        parts = SplitResult(scheme, netloc, parts.path, parts.query, "")
    url = urlunsplit(parts._replace(scheme=scheme, fragment=""))
    return Address(scheme, _mask_url(url), url)


def is_other_container(error: Exception) -> bool:
    """Whether FFmpeg would not open a file because its container is none of `Address.options`."""
    return getattr(error, "errno", None) == errno.EINVAL


def mask(text: str) -> str:
    """Any text with the credentials of the URLs in it replaced by ***.

    Everything up to the last @ goes, because passwords hold slashes and @ unencoded; so do a query's values, except
    those of a few names that are never secret.
    """
    return _IN_TEXT.sub(lambda match: _mask_url(match.group(0)), text)


def _mask_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:  # user:password@host, where the scheme was forgotten
        _, at, place = url.rpartition("@")
        return f"***@{place}" if at else url
    _, at, place = rest.rpartition("@")
    if not at and (bad := re.match(r"[^/?#\[\]]*:([^/?#]*)", rest)) and bad.group(1) and not bad.group(1).isdecimal():
        place = "***"  # host:port whose port is no number: a password that lost its @
    place, _, query = place.partition("?")
    place = place.partition("#")[0]
    shown = f"{scheme}://{'***@' if at else ''}{place}"
    if query:
        pairs = (pair.partition("=") for pair in query.partition("#")[0].split("&"))
        shown += "?" + "&".join(f"{n}{e}{v}" if n in _OPEN_QUERY or not e else f"{n}=***" for n, e, v in pairs)
    return shown
