"""Addresses as people change them: what is not shown to them need not be typed again, and goes to no other host."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from refinevad.apps.live.settings.addresses import NETWORK, VOUCHED, Address, parse_address
from refinevad.apps.live.settings.secret import Secret
from refinevad.errors import InputError

_HIDDEN = "***"


def plain(address: Address) -> str:
    """An address for a form: as it is shown, without the place of its login."""
    return address.shown.replace(f"://{_HIDDEN}@", "://", 1)


def has_login(address: Address) -> bool:
    """Whether a user name goes with an address."""
    return address.scheme in NETWORK and urlsplit(address.url).username is not None


def edited(
    text: str,
    known: Sequence[Address],
    *,
    roots: Sequence[Path],
    username: str | None = None,
    password: str | None = None,
) -> Address:
    """The address that a form means, of a camera whose addresses are `known`.

    What is as it was shown is the known address. A login that is not given is the one known for the same host, port
    and scheme: for another host it must be typed again, or whoever may edit a camera could have its password sent
    to a host of their own.

    Raises:
        InputError: as parse_address; or the address has *** in it and is none that was shown.
    """
    same = next((one for one in known if text in (one.shown, plain(one))), None)
    if same is not None:
        return _with_login(same, username, password) if username else same
    if _HIDDEN in text:
        raise InputError(f"{text} has {_HIDDEN} in it, which stands for what is not shown; write the whole address")
    secret = Secret(password) if password else None
    address = parse_address(text, roots=roots, username=username or None, password=secret)
    if not username and not has_login(address):
        for one in known:
            if has_login(one) and _door(one) == _door(address):
                login = urlsplit(one.url)
                return _with_login(address, unquote(login.username or ""), unquote(login.password or ""))
    return _vouched(address, known)


def stored(url: str, known: Sequence[Address]) -> Address:
    """An address that was given in the browser, of a camera of cameras.toml whose own are `known`.

    Raises:
        InputError: it is none any more: a file that has gone.
    """
    address = parse_address(url)
    operators = any(not one.by_api and plain(one) == plain(address) for one in known)
    return _vouched(replace(address, by_api=not operators), known)


def _with_login(address: Address, username: str, password: str | None) -> Address:
    parts = urlsplit(address.url)
    place = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=place))
    secret = Secret(password) if password else None
    made = parse_address(bare, username=username, password=secret)
    return replace(made, by_api=address.by_api, ca_file=address.ca_file)


def _vouched(address: Address, known: Sequence[Address]) -> Address:
    """A certificate that was asked of the same door is asked of it still."""
    for one in known:
        if one.ca_file is not None and address.scheme in VOUCHED and _door(one) == _door(address):
            return replace(address, ca_file=one.ca_file)
    return address


def _door(address: Address) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address.url)
    return address.scheme, parts.hostname, parts.port
