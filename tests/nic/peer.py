"""The other end of a guest's cable: one IPv4 host that answers ARP, DHCP, ping, UDP echo and TCP, and checks
every checksum it sees. It has no clock and no randomness: equal frames get equal answers."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAC = bytes.fromhex("525400c0ffee")
ADDRESS = bytes((10, 0, 2, 2))
GUEST_ADDRESS = bytes((10, 0, 2, 15))
BROADCAST = b"\xff" * 6
ECHO_PORT, SINK_PORT, DHCP_PORT = 7, 9, 67
VLAN = 0x8100
_IPV4, _ARP = 0x0800, 0x0806
_ICMP, _TCP, _UDP = 1, 6, 17
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_DHCP_MAGIC = bytes.fromhex("63825363")
_WINDOW = 65535


def checksum(data: bytes) -> int:
    """The Internet checksum; 0 over data that holds its own."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total) & 0xFFFF


def ethernet(to: bytes, kind: int, payload: bytes, tag: int | None = None) -> bytes:
    """A frame from the peer, not padded."""
    tagging = b"" if tag is None else struct.pack(">HH", VLAN, tag)
    return to + MAC + tagging + struct.pack(">H", kind) + payload


def ipv4(protocol: int, to: bytes, payload: bytes) -> bytes:
    """A packet from the peer."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, ADDRESS, to)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def _with_sum(protocol: int, to: bytes, segment: bytes, at: int) -> bytes:
    pseudo = ADDRESS + to + struct.pack(">BBH", 0, protocol, len(segment))
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack(">H", value) + segment[at + 2 :]


def udp(to: bytes, source: int, target: int, data: bytes) -> bytes:
    """A packet with a datagram from the peer."""
    datagram = struct.pack(">HHHH", source, target, 8 + len(data), 0) + data
    return ipv4(_UDP, to, _with_sum(_UDP, to, datagram, 6))


@dataclass
class _Connection:
    received: int
    sent: int
    data: hashlib._Hash = field(default_factory=hashlib.sha256)
    length: int = 0
    closed: bool = False


@dataclass
class Peer:
    """`answer` gives what a frame makes it send. `wrong` collects what was wrong with frames; `received`
    counts what TCP connections brought to `SINK_PORT`, `digests` are their SHA-256 once closed."""

    mss: int = 1460
    window: int = _WINDOW
    wrong: list[str] = field(default_factory=list)
    frames: int = 0
    longest: int = 0
    leased: bool = False
    pings: int = 0
    digests: list[str] = field(default_factory=list)
    received: int = 0
    _connections: dict[int, _Connection] = field(default_factory=dict)
    _guest_mac: bytes = BROADCAST

    def answer(self, frame: bytes) -> Iterator[bytes]:
        """Frames to send back."""
        self.frames += 1
        self.longest = max(self.longest, len(frame))
        kind = int.from_bytes(frame[12:14])
        self._guest_mac = frame[6:12]
        if frame[:6] not in (MAC, BROADCAST) and not frame[0] & 1:
            self.wrong.append(f"frame for {frame[:6].hex()}")
        elif kind == _ARP:
            yield from self._arp(frame[14:])
        elif kind == _IPV4:
            yield from self._packet(frame[14:])

    def _arp(self, body: bytes) -> Iterator[bytes]:
        operation, sender, asked = body[6:8], body[8:18], body[24:28]
        if operation == b"\0\1" and asked == ADDRESS:
            reply = bytes.fromhex("0001080006040002") + MAC + ADDRESS + sender
            yield ethernet(self._guest_mac, _ARP, reply)

    def _packet(self, packet: bytes) -> Iterator[bytes]:
        header = (packet[0] & 15) * 4
        length = int.from_bytes(packet[2:4])
        if length > len(packet) or checksum(packet[:header]):
            self.wrong.append(f"IP header {packet[:header].hex()}")
            return
        protocol, source = packet[9], packet[12:16]
        body = packet[header:length]
        if protocol == _ICMP:
            yield from self._icmp(source, body)
            return
        pseudo = packet[12:20] + struct.pack(">BBH", 0, protocol, len(body))
        unchecked = protocol == _UDP and body[6:8] == b"\0\0"
        if not unchecked and checksum(pseudo + body):
            self.wrong.append(f"checksum of protocol {protocol}, {len(body)} bytes")
        elif protocol == _UDP:
            yield from self._udp(source, body)
        elif protocol == _TCP:
            yield from self._tcp(source, body)

    def _icmp(self, source: bytes, body: bytes) -> Iterator[bytes]:
        if checksum(body):
            self.wrong.append("ICMP checksum")
        elif body[0] == 8:
            self.pings += 1
            reply = b"\0\0\0\0" + body[4:]
            reply = reply[:2] + struct.pack(">H", checksum(reply)) + reply[4:]
            yield ethernet(self._guest_mac, _IPV4, ipv4(_ICMP, source, reply))

    def _udp(self, source: bytes, body: bytes) -> Iterator[bytes]:
        sender, port = struct.unpack(">HH", body[:4])
        if port == ECHO_PORT:
            yield ethernet(self._guest_mac, _IPV4, udp(source, port, sender, body[8:]))
        elif port == DHCP_PORT:
            yield from self._dhcp(body[8:])

    def _dhcp(self, message: bytes) -> Iterator[bytes]:
        options = message[240:]
        kinds = {1: 2, 3: 5}  # DISCOVER: OFFER, REQUEST: ACK
        asked = options[options.index(b"\x35\x01") + 2]
        if asked not in kinds:
            return
        self.leased |= asked == 3
        head = (
            b"\x02" + message[1:4] + message[4:8] + bytes(4) + bytes(4) + GUEST_ADDRESS + ADDRESS + bytes(4)
        )
        body = head + message[28:44] + bytes(192) + _DHCP_MAGIC
        body += bytes((53, 1, kinds[asked])) + b"\x36\x04" + ADDRESS + b"\x33\x04\x00\x01\x51\x80"
        body += b"\x01\x04\xff\xff\xff\x00" + b"\x03\x04" + ADDRESS + b"\xff"
        yield ethernet(self._guest_mac, _IPV4, udp(b"\xff" * 4, DHCP_PORT, 68, body))

    # TCP: a sink that acknowledges what comes in order.

    def _tcp(self, source: bytes, segment: bytes) -> Iterator[bytes]:
        port, target, sequence, _, offset, flags = struct.unpack(">HHIIBB", segment[:14])
        data = segment[(offset >> 4) * 4 :]
        if flags & _SYN and target == SINK_PORT:
            self._connections[port] = _Connection(received=(sequence + 1) & 0xFFFFFFFF, sent=1000)
            yield self._segment(source, port, _SYN | _ACK)
            self._connections[port].sent += 1
            return
        connection = self._connections.get(port)
        if connection is None:
            return
        if sequence == connection.received and data:
            connection.received = (connection.received + len(data)) & 0xFFFFFFFF
            connection.data.update(data)
            connection.length += len(data)
            self.received += len(data)
        in_order = (sequence + len(data)) & 0xFFFFFFFF == connection.received
        if flags & _FIN and in_order and not connection.closed:
            connection.closed = True
            connection.received += 1
            self.digests.append(connection.data.hexdigest())
            yield self._segment(source, port, _FIN | _ACK)
            connection.sent += 1
        elif data:
            yield self._segment(source, port, _ACK)

    def _segment(self, to: bytes, port: int, flags: int) -> bytes:
        connection = self._connections[port]
        options = struct.pack(">BBH", 2, 4, self.mss) if flags & _SYN else b""
        head = struct.pack(
            ">HHIIBBHHH",
            *(SINK_PORT, port, connection.sent, connection.received),
            *((20 + len(options)) // 4 << 4, flags, self.window, 0, 0),
        )
        body = _with_sum(_TCP, to, head + options, 16)
        return ethernet(self._guest_mac, _IPV4, ipv4(_TCP, to, body))
