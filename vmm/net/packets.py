"""Ethernet, ARP, IPv4, ICMP, UDP and TCP headers: bytes to records and back.

What is read comes from a guest: every reader returns None for what is too short, inconsistent or not for us
to understand (fragments); options we need not know are skipped.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

BROADCAST_MAC = b"\xff" * 6
BROADCAST_IP = b"\xff" * 4
NO_IP = bytes(4)
TYPE_IPV4, TYPE_ARP = 0x0800, 0x0806
ICMP, TCP, UDP = 1, 6, 17
ARP_REQUEST, ARP_REPLY = 1, 2
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_ETHERNET = struct.Struct(">6s6sH")
_ARP = struct.Struct(">HHBBH6s4s6s4s")
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">HHHH")
_TCP = struct.Struct(">HHIIBBHHH")
_ARP_ETHERNET_IPV4 = (1, TYPE_IPV4, 6, 4)
_MIN_HEADER_WORDS = 5
_MORE_FRAGMENTS, _OFFSET = 0x2000, 0x1FFF
_OPTION_END, _OPTION_NOP, _OPTION_MSS, _OPTION_SCALE = 0, 1, 2, 3


class Ethernet(NamedTuple):
    """A frame."""

    to: bytes
    source: bytes
    kind: int
    payload: bytes

    def pack(self) -> bytes:
        """Bytes, at least the 60 an Ethernet frame has."""
        return (_ETHERNET.pack(self.to, self.source, self.kind) + self.payload).ljust(60, b"\0")


class Arp(NamedTuple):
    """A request or reply for IPv4 over Ethernet."""

    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes

    def pack(self) -> bytes:
        """The frame's payload."""
        return _ARP.pack(*_ARP_ETHERNET_IPV4, *self)


class Ipv4(NamedTuple):
    """A datagram that is no fragment."""

    source: bytes
    to: bytes
    protocol: int
    payload: bytes

    def pack(self) -> bytes:
        """Header, with its checksum, and payload."""
        fields = (0x45, 0, 20 + len(self.payload), 0, 0x4000, 64, self.protocol)
        header = _IPV4.pack(*fields, 0, self.source, self.to)
        return _IPV4.pack(*fields, checksum(header), self.source, self.to) + self.payload


class Udp(NamedTuple):
    """A datagram's ports and payload."""

    source: int
    to: int
    payload: bytes


class Segment(NamedTuple):
    """A TCP segment; `mss` and `scale` are options, None if not given."""

    source: int
    to: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""
    mss: int | None = None
    scale: int | None = None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = int(sum(struct.unpack(f">{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def read_ethernet(frame: bytes) -> Ethernet | None:
    """A frame's header and payload, padding included."""
    if len(frame) < _ETHERNET.size:
        return None
    to, source, kind = _ETHERNET.unpack_from(frame)
    return Ethernet(to, source, kind, frame[_ETHERNET.size :])


def read_arp(payload: bytes) -> Arp | None:
    """Only IPv4 over Ethernet."""
    if len(payload) < _ARP.size:
        return None
    *kind, operation, sender_mac, sender_ip, target_mac, target_ip = _ARP.unpack_from(payload)
    if tuple(kind) != _ARP_ETHERNET_IPV4:
        return None
    return Arp(operation, sender_mac, sender_ip, target_mac, target_ip)


def read_ipv4(payload: bytes) -> Ipv4 | None:
    """A whole datagram with a right checksum; fragments are not put together."""
    if len(payload) < _IPV4.size:
        return None
    first, _, length, _, fragment, _, protocol, _, source, to = _IPV4.unpack_from(payload)
    header = 4 * (first & 15)
    if first >> 4 != 4 or header < 4 * _MIN_HEADER_WORDS or not header <= length <= len(payload):
        return None
    if fragment & (_MORE_FRAGMENTS | _OFFSET) or checksum(payload[:header]):
        return None
    return Ipv4(source, to, protocol, payload[header:length])


def _pseudo_header(packet: Ipv4, length: int) -> bytes:
    return packet.source + packet.to + struct.pack(">BBH", 0, packet.protocol, length)


def read_udp(packet: Ipv4) -> Udp | None:
    """A datagram whose checksum is right or absent."""
    data = packet.payload
    if len(data) < _UDP.size:
        return None
    source, to, length, given = _UDP.unpack_from(data)
    if not _UDP.size <= length <= len(data):
        return None
    if given and checksum(_pseudo_header(packet, length) + data[:length]):
        return None
    return Udp(source, to, data[_UDP.size : length])


def udp_packet(source: bytes, to: bytes, datagram: Udp) -> Ipv4:
    """An IPv4 datagram that carries `datagram`."""
    length = _UDP.size + len(datagram.payload)
    body = _UDP.pack(datagram.source, datagram.to, length, 0) + datagram.payload
    value = checksum(_pseudo_header(Ipv4(source, to, UDP, b""), length) + body) or 0xFFFF
    return Ipv4(source, to, UDP, body[:6] + value.to_bytes(2, "big") + body[8:])


def read_segment(packet: Ipv4) -> Segment | None:
    """A segment with a right checksum."""
    data = packet.payload
    if len(data) < _TCP.size or checksum(_pseudo_header(packet, len(data)) + data):
        return None
    source, to, seq, ack, words, flags, window, _, _ = _TCP.unpack_from(data)
    header = 4 * (words >> 4)
    if not _TCP.size <= header <= len(data):
        return None
    mss, scale = _read_options(data[_TCP.size : header])
    return Segment(source, to, seq, ack, flags, window, data[header:], mss, scale)


def _read_options(data: bytes) -> tuple[int | None, int | None]:
    mss = scale = None
    while data and data[0] != _OPTION_END:
        if data[0] == _OPTION_NOP:
            data = data[1:]
            continue
        length = data[1] if len(data) > 1 else 0
        if not 2 <= length <= len(data):
            break
        value = data[2:length]
        if data[0] == _OPTION_MSS and len(value) == 2:
            mss = int.from_bytes(value, "big")
        elif data[0] == _OPTION_SCALE and len(value) == 1:
            scale = min(value[0], 14)
        data = data[length:]
    return mss, scale


def tcp_packet(source: bytes, to: bytes, segment: Segment) -> Ipv4:
    """An IPv4 datagram that carries `segment`."""
    options = b""
    if segment.mss is not None:
        options += struct.pack(">BBH", _OPTION_MSS, 4, segment.mss)
    if segment.scale is not None:
        options += struct.pack(">BBBB", _OPTION_NOP, _OPTION_SCALE, 3, segment.scale)
    words = (_TCP.size + len(options)) // 4 << 4
    fields = (segment.source, segment.to, segment.seq, segment.ack, words, segment.flags, segment.window)
    body = _TCP.pack(*fields, 0, 0) + options + segment.payload
    value = checksum(_pseudo_header(Ipv4(source, to, TCP, b""), len(body)) + body)
    return Ipv4(source, to, TCP, body[:16] + value.to_bytes(2, "big") + body[18:])


def ip_text(address: bytes) -> str:
    """`10.0.2.15`."""
    return ".".join(map(str, address))
