"""Passwords: hashed by argon2, never stored or told, and looked at two at a time, as each takes 64 MB."""

import threading
from functools import cache
from typing import Any

from refinevad.errors import InputError

LEAST, MOST = 10, 200  # letters
_at_a_time = threading.BoundedSemaphore(2)


def require_password(password: str) -> None:
    """Raises InputError for one that is too short to be worth anything, or too long."""
    if not LEAST <= len(password) <= MOST or not password.strip():
        raise InputError(f"a password has {LEAST} to {MOST} letters; several words are easy to keep in mind")


def hash_password(password: str) -> str:
    """Argon2id, by the second choice of RFC 9106. Raises InputError for a password that is none."""
    require_password(password)
    with _at_a_time:
        return str(_hasher().hash(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether this is the password of a hash. Without one it takes as long, so that no name can be guessed."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with _at_a_time:
        try:
            return bool(_hasher().verify(stored or _of_nobody(), password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


@cache
def _of_nobody() -> str:
    return str(_hasher().hash("nobody's"))


@cache
def _hasher() -> Any:
    try:
        from argon2 import PasswordHasher
        from argon2.profiles import RFC_9106_LOW_MEMORY
    except ImportError as error:
        raise InputError("passwords need argon2-cffi; pip install 'refinevad[service]'") from error
    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
