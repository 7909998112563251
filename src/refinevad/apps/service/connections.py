"""How many connections there may be, of each address and in all, and which one goes when there are too many.

A connection that waits for a request (half-sent, or idle between two) costs its client nothing and us a descriptor. So
when a limit is reached, the one that has waited longest makes room: whoever sends a whole request is answered,
however many others send half of one. Connections that are being answered, and websockets, never go; where there is
nothing but those, the newcomer is turned away.
"""

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

RESERVED_DESCRIPTORS = 300  # for cameras, their processes, the database, clips being written
_EACH_TAKES = 2  # descriptors: its socket, and a file that is sent over it
_FEWEST = 16


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections, and how long each may wait.

    Attributes:
        most: in all.
        most_each: of one address; of IPv6 a network of 64 bits counts as one. Proxies are not counted so.
        header_s: from the first moment of a connection, and from the first byte of a later request, to its last header.
        idle_s: between two requests.
        stall_s: a client that takes nothing of an answer for so long is left.
        linger_s: how long the rest of a refused body is dropped, so that its sender reads the answer.
    """

    most: int = 400
    most_each: int = 100
    header_s: float = 10.0
    idle_s: float = 15.0
    stall_s: float = 30.0
    linger_s: float = 5.0

    @property
    def within_descriptors(self) -> int:
        """`most`, or as many as leave `RESERVED_DESCRIPTORS` free."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.most
        return min(self.most, max(_FEWEST, (soft - RESERVED_DESCRIPTORS) // _EACH_TAKES))


@dataclass(eq=False)
class Connection:
    """One accepted socket. `drop` closes it at once; `waits`: for a request, so that it may go."""

    address: str
    drop: Callable[[], object]
    waits: bool = True
    websocket: bool = False
    closed: bool = field(default=False, init=False)


class Connections:
    """All that are open, in the order in which they last began to wait. To be used on the event loop alone."""

    def __init__(self, limits: ConnectionLimits, uncounted: Callable[[str], bool] = lambda address: False) -> None:
        """`uncounted`: addresses of proxies, behind which are many."""
        self.limits, self._uncounted = limits, uncounted
        self.most = limits.within_descriptors
        self._open: dict[Connection, None] = {}
        self._each: Counter[str] = Counter()
        self.turned_away = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, host: str, drop: Callable[[], object]) -> Connection | None:
        """A newcomer, for which one that waits may have gone; None: there is no room."""
        address = network_of(host)
        counted = not self._uncounted(host)
        if counted and self._each[address] >= self.limits.most_each and not self._make_room(address):
            self.turned_away += 1
            return None
        if len(self._open) >= self.most and not self._make_room():
            self.turned_away += 1
            return None
        connection = Connection(address, drop)
        self._open[connection] = None
        self._each[address] += 1
        return connection

    def remove(self, connection: Connection) -> None:
        if not connection.closed:
            connection.closed = True
            del self._open[connection]
            self._each[connection.address] -= 1
            if not self._each[connection.address]:
                del self._each[connection.address]

    def wait(self, connection: Connection, waits: bool) -> None:
        """Whether it waits for a request from now on."""
        if connection.waits != waits and not connection.closed:
            connection.waits = waits
            if waits:  # to the end of the row
                del self._open[connection]
                self._open[connection] = None

    def may_stay_open(self) -> bool:
        """Whether one more may become a websocket: they hold at most half of all there can be."""
        return sum(connection.websocket for connection in self._open) < max(1, self.most // 2)

    def _make_room(self, address: str | None = None) -> bool:
        """Drop the one that has waited longest, of an address or of the one that has most."""
        waiting = [each for each in self._open if each.waits and address in (None, each.address)]
        if not waiting:
            return False
        chosen = max(waiting, key=lambda each: self._each[each.address])  # of equals the first, who waited longest
        self.turned_away += 1
        self.remove(chosen)
        chosen.drop()
        return True


def network_of(host: str) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits of IPv6 that one household has."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
