"""Hosts that an address given by the API must not lead to, whatever their name says.

A service can reach what the person who adds a camera cannot: above all the link-local address at which clouds hand out
a machine's credentials. So a host is resolved first and each of its addresses looked at; FFmpeg is given one of those
in place of the name, which may lead elsewhere a moment later. The operator's own configuration is not held against it.
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from refinevad.errors import InputError

Resolve = Callable[[str], Iterable[str]]
_ANSWER_S = 3.0
_LAST_32 = 0xFFFFFFFF
# IPv6 networks whose last 32 bits are an IPv4 address: RFC 4291 (both), RFC 2765, RFC 6052
_MAPPED, _COMPATIBLE = ip_network("::ffff:0:0/96"), ip_network("::/96")
_TRANSLATED, _NAT64 = ip_network("::ffff:0:0:0/96"), ip_network("64:ff9b::/96")
_NAT64_OWN = ip_network("64:ff9b:1::/48")  # RFC 8215: a network's own translation
_ISATAP = 0x00005EFE  # RFC 5214: before the last 32 bits; of a public address with one bit more
_THIS_NETWORK = ip_network("0.0.0.0/8")  # 0.0.0.0 reaches this machine
# clouds' metadata services outside of 169.254.0.0/16 and fe80::/10
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))


def addresses_of(host: str) -> list[str]:
    """Every address of a name, or of the many spellings of a number. Raises InputError where there is none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"host {host} is not known here; check the name, or give its address") from error
    return [str(place[0]) for *_, place in found]


def require_ordinary_host(host: str, resolve: Resolve = addresses_of) -> list[str]:
    """The addresses of a host all of which are of one machine in a network, this one included.

    Raises:
        InputError: it is not known, or one of its addresses is link-local, multicast, unspecified, broadcast or a
            cloud's metadata service.
    """
    found = list(dict.fromkeys(resolve(host)))
    for text in found:
        kind = _kind(ip_address(text.partition("%")[0]))
        if kind is not None:
            what = f"{host} is" if host == text else f"{host} leads to {text},"
            raise InputError(f"{what} {kind}; such an address can only be watched from the operator's cameras.toml")
    return found


def one_that_answers(addresses: Sequence[str], port: int) -> str:
    """One of a host's addresses, the first that a connection can be made to; the first of all where there is none."""
    for address in addresses if len(addresses) > 1 else ():
        with suppress(OSError), socket.create_connection((address, port), _ANSWER_S):
            return address
    return addresses[0]


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    """What is wrong with an address; None: nothing."""
    if inner := _inner(address):
        return next(filter(None, map(_kind, inner)), None)
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or (address.version == 4 and address in _THIS_NETWORK):
        return "an unspecified address"
    if address.version == 4 and address.is_reserved:
        return "a reserved or broadcast address"
    return None


def _inner(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for, by every way in which one can be written into it."""
    if not isinstance(address, IPv6Address) or int(address) < 2:  # :: and ::1 are themselves
        return []
    number, last = int(address), IPv4Address(int(address) & _LAST_32)
    if address in _MAPPED or address in _COMPATIBLE or address in _TRANSLATED or address in _NAT64:
        return [last]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:  # its server, and the client behind it
        return list(address.teredo)
    if address in _NAT64_OWN:  # RFC 6052: behind 48, 56, 64 or 96 bits, with 8 bits of zeros at the 64th
        behind_48 = IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
        behind_56 = IPv4Address((number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF)
        found = [behind_48, behind_56, IPv4Address(number >> 24 & _LAST_32), last]
        return [each for each in found if each not in _THIS_NETWORK]  # zeros: written in one of the other ways
    if number >> 32 & 0xFDFFFFFF == _ISATAP:
        return [last]
    return []
