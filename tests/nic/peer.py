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
ECHO_PORT, SINK_PORT, BULK_PORT, DHCP_PORT, TFTP_PORT, TFTP_DATA_PORT = 7, 9, 19, 67, 69, 6969
_TFTP_BLOCK = 512
VLAN = 0x8100
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_DHCP_MAGIC = bytes.fromhex("63825363")
_WINDOW = 65535


def bulk() -> bytes:
    """What a connection to `BULK_PORT` brings."""
    return b"".join(number.to_bytes(4) for number in range(500_000))


def checksum(data: bytes) -> int:
    """The Internet checksum; 0 over data that holds its own."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total) & 0xFFFF


def ethernet(to: bytes, kind: int, payload: bytes) -> bytes:
    """A frame from the peer, not padded."""
    return to + MAC + struct.pack(">H", kind) + payload


def ipv4(protocol: int, to: bytes, payload: bytes) -> bytes:
    """A packet from the peer."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, ADDRESS, to)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def _with_sum(protocol: int, to: bytes, segment: bytes, at: int) -> bytes:
    pseudo = ADDRESS + to + struct.pack(">BBH", 0, protocol, len(segment))
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack(">H", value) + segment[at + 2 :]


def router_advertisement() -> bytes:
    """There is no IPv6 here: iPXE waits 13 seconds for somebody to say so."""
    source, everybody = bytes.fromhex("fe80") + bytes(13) + b"\2", bytes.fromhex("ff02") + bytes(13) + b"\1"
    body = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
    value = checksum(source + everybody + struct.pack(">II", len(body), _ICMP6) + body)
    body = body[:2] + struct.pack(">H", value) + body[4:]
    head = struct.pack(">IHBB", 6 << 28, len(body), _ICMP6, 255) + source + everybody
    return ethernet(bytes.fromhex("333300000001"), _IPV6, head + body)


def udp(to: bytes, source: int, target: int, data: bytes) -> bytes:
    """A packet with a datagram from the peer."""
    datagram = struct.pack(">HHHH", source, target, 8 + len(data), 0) + data
    return ipv4(_UDP, to, _with_sum(_UDP, to, datagram, 6))


@dataclass
class _Connection:
    received: int
    sent: int
    target: int
    bulk: bytes
    data: hashlib._Hash = field(default_factory=hashlib.sha256)
    closed: bool = False


@dataclass
class Peer:
    """`answer` gives what a frame makes it send. `wrong` collects what was wrong with frames; `received`
    counts what TCP connections brought to `SINK_PORT`, `digests` are their SHA-256 once closed. With `tag`
    only frames of that VLAN count, and answers carry it. `boot` is offered by DHCP and sent by TFTP.
    `burst` is the most frames sent at one time: more than the chip fetches at once if it cut up a packet."""

    mss: int = 1460
    window: int = _WINDOW
    tag: int | None = None
    boot: bytes = b""
    wrong: list[str] = field(default_factory=list)
    frames: int = 0
    longest: int = 0
    burst: int = 0
    leased: bool = False
    pings: int = 0
    digests: list[str] = field(default_factory=list)
    received: int = 0
    _connections: dict[int, _Connection] = field(default_factory=dict)
    _guest_mac: bytes = BROADCAST
    _now: int = 0
    _now_sent: int = 0

    def note(self, when: int) -> None:
        """A frame was sent at `when`."""
        self._now_sent = self._now_sent + 1 if when == self._now else 1
        self._now = when
        self.burst = max(self.burst, self._now_sent)

    def answer(self, frame: bytes) -> Iterator[bytes]:
        """Frames to send back."""
        self.frames += 1
        self.longest = max(self.longest, len(frame))
        if self.tag is None:
            yield from self._untagged(frame)
            return
        tag = struct.pack(">HH", VLAN, self.tag)
        if frame[12:16] == tag:
            for reply in self._untagged(frame[:12] + frame[16:]):
                yield reply[:12] + tag + reply[12:]

    def _untagged(self, frame: bytes) -> Iterator[bytes]:
        kind = int.from_bytes(frame[12:14])
        self._guest_mac = frame[6:12]
        if frame[:6] not in (MAC, BROADCAST) and not frame[0] & 1:
            self.wrong.append(f"frame for {frame[:6].hex()}")
        elif kind == _ARP:
            yield from self._arp(frame[14:])
        elif kind == _IPV4:
            yield from self._packet(frame[14:])
        elif kind == _IPV6 and frame[20] == _ICMP6 and frame[54] == 133:
            yield router_advertisement()

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
        elif port in (TFTP_PORT, TFTP_DATA_PORT):
            yield from self._tftp(source, sender, body[8:])

    def _tftp(self, source: bytes, port: int, message: bytes) -> Iterator[bytes]:
        """Options are not taken up, so blocks have 512 bytes; the last one is shorter."""
        operation, acknowledged = struct.unpack(">HH", message[:4])
        done = acknowledged if operation == 4 else 0
        if operation in (1, 4) and done * _TFTP_BLOCK <= len(self.boot):
            data = self.boot[done * _TFTP_BLOCK :][:_TFTP_BLOCK]
            block = struct.pack(">HH", 3, done + 1) + data
            yield ethernet(self._guest_mac, _IPV4, udp(source, TFTP_DATA_PORT, port, block))

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
        file = (b"boot.0" if self.boot else b"").ljust(128, b"\0")
        body = head + message[28:44] + bytes(64) + file + _DHCP_MAGIC
        body += bytes((53, 1, kinds[asked])) + b"\x36\x04" + ADDRESS + b"\x33\x04\x00\x01\x51\x80"
        body += b"\x01\x04\xff\xff\xff\x00" + b"\x03\x04" + ADDRESS + b"\xff"
        yield ethernet(self._guest_mac, _IPV4, udp(b"\xff" * 4, DHCP_PORT, 68, body))

    # TCP: a sink that acknowledges what comes in order, and a source that fills the guest's window.

    def _tcp(self, source: bytes, segment: bytes) -> Iterator[bytes]:
        port, target, sequence, acknowledged, offset, flags, window = struct.unpack(">HHIIBBH", segment[:16])
        data = segment[(offset >> 4) * 4 :]
        if flags & _SYN and target in (SINK_PORT, BULK_PORT):
            content = bulk() if target == BULK_PORT else b""
            connection = _Connection((sequence + 1) & 0xFFFFFFFF, sent=1000, target=target, bulk=content)
            self._connections[port] = connection
            yield self._segment(source, port, _SYN | _ACK)
            connection.sent += 1
            return
        if port not in self._connections:
            return
        connection = self._connections[port]
        if target == BULK_PORT:
            yield from self._source(source, port, acknowledged, window)
            return
        if sequence == connection.received and data:
            connection.received = (connection.received + len(data)) & 0xFFFFFFFF
            connection.data.update(data)
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

    def _source(self, to: bytes, port: int, acknowledged: int, window: int) -> Iterator[bytes]:
        connection = self._connections[port]
        end = min(acknowledged - 1001 + window, len(connection.bulk))
        while connection.sent - 1001 < end:
            at = connection.sent - 1001
            data = connection.bulk[at : min(at + self.mss, end)]
            yield self._segment(to, port, _ACK | _PSH, data)
            connection.sent += len(data)
        if connection.sent - 1001 == len(connection.bulk) and not connection.closed:
            connection.closed = True
            yield self._segment(to, port, _FIN | _ACK)

    def _segment(self, to: bytes, port: int, flags: int, data: bytes = b"") -> bytes:
        connection = self._connections[port]
        options = struct.pack(">BBH", 2, 4, self.mss) if flags & _SYN else b""
        head = struct.pack(
            ">HHIIBBHHH",
            *(connection.target, port, connection.sent, connection.received),
            *((20 + len(options)) // 4 << 4, flags, self.window, 0, 0),
        )
        body = _with_sum(_TCP, to, head + options + data, 16)
        return ethernet(self._guest_mac, _IPV4, ipv4(_TCP, to, body))
