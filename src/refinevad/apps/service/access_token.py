"""The service's access token: made here, kept as a hash, compared in constant time.

A token is 32 bytes from the system's generator. Guessing it, or reversing a hash of it, means searching 2^256 values,
so one round of SHA-256 is enough at rest: scrypt's slowness protects short passwords, and here would only
let anyone burn our processor by sending wrong tokens. Hence tokens are made, never chosen.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from refinevad.errors import InputError

_PREFIX, _STORED = "rvad_", re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class TokenHash:
    """What is known of a token at rest."""

    _digest: str = field(repr=False)

    @classmethod
    def of(cls, token: str) -> "TokenHash":
        return cls(_hash(token))

    def matches(self, token: str) -> bool:
        """Whether this is the token; takes as long for a near miss as for a far one."""
        return hmac.compare_digest(_hash(token), self._digest)

    def stored(self) -> str:
        return f"sha256:{self._digest}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make_token_file(path: Path) -> str:
    """Make a token, write its hash to a new file that only its owner can read, and return the token: it is shown once.

    Raises:
        InputError: the file exists already or cannot be written.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # made with its mode, never opened wider for a moment; O_EXCL also refuses a link laid in its place
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"token file {path} exists already; delete it to make a new token") from None
    except OSError as error:
        raise InputError(f"token file {path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(TokenHash.of(token).stored() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def read_token_file(path: Path) -> TokenHash:
    """Read the hash that `make_token_file` wrote.

    Raises:
        InputError: missing, readable or writable by others than its owner, or not such a file.
    """
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(200).strip()
    except FileNotFoundError:
        raise InputError(f"token file not found: {path}; check the path, or have one made") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not one of ours"
        raise InputError(f"token file {path} cannot be read: {reason}") from error
    if mode & 0o077:
        raise InputError(f"token file {path} is open to others (mode {mode:04o}); run: chmod 600 {path}")
    if not _STORED.fullmatch(text):
        raise InputError(f"{path} is no token file: it should hold sha256: and 64 digits; delete it to make a new one")
    return TokenHash(text.removeprefix("sha256:"))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to `host`. Names other than localhost count as reachable."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def require_token(host: str, token: TokenHash | None, users: bool = False) -> None:
    """Refuse to serve other machines where nobody would have to log in. Raises InputError (exit status 2)."""
    if token is None and not users and not is_loopback(host):
        raise InputError(
            f"binding to {host or 'all addresses'} lets other machines in and needs a token or users; "
            "give --token-file, add an admin (refinevad users add), or bind to 127.0.0.1"
        )
