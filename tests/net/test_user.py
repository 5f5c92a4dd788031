"""Proves the user-mode network at the level of frames: DHCP, TCP out, forwarded ports; its refusals."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.net.test_wires import WAIT
from vmm.errors import UsageError, VmmError
from vmm.monitor.cables import SwitchHandle, SwitchJack, plug_python
from vmm.net import dhcp, packets, slirp, tcp
from vmm.net.packets import ACK, FIN, SYN, Ethernet, Segment, Udp

GUEST_MAC = bytes.fromhex("000c29000001")
GUEST = bytes(slirp.GUEST.packed)
GATEWAY = bytes(slirp.GATEWAY.packed)


class Guest:
    """A hand-made guest on a switch with a user-mode network."""

    def __init__(self, *forwards: str) -> None:
        self.switch = SwitchHandle(0)
        self.jack = SwitchJack(self.switch)
        self.frames: queue.Queue[Ethernet] = queue.Queue()
        plug_python(self.jack, self._on_frame)
        self.net = SwitchJack(self.switch)
        slirp.plug_user_network(self.net, tuple(map(slirp.parse_forward, forwards)))
        self.gateway_mac = packets.BROADCAST_MAC

    def _on_frame(self, data: bytes, _when: int) -> None:
        frame = packets.read_ethernet(data)
        assert frame is not None
        self.frames.put(frame)

    def close(self) -> None:
        self.switch.remove(self.net.port)
        self.switch.close()

    def send(self, packet: packets.Ipv4) -> None:
        self.jack.give(Ethernet(self.gateway_mac, GUEST_MAC, packets.TYPE_IPV4, packet.pack()).pack(), 0)

    def receive(self, want: Callable[[packets.Ipv4], object]) -> object:
        """What `want` makes of the first packet of which it makes anything; ARP is answered on the way."""
        while True:
            frame = self.frames.get(timeout=WAIT)
            if frame.kind == packets.TYPE_ARP:
                self._answer_arp(frame)
            elif (packet := packets.read_ipv4(frame.payload)) is not None and (found := want(packet)):
                self.gateway_mac = frame.source
                return found

    def _answer_arp(self, frame: Ethernet) -> None:
        question = packets.read_arp(frame.payload)
        if question is not None and question.target_ip == GUEST:
            reply = packets.Arp(packets.ARP_REPLY, GUEST_MAC, GUEST, question.sender_mac, question.sender_ip)
            self.jack.give(Ethernet(frame.source, GUEST_MAC, packets.TYPE_ARP, reply.pack()).pack(), 0)


@pytest.fixture
def guest() -> Iterator[Guest]:
    one = Guest()
    yield one
    one.close()


def dhcp_discover() -> bytes:
    fixed = bytes((1, 1, 6, 0)) + b"\1\2\3\4" + bytes(20) + GUEST_MAC + bytes(10 + 64 + 128)
    return fixed + b"\x63\x82\x53\x63" + bytes((53, 1, dhcp.DISCOVER, 255))


def test_dhcp_answers_while_the_send_lasts(guest: Guest) -> None:
    guest.send(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, dhcp_discover())))
    frame = guest.frames.get_nowait()
    packet = packets.read_ipv4(frame.payload)
    assert packet is not None
    datagram = packets.read_udp(packet)
    assert datagram is not None
    assert (datagram.source, datagram.to) == (67, 68)
    assert datagram.payload[16:20] == GUEST


def test_tcp_to_the_host_and_back(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        echo = threading.Thread(target=_echo_once, args=(server,))
        echo.start()

        def send(flags: int, seq: int, ack: int = 0, payload: bytes = b"") -> None:
            segment = Segment(40000, port, seq, ack, flags, 65000, payload)
            guest.send(packets.tcp_packet(GUEST, GATEWAY, segment))

        def segment_of(packet: packets.Ipv4) -> Segment | None:
            return packets.read_segment(packet) if packet.protocol == packets.TCP else None

        guest.send(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, dhcp_discover())))
        send(SYN, 1000)
        answer = guest.receive(segment_of)
        assert isinstance(answer, Segment)
        assert answer.flags == SYN | ACK
        send(ACK, 1001, answer.seq + 1)
        send(ACK, 1001, answer.seq + 1, b"hello")
        echoed = guest.receive(lambda packet: (s := segment_of(packet)) and s.payload)
        assert echoed == b"HELLO"
        send(FIN | ACK, 1006, answer.seq + 6)
        echo.join(WAIT)
        assert not echo.is_alive()


def test_frames_of_both_directions_at_once_do_not_wait_for_each_other(guest: Guest) -> None:
    """The switch's lock and the library's are met in either order."""
    with socket.socket(type=socket.SOCK_DGRAM) as host:
        host.bind(("127.0.0.1", 0))
        echo = threading.Thread(target=_echo_datagrams, args=(host,), daemon=True)
        echo.start()
        question = packets.udp_packet(GUEST, GATEWAY, Udp(7000, host.getsockname()[1], b"hello"))
        guest.send(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, dhcp_discover())))

        def ask() -> None:
            for _ in range(3000):
                guest.send(question)

        sender = threading.Thread(target=ask, daemon=True)
        sender.start()
        sender.join(WAIT)
        assert not sender.is_alive()
        answer = guest.receive(lambda packet: (d := packets.read_udp(packet)) and d.to == 7000 and d.payload)
        assert answer == b"HELLO"
        host.sendto(b"", host.getsockname())
        echo.join(WAIT)


def _echo_datagrams(host: socket.socket) -> None:
    """Until an empty one comes."""
    while True:
        data, source = host.recvfrom(100)
        if not data:
            return
        host.sendto(data.upper(), source)


def _echo_once(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.sendall(client.recv(100).upper())
        client.recv(100)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_forwarded_ports_lead_to_the_guest(kind: str) -> None:
    with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    guest = Guest(f"{kind}:{port}:7")
    # The network asks by ARP for whoever never said a word.
    guest.send(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, dhcp_discover())))
    if kind == "udp":
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", ("127.0.0.1", port))
            want = lambda packet: (d := packets.read_udp(packet)) and d.to == 7 and d.payload  # noqa: E731
            assert guest.receive(want) == b"hello"
    else:
        with socket.create_connection(("127.0.0.1", port)):
            syn = guest.receive(lambda p: packets.read_segment(p) if p.protocol == packets.TCP else None)
            assert isinstance(syn, Segment)
            assert (syn.flags, syn.to) == (SYN, 7)
            refusal = tcp.refuse(syn)
            assert refusal is not None
            guest.send(packets.tcp_packet(GUEST, GATEWAY, refusal))
    guest.close()


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(VmmError, match=f"TCP port {port} of the host: Address already in use"):
            Guest(f"tcp:{port}:7")


@pytest.mark.parametrize(
    "text",
    ["", "tcp", "tcp:1", "sctp:1:2", "tcp:0:1", "tcp:1:65536", "tcp:1.2.3.999:1:2", "tcp:a:1", "tcp:1:2:3"],
)
def test_forwards_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="forward"):
        slirp.parse_forward(text)


def test_garbage_from_the_guest_harms_nobody(guest: Guest) -> None:
    for size in (14, 15, 20, 33, 34, 60, 1514):
        for kind in (b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\xff\xff"):
            guest.jack.give(
                packets.BROADCAST_MAC + GUEST_MAC + kind + bytes(range(256)) * 6
                if size > 60
                else packets.BROADCAST_MAC + GUEST_MAC + kind + b"\x45" * (size - 14),
                0,
            )
    guest.send(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, dhcp_discover())))
    assert guest.receive(packets.read_udp)
