"""The built-in boot server: a station on the cable that speaks ARP, DHCP, TFTP and HTTP out of one folder.

It lives in VM time: an answer leaves a fixed time after its question and its frames follow each other at the
speed of the line, so a network boot in virtual time repeats to the instruction. Files are read when they are
asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vmm.net import dhcp, http, router6, tcp, tftp
from vmm.net.packets import (
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST_IP,
    BROADCAST_MAC,
    ICMP,
    SYN,
    TCP,
    TYPE_ARP,
    TYPE_IPV4,
    UDP,
    Arp,
    Ethernet,
    Ipv4,
    Segment,
    Udp,
    checksum,
    read_arp,
    read_ethernet,
    read_ipv4,
    read_segment,
    read_udp,
    tcp_packet,
    udp_packet,
)

MAC = bytes.fromhex("000c29ffff02")
NETWORK = b"\x0a\0\2"
SERVER = NETWORK + b"\2"
MASK = b"\xff\xff\xff\0"
FIRST_LEASE = 15

LATENCY_NS = 20_000
NS_PER_BYTE = 8  # 1 Gb/s

# Names a boot file has by custom, the first that is there is offered. iPXE says who it is, and gets scripts.
IPXE_FILES = ("boot.ipxe", "autoexec.ipxe")
PXE_FILES = ("pxelinux.0", "lpxelinux.0", "undionly.kpxe", "ipxe.pxe", "boot.scr.uimg", "boot.scr")

_ECHO_REQUEST = 8
_MAX_CONNECTIONS = 64
_MAX_TRANSFERS = 64
_MAX_LEASES = 200

Give = Callable[[bytes, int], None]
"""A frame to send at a VM time."""


class BootServer:
    """`take` every frame of the cable; answers go to `give`. `alarm` asks for `wake` to be called at a VM
    time; without one, TCP segments that a bad line loses are not sent again by themselves."""

    def __init__(
        self, folder: Path, give: Give, alarm: Callable[[int], None] | None = None, boot_file: str = ""
    ) -> None:
        self._folder = folder.resolve()
        self._give = give
        self._alarm = alarm
        self._boot_file = boot_file
        self._leases: dict[bytes, bytes] = {}
        self._transfers: dict[tuple[bytes, int], tftp.Transfer] = {}
        self._connections: dict[tuple[bytes, int], tcp.Connection] = {}
        self._macs: dict[bytes, bytes] = {}
        self._opened = 0
        self._line_free = 0  # when the last frame has left

    # Frames

    def take(self, frame: bytes, now: int) -> None:
        """A frame that was sent to us, or to anybody, at VM time `now`."""
        ethernet = read_ethernet(frame)
        if ethernet is None or ethernet.source[0] & 1:
            return
        if ethernet.kind == router6.TYPE_IPV6 and ethernet.to in (MAC, router6.ALL_ROUTERS_MAC):
            self._take_ipv6(ethernet.payload, now)
        if ethernet.to not in (MAC, BROADCAST_MAC):
            return
        if ethernet.kind == TYPE_ARP:
            self._take_arp(ethernet, now)
        elif ethernet.kind == TYPE_IPV4:
            packet = read_ipv4(ethernet.payload)
            if packet is not None and packet.to in (SERVER, BROADCAST_IP, NETWORK + b"\xff"):
                self._take_ipv4(ethernet, packet, now)

    def _send(self, to: bytes, kind: int, payload: bytes, now: int) -> None:
        frame = Ethernet(to, MAC, kind, payload).pack()
        start = max(now + LATENCY_NS, self._line_free)
        self._line_free = start + len(frame) * NS_PER_BYTE
        self._give(frame, self._line_free)

    def _take_arp(self, ethernet: Ethernet, now: int) -> None:
        question = read_arp(ethernet.payload)
        if question is not None and question.operation == ARP_REQUEST and question.target_ip == SERVER:
            reply = Arp(ARP_REPLY, MAC, SERVER, question.sender_mac, question.sender_ip)
            self._send(ethernet.source, TYPE_ARP, reply.pack(), now)

    def _take_ipv6(self, payload: bytes, now: int) -> None:
        advertisement = router6.answer(payload, MAC)
        if advertisement is not None:
            self._send(router6.ALL_NODES_MAC, router6.TYPE_IPV6, advertisement, now)

    def _take_ipv4(self, ethernet: Ethernet, packet: Ipv4, now: int) -> None:
        if packet.protocol == UDP and (datagram := read_udp(packet)) is not None:
            self._take_udp(ethernet, packet, datagram, now)
        elif packet.protocol == TCP and packet.to == SERVER and (segment := read_segment(packet)) is not None:
            self._macs[packet.source] = ethernet.source
            self._take_segment(packet.source, segment, now)
            self._ring()
        elif packet.protocol == ICMP and packet.to == SERVER:
            self._take_icmp(ethernet.source, packet, now)

    def _take_icmp(self, mac: bytes, packet: Ipv4, now: int) -> None:
        data = packet.payload
        if len(data) < 8 or data[0] != _ECHO_REQUEST or checksum(data):
            return
        blank = bytes(4) + data[4:]
        reply = blank[:2] + checksum(blank).to_bytes(2, "big") + blank[4:]
        self._send(mac, TYPE_IPV4, Ipv4(SERVER, packet.source, ICMP, reply).pack(), now)

    # UDP: DHCP and TFTP

    def _take_udp(self, ethernet: Ethernet, packet: Ipv4, datagram: Udp, now: int) -> None:
        if datagram.to == dhcp.SERVER_PORT:
            self._take_dhcp(datagram.payload, now)
        elif packet.to == SERVER and (reply := self._tftp(packet.source, datagram)) is not None:
            self._send_udp(ethernet.source, packet.source, reply, now)

    def _send_udp(self, mac: bytes, to: bytes, datagram: Udp, now: int) -> None:
        self._send(mac, TYPE_IPV4, udp_packet(SERVER, to, datagram).pack(), now)

    def _take_dhcp(self, payload: bytes, now: int) -> None:
        request = dhcp.read_request(payload)
        address = None if request is None else self._address(request.mac)
        if request is None or address is None:
            return
        lease = dhcp.Lease(
            address=address,
            server=SERVER,
            mask=MASK,
            router=SERVER,
            name_server=SERVER,
            boot_file=self._boot_file_for(request),
        )
        reply = dhcp.answer(request, lease)
        if reply is not None:
            mac, to = dhcp.destination(request, lease, reply)
            self._send_udp(mac, to, Udp(dhcp.SERVER_PORT, dhcp.CLIENT_PORT, reply), now)

    def _address(self, mac: bytes) -> bytes | None:
        """The same for the same client, in the order they came; None when all are given away."""
        if mac not in self._leases and len(self._leases) < _MAX_LEASES:
            self._leases[mac] = NETWORK + bytes((FIRST_LEASE + len(self._leases),))
        return self._leases.get(mac)

    def _boot_file_for(self, request: dhcp.Request) -> str:
        names: tuple[str, ...] = (self._boot_file,) if self._boot_file else PXE_FILES
        if b"iPXE" in request.options.get(dhcp.USER_CLASS, b""):
            # Scripts first: iPXE that was loaded as the boot file must not be told to load itself again.
            names = (*IPXE_FILES, *names)
        elif self._boot_file:
            return self._boot_file
        return next((name for name in names if self.read_file(name) is not None), "")

    def _tftp(self, client: bytes, datagram: Udp) -> Udp | None:
        """The server's port of a transfer is derived from the client's: nothing here may be random."""
        port = 0x8000 | datagram.source & 0x7FFF
        key = (client, datagram.source)
        if datagram.to == tftp.PORT:
            if key not in self._transfers and len(self._transfers) >= _MAX_TRANSFERS:
                self._transfers.pop(next(iter(self._transfers)))
            transfer = self._transfers[key] = tftp.Transfer(datagram.payload, self.read_file)
            return Udp(port, datagram.source, transfer.first)
        found = self._transfers.get(key)
        if found is None or datagram.to != port:
            return None
        reply = found.take(datagram.payload)
        return None if reply is None else Udp(port, datagram.source, reply)

    # TCP: HTTP

    def _take_segment(self, client: bytes, segment: Segment, now: int) -> None:
        key = (client, segment.source)
        connection = self._connections.get(key)
        if connection is not None and segment.to == http.PORT:
            out = connection.take(segment, now)
        elif segment.flags == SYN and segment.to == http.PORT and self._has_room():
            self._opened += 1
            connection = tcp.Connection(
                segment, self._opened * 1_000_003 & 0xFFFFFFFF, http.serve(self.read_file)
            )
            self._connections[key] = connection
            out = connection.open(now)
        else:
            refusal = tcp.refuse(segment)
            out = [] if refusal is None else [refusal]
        self._send_segments(client, out, now)
        if connection is not None and connection.closed:
            self._connections.pop(key, None)

    def _has_room(self) -> bool:
        return len(self._connections) < _MAX_CONNECTIONS

    def _send_segments(self, client: bytes, segments: list[Segment], now: int) -> None:
        for segment in segments:
            self._send(self._macs[client], TYPE_IPV4, tcp_packet(SERVER, client, segment).pack(), now)

    def wake(self, now: int) -> None:
        """The time of an alarm has come."""
        for key, connection in list(self._connections.items()):
            if connection.deadline is not None and connection.deadline <= now:
                self._send_segments(key[0], connection.expire(now), now)
            if connection.closed:
                del self._connections[key]
        self._ring()

    def _ring(self) -> None:
        deadlines = [one.deadline for one in self._connections.values() if one.deadline is not None]
        if deadlines and self._alarm is not None:
            self._alarm(min(deadlines))

    # Files

    def read_file(self, name: str) -> bytes | None:
        """A file of the folder; None for what is not there, is no file or lies outside."""
        relative = PurePosixPath(name.replace("\\", "/").lstrip("/"))
        try:
            path = (self._folder / relative).resolve()
            if not path.is_relative_to(self._folder) or not path.is_file():
                return None
            return path.read_bytes()
        except (OSError, ValueError):
            return None
