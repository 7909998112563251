"""TLS of the service's own, for where no proxy stands before it."""

import ssl
import stat
from pathlib import Path

from refinevad.errors import InputError


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context, TLS 1.2 and newer. `certificate`: PEM, with those that vouch for it.

    Raises:
        InputError: a file is missing, open to others, encrypted, not PEM, or the two do not belong together.
    """
    for path in (certificate, key):
        if not path.is_file():
            raise InputError(f"TLS file not found: {path}; check the path")
    if stat.S_IMODE(key.stat().st_mode) & 0o007:
        raise InputError(f"TLS key {key} is open to others; run: chmod o= {key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        said = str(reason).lower().replace("_", " ")
        raise InputError(f"TLS with {certificate} and {key} is not possible: {said}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is there to be asked; decrypt it with openssl pkey")
