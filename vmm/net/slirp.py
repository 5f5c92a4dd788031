"""The user-mode network: which library, which addresses, which ports lead to the guest.

libslirp (BSD licence, Debian `libslirp0`, also part of every QEMU with user networking) runs inside this
process: no privileges, no second process, addresses that are the same everywhere. It is loaded when a NIC
asks for it. passt, the other candidate, is a program that would have to be started beside each VM, and that
gives the guest the host's own addresses, which differ from place to place.
"""

from __future__ import annotations

import ctypes
import ipaddress
import re
from functools import cache

from vmm.errors import HostError, UsageError
from vmm.monitor.cables import Forward, Jack, UserNetwork, plug_user

LIBRARY = "libslirp.so.0"
NETWORK = ipaddress.IPv4Network("10.0.2.0/24")
GATEWAY, NAME_SERVER, GUEST = NETWORK[2], NETWORK[3], NETWORK[15]

_FUNCTIONS = {
    "create": "slirp_new",
    "cleanup": "slirp_cleanup",
    "pollfds_fill": "slirp_pollfds_fill",
    "pollfds_poll": "slirp_pollfds_poll",
    "input": "slirp_input",
    "add_hostfwd": "slirp_add_hostfwd",
}
_FORWARD = re.compile(r"(tcp|udp):(?:(\d+\.\d+\.\d+\.\d+):)?(\d{1,5}):(\d{1,5})")
_LOOPBACK = "127.0.0.1"
_MAX_PORT = 65535


@cache
def _functions() -> dict[str, int]:
    try:
        library = ctypes.CDLL(LIBRARY)
        found = {ours: getattr(library, theirs) for ours, theirs in _FUNCTIONS.items()}
    except (OSError, AttributeError) as error:
        raise HostError(
            f"the user-mode network needs {LIBRARY} ({error}); install libslirp0 (Debian) or libslirp"
        ) from None
    return {name: int(ctypes.cast(function, ctypes.c_void_p).value or 0) for name, function in found.items()}


def parse_forward(text: str) -> Forward:
    """`tcp:8080:80` or `udp:0.0.0.0:5353:53`: host port (of 127.0.0.1 if not given), guest port."""
    match = _FORWARD.fullmatch(text)
    try:
        address = ipaddress.IPv4Address(match[2] or _LOOPBACK) if match else None
    except ValueError:
        address = None
    if match is None or address is None or not all(0 < int(port) <= _MAX_PORT for port in match.group(3, 4)):
        raise UsageError(f"forward {text}: write tcp:HOSTPORT:GUESTPORT or udp:ADDRESS:HOSTPORT:GUESTPORT")
    return Forward(match[1] == "udp", int(address), int(match[3]), int(match[4]))


def plug_user_network(jack: Jack, forwards: tuple[Forward, ...] = ()) -> None:
    """Lead a cable to a user-mode network of its own; HostError if the library is missing."""
    config = UserNetwork(
        network=int(NETWORK.network_address),
        mask=int(NETWORK.netmask),
        gateway=int(GATEWAY),
        name_server=int(NAME_SERVER),
        first_lease=int(GUEST),
        forwards=forwards,
    )
    plug_user(jack, _functions(), config)
