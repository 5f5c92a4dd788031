"""A router that says there is no IPv6 here (RFC 4861): no prefix, no DHCPv6, not a default router.

iPXE asks for a router before it uses the IPv4 address that it has, and waits sixteen seconds for none.
"""

from __future__ import annotations

import struct

from vmm.net.packets import checksum

TYPE_IPV6 = 0x86DD
ALL_ROUTERS_MAC = bytes.fromhex("333300000002")
ALL_NODES_MAC = bytes.fromhex("333300000001")

_HEADER = struct.Struct(">IHBB16s16s")
_VERSION, _ICMP = 6 << 28, 58
_SOLICITATION, _ADVERTISEMENT = 133, 134
_HOPS = 255  # anything less has come through a router
_ALL_NODES = bytes.fromhex("ff02") + bytes(13) + b"\1"


def answer(payload: bytes, mac: bytes) -> bytes | None:
    """The advertisement for a solicitation, from the router with address `mac`; None for anything else."""
    if len(payload) < _HEADER.size + 8:
        return None
    first, length, following, hops, _, _ = _HEADER.unpack_from(payload)
    if (first >> 28, following, hops) != (6, _ICMP, _HOPS) or payload[_HEADER.size] != _SOLICITATION:
        return None
    if not 8 <= length <= len(payload) - _HEADER.size:
        return None
    source = bytes.fromhex("fe80") + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    message = struct.pack(">BBHBBHII", _ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)
    pseudo = source + _ALL_NODES + struct.pack(">II", len(message), _ICMP)
    message = message[:2] + checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    return _HEADER.pack(_VERSION, len(message), _ICMP, _HOPS, source, _ALL_NODES) + message
