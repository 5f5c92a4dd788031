"""The DHCP server's side of a conversation (RFC 2131, 2132; for PXE RFC 4578): a request in, a reply out."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vmm.net.packets import BROADCAST_IP, BROADCAST_MAC, NO_IP

SERVER_PORT, CLIENT_PORT = 67, 68
DISCOVER, OFFER, REQUEST, ACK, NAK, INFORM = 1, 2, 3, 5, 6, 8

MASK, ROUTER, DNS, REQUESTED, LEASE, TYPE, SERVER = 1, 3, 6, 50, 51, 53, 54
CLASS, TFTP_NAME, BOOT_FILE, USER_CLASS, ARCHITECTURE = 60, 66, 67, 77, 93

_FIXED = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE = b"\x63\x82\x53\x63"
_BOOT_REQUEST, _BOOT_REPLY, _ETHERNET = 1, 2, 1
_PAD, _END = 0, 255
_BROADCAST_FLAG = 0x8000
_MIN_REPLY = 300  # BOOTP's, which old ROMs insist on
_LEASE_SECONDS = 86400


class Request(NamedTuple):
    """What a client asked; options by number."""

    xid: int
    flags: int
    client_ip: bytes
    mac: bytes
    options: Mapping[int, bytes]

    @property
    def kind(self) -> int:
        """DISCOVER, REQUEST, …; 0 for plain BOOTP."""
        return (self.options.get(TYPE) or b"\0")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a client is told."""

    address: bytes
    server: bytes
    mask: bytes
    router: bytes
    name_server: bytes
    boot_file: str = ""


def read_request(payload: bytes) -> Request | None:
    """A request of an Ethernet client."""
    if len(payload) < _FIXED.size:
        return None
    op, kind, length, _, xid, _, flags, client_ip, _, _, _, hardware, _, _, cookie = _FIXED.unpack_from(
        payload
    )
    if (op, kind, length, cookie) != (_BOOT_REQUEST, _ETHERNET, 6, _COOKIE):
        return None
    return Request(xid, flags, client_ip, hardware[:6], _read_options(payload[_FIXED.size :]))


def _read_options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    while data and data[0] != _END:
        if data[0] == _PAD:
            data = data[1:]
            continue
        if len(data) < 2 or len(data) < 2 + data[1]:
            break
        # A long value comes in parts (RFC 3396).
        options[data[0]] = options.get(data[0], b"") + data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    return options


def answer(request: Request, lease: Lease) -> bytes | None:
    """The reply's payload; None where a server keeps silent."""
    wanted = request.options.get(REQUESTED) or request.client_ip
    named = request.options.get(SERVER)
    match request.kind:
        case 0:
            kind = 0
        case 1:
            kind = OFFER
        case 3 if named not in (None, lease.server):
            return None
        case 3:
            kind = ACK if wanted in (lease.address, NO_IP) else NAK
        case 8:
            kind = ACK
        case _:
            return None
    return _reply(request, lease, kind)


def _reply(request: Request, lease: Lease, kind: int) -> bytes:
    address = NO_IP if kind == NAK or request.kind == INFORM else lease.address
    boot_file = b"" if kind == NAK else lease.boot_file.encode()[:127]
    fixed = _FIXED.pack(
        *(_BOOT_REPLY, _ETHERNET, 6, 0, request.xid, 0, request.flags, request.client_ip, address),
        *(NO_IP if kind == NAK else lease.server, NO_IP, request.mac, b"", boot_file, _COOKIE),
    )
    options = _options(request, lease, kind, boot_file)
    body = b"".join(bytes((number, len(value))) + value for number, value in options.items())
    return (fixed + body + bytes((_END,))).ljust(_MIN_REPLY, b"\0")


def _options(request: Request, lease: Lease, kind: int, boot_file: bytes) -> dict[int, bytes]:
    options = {TYPE: bytes((kind,)), SERVER: lease.server} if kind else {}
    if kind == NAK:
        return options
    if kind and request.kind != INFORM:
        options[LEASE] = _LEASE_SECONDS.to_bytes(4, "big")
    options |= {MASK: lease.mask, ROUTER: lease.router, DNS: lease.name_server}
    if boot_file:
        options |= {TFTP_NAME: ".".join(map(str, lease.server)).encode(), BOOT_FILE: boot_file}
    if request.options.get(CLASS, b"").startswith(b"PXEClient"):
        # A PXE ROM takes offers only from servers that say they know it.
        options[CLASS] = b"PXEClient"
    return options


def destination(request: Request, lease: Lease, reply: bytes) -> tuple[bytes, bytes]:
    """(MAC, IP) a reply goes to (RFC 2131, 4.1)."""
    if request.client_ip != NO_IP:
        return request.mac, request.client_ip
    given = reply[16:20]
    if request.flags & _BROADCAST_FLAG or given == NO_IP:
        return BROADCAST_MAC, BROADCAST_IP
    return request.mac, lease.address
