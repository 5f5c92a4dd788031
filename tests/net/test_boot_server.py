"""Proves the boot server: its protocols packet by packet, what a hostile client sends, and a real client."""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import guest_images
from tests import packages as packages_of_tests
from tests.net import linux
from tests.net.test_user import dhcp_discover
from vmm import Machine, Outcome
from vmm.net import boot_server, dhcp, http, packets, tcp, tftp
from vmm.net.boot_server import MAC, SERVER, BootServer
from vmm.net.packets import ACK, FIN, RST, SYN, Arp, Ethernet, Ipv4, Segment, Udp

LONG = os.environ.get("VMM_FUZZ") == "long"
CLIENT_MAC = bytes.fromhex("000c29000001")
CLIENT = bytes((10, 0, 2, 15))


class Cable:
    """A boot server and what it has sent, as packets."""

    def __init__(self, folder: Path, boot_file: str = "") -> None:
        self.sent: list[tuple[Ethernet, int]] = []
        self.alarms: list[int] = []
        self.server = BootServer(folder, self._give, self.alarms.append, boot_file)

    def _give(self, frame: bytes, when: int) -> None:
        read = packets.read_ethernet(frame)
        assert read is not None
        self.sent.append((read, when))

    def send(self, kind: int, payload: bytes, now: int = 0, to: bytes = MAC) -> list[Ethernet]:
        self.sent.clear()
        self.server.take(Ethernet(to, CLIENT_MAC, kind, payload).pack(), now)
        return [frame for frame, _ in self.sent]

    def ip(self, packet: Ipv4, now: int = 0) -> list[Ipv4]:
        out = [packets.read_ipv4(frame.payload) for frame in self.send(packets.TYPE_IPV4, packet.pack(), now)]
        return [packet for packet in out if packet is not None]

    def udp(self, source: int, to: int, payload: bytes) -> Udp | None:
        out = self.ip(packets.udp_packet(CLIENT, SERVER, Udp(source, to, payload)))
        return packets.read_udp(out[0]) if out else None

    def tcp(self, segment: Segment, now: int = 0) -> list[Segment]:
        out = [packets.read_segment(p) for p in self.ip(packets.tcp_packet(CLIENT, SERVER, segment), now)]
        return [segment for segment in out if segment is not None]


@pytest.fixture
def cable(tmp_path: Path) -> Cable:
    (tmp_path / "sub").mkdir()
    (tmp_path / "pxelinux.0").write_bytes(b"pxe" * 1000)
    (tmp_path / "sub" / "file").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty").write_bytes(b"")
    return Cable(tmp_path)


def test_arp_and_ping(cable: Cable) -> None:
    question = Arp(packets.ARP_REQUEST, CLIENT_MAC, CLIENT, bytes(6), SERVER)
    (reply,) = cable.send(packets.TYPE_ARP, question.pack(), to=packets.BROADCAST_MAC)
    answer = packets.read_arp(reply.payload)
    assert answer == Arp(packets.ARP_REPLY, MAC, SERVER, CLIENT_MAC, CLIENT)
    assert not cable.send(packets.TYPE_ARP, question._replace(target_ip=CLIENT).pack())
    echo = b"\x08\0\0\0\0\1\0\2ping"
    echo = echo[:2] + packets.checksum(echo).to_bytes(2, "big") + echo[4:]
    (pong,) = cable.ip(Ipv4(CLIENT, SERVER, packets.ICMP, echo))
    assert pong.payload[:2] == b"\0\0"
    assert pong.payload[4:] == echo[4:]
    assert packets.checksum(pong.payload) == 0


def options(reply: bytes) -> dict[int, bytes]:
    return dhcp._read_options(reply[240:])


def ask(cable: Cable, kind: int, mac: bytes = CLIENT_MAC, **more: bytes) -> bytes | None:
    extra = b"".join(bytes((int(name[1:]), len(value))) + value for name, value in more.items())
    payload = dhcp_discover().replace(bytes.fromhex("000c29000001"), mac)[:-4] + bytes((53, 1, kind)) + extra
    out = cable.ip(packets.udp_packet(packets.NO_IP, packets.BROADCAST_IP, Udp(68, 67, payload + b"\xff")))
    read = packets.read_udp(out[0]) if out else None
    return read.payload if read else None


def test_dhcp_gives_each_client_its_address(cable: Cable) -> None:
    offer = ask(cable, dhcp.DISCOVER)
    assert offer is not None
    assert (offer[16:20], options(offer)[dhcp.TYPE]) == (CLIENT, bytes((dhcp.OFFER,)))
    second = ask(cable, dhcp.DISCOVER, bytes.fromhex("000c29000002"))
    assert second is not None
    assert second[16:20] == CLIENT[:3] + b"\x10"
    ack = ask(cable, dhcp.REQUEST, o50=CLIENT, o54=SERVER)
    assert ack is not None
    assert (ack[16:20], options(ack)[dhcp.TYPE]) == (CLIENT, bytes((dhcp.ACK,)))
    nak = ask(cable, dhcp.REQUEST, o50=b"\1\2\3\4")
    assert nak is not None
    assert options(nak)[dhcp.TYPE] == bytes((dhcp.NAK,))
    assert ask(cable, dhcp.REQUEST, o50=CLIENT, o54=b"\1\2\3\4") is None
    assert ask(cable, 4) is None


def test_boot_files_by_who_asks(cable: Cable, tmp_path: Path) -> None:
    def offered(**more: bytes) -> bytes:
        reply = ask(cable, dhcp.DISCOVER, **more)
        assert reply is not None
        return reply[108:236].rstrip(b"\0")

    assert offered(o60=b"PXEClient:Arch:00000") == b"pxelinux.0"
    (tmp_path / "boot.ipxe").write_bytes(b"#!ipxe\n")
    assert offered() == b"pxelinux.0"
    assert offered(o77=b"iPXE") == b"boot.ipxe"


def test_addresses_run_out_quietly(cable: Cable) -> None:
    for number in range(300):
        ask(cable, dhcp.DISCOVER, bytes((0, 12, 41, 1, *number.to_bytes(2, "big"))))
    assert ask(cable, dhcp.DISCOVER) is None


def tftp_read(cable: Cable, name: bytes, *more: bytes) -> bytes:
    reply = cable.udp(3000, tftp.PORT, struct.pack(">H", tftp.RRQ) + b"\0".join([name, b"octet", *more, b""]))
    data = b""
    while reply is not None:
        code, number = struct.unpack_from(">HH", reply.payload)
        if code == tftp.ERROR:
            raise FileNotFoundError
        if code == tftp.OACK:
            number = 0
        else:
            data += reply.payload[4:]
        acknowledge = struct.pack(">HH", tftp.ACK, number)
        reply = cable.udp(3000, reply.source, acknowledge)
    return data


@pytest.mark.parametrize(
    "more", [(), (b"blksize", b"1000"), (b"tsize", b"0"), (b"blksize", b"65464", b"x", b"y")]
)
def test_tftp(cable: Cable, tmp_path: Path, more: tuple[bytes, ...]) -> None:
    for name in ("sub/file", "/pxelinux.0", "empty"):
        assert tftp_read(cable, name.encode(), *more) == (tmp_path / name.lstrip("/")).read_bytes()


def test_a_full_last_block_is_followed_by_an_empty_one(cable: Cable, tmp_path: Path) -> None:
    (tmp_path / "kilo").write_bytes(b"k" * 1024)
    assert tftp_read(cable, b"kilo") == b"k" * 1024


def test_an_old_acknowledgement_brings_the_block_again(cable: Cable) -> None:
    first = cable.udp(3000, tftp.PORT, struct.pack(">H", tftp.RRQ) + b"sub/file\0octet\0")
    assert first is not None
    second = cable.udp(3000, first.source, struct.pack(">HH", tftp.ACK, 1))
    assert second is not None
    assert second.payload[:4] == struct.pack(">HH", tftp.DATA, 2)
    assert cable.udp(3000, first.source, struct.pack(">HH", tftp.ACK, 1)) == second
    assert cable.udp(3000, first.source, struct.pack(">HH", tftp.ACK, 9)) is None


@pytest.mark.parametrize(
    "name", ["none", "..", "../secret", "/../secret", "sub", "link", "a\0b", "x" * 5000, ""]
)
def test_files_outside_the_folder_are_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    assert Cable(folder).server.read_file(name) is None


class Http:
    """A client's connection that acknowledges what comes; `lost` says which segments do not arrive."""

    def __init__(self, cable: Cable, *, window: int = 8000, port: int = 40000) -> None:
        self.cable, self.window, self.port = cable, window, port
        self.seq, self.now = 0xFFFFFF00, 0  # wraps soon
        (answer,) = self._send(SYN, mss=1000, scale=2)
        assert answer.flags == SYN | ACK
        self.seq += 1
        self.expected = (answer.seq + 1) % 2**32
        self.data = b""
        self.closed = False
        self._send(ACK)

    def _send(self, flags: int, payload: bytes = b"", **more: Any) -> list[Segment]:
        window = min(self.window, 65535) if flags & SYN else self.window >> 2
        seq = self.seq % 2**32
        ack = self.expected if flags & ACK else 0
        return self.cable.tcp(Segment(self.port, 80, seq, ack, flags, window, payload, **more), self.now)

    def request(self, text: str, lost: set[int] = frozenset()) -> bytes:  # type: ignore[assignment]
        self.data = b""
        pending = self._send(ACK, text.encode())
        self.seq += len(text)
        for number in range(10000):
            if not pending:
                if self.closed or not self._wake():
                    break
                pending = [s for s in map(self._segment, self.cable.sent) if s]
                continue
            segment, *pending = pending
            if number in lost:
                continue
            pending += self._take(segment)
        return self.data

    @staticmethod
    def _segment(sent: tuple[Ethernet, int]) -> Segment | None:
        packet = packets.read_ipv4(sent[0].payload)
        return packets.read_segment(packet) if packet else None

    def _wake(self) -> bool:
        if not self.cable.alarms or self.cable.alarms[-1] <= self.now:
            return False
        self.now = self.cable.alarms[-1]
        self.cable.sent.clear()
        self.cable.server.wake(self.now)
        return bool(self.cable.sent)

    def _take(self, segment: Segment) -> list[Segment]:
        if segment.seq == self.expected:
            self.data += segment.payload
            self.expected = (self.expected + len(segment.payload)) % 2**32
            if segment.flags & FIN:
                self.expected = (self.expected + 1) % 2**32
                self.closed = True
                out = self._send(FIN | ACK)
                self.seq += 1
                return out
        return self._send(ACK) if segment.payload else []


def body(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


GET = "GET /{} HTTP/1.1\r\nHost: x\r\n{}\r\n"


@pytest.mark.parametrize("window", [100, 1000, 8000, 262140])
def test_http(cable: Cable, tmp_path: Path, window: int) -> None:
    client = Http(cable, window=window)
    for name in ("sub/file", "empty", "pxelinux.0"):
        response = client.request(GET.format(name, ""))
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body(response) == (tmp_path / name).read_bytes()
    assert client.request(GET.format("none", "")).startswith(b"HTTP/1.1 404")
    assert not client.closed
    last = client.request(GET.format("empty", "Connection: close\r\n"))
    assert last.startswith(b"HTTP/1.1 200")
    assert client.closed
    assert not cable.server._connections


@pytest.mark.parametrize(
    ("given", "code", "part"),
    [("bytes=0-9", 206, (0, 10)), ("bytes=5000-", 206, (5000, 5120)), ("bytes=-5", 206, (5115, 5120)),
     ("bytes=5120-", 416, None), ("bytes=-", 200, (0, 5120)), ("lines=1-2", 200, (0, 5120))],
)  # fmt: skip
def test_http_ranges(cable: Cable, given: str, code: int, part: tuple[int, int] | None) -> None:
    response = Http(cable).request(GET.format("sub/file", f"Range: {given}\r\n"))
    assert response.startswith(f"HTTP/1.1 {code} ".encode())
    if part:
        assert body(response) == (bytes(range(256)) * 20)[slice(*part)]


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("HEAD /sub/file HTTP/1.1\r\n\r\n", 200),
        ("GET http://10.0.2.2/sub/file?x HTTP/1.0\r\n\r\n", 200),
        ("PUT /x HTTP/1.1\r\n\r\n", 405),
        ("GET /x\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
        ("GET /" + "x" * 20000, 431),
    ],
)
def test_http_requests_of_all_kinds(cable: Cable, request_text: str, code: int) -> None:
    assert Http(cable).request(request_text).startswith(f"HTTP/1.1 {code} ".encode())


@settings(max_examples=60, deadline=None)
@given(lost=st.sets(st.integers(0, 60), max_size=25), window=st.sampled_from([1500, 8000, 100000]))
def test_lost_segments_come_again(
    tmp_path_factory: pytest.TempPathFactory, lost: set[int], window: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "lost"
    folder.mkdir(exist_ok=True)
    data = hashlib.shake_128(b"data").digest(30000)
    (folder / "file").write_bytes(data)
    client = Http(Cable(folder), window=window)
    response = client.request(GET.format("file", "Connection: close\r\n"), lost)
    assert body(response) == data
    assert client.closed


def test_a_client_that_vanished_is_forgotten(cable: Cable) -> None:
    client = Http(cable)
    client._send(ACK, GET.format("sub/file", "").encode())
    for _ in range(tcp.MAX_TRIES + 2):
        client._wake()
    assert not cable.server._connections


def test_a_port_nobody_listens_on_is_refused(cable: Cable) -> None:
    (refusal,) = cable.tcp(Segment(1, 81, 100, 0, SYN, 1000))
    assert (refusal.flags, refusal.ack) == (RST | ACK, 101)
    (refusal,) = cable.tcp(Segment(1, 80, 100, 7, ACK, 1000))
    assert (refusal.flags, refusal.seq) == (RST, 7)
    assert not cable.tcp(Segment(1, 80, 100, 7, RST, 1000))


def test_connections_are_bounded(cable: Cable) -> None:
    for port in range(1, 200):
        cable.tcp(Segment(port, 80, 0, 0, SYN, 1000))
    assert len(cable.server._connections) == boot_server._MAX_CONNECTIONS


def test_frames_follow_each_other_at_line_speed(cable: Cable) -> None:
    client = Http(cable, window=262140)
    client._send(ACK, GET.format("sub/file", "").encode())
    times = [when for _, when in cable.sent]
    sizes = [len(frame.pack()) for frame, _ in cable.sent]
    assert len(times) > 3
    assert [after - before for before, after in itertools.pairwise(times)] == [8 * size for size in sizes[1:]]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nothing_a_client_sends_is_an_accident(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    cable = Cable(tmp_path_factory.getbasetemp())
    draw = data.draw
    for _ in range(draw(st.integers(1, 4))):
        junk = draw(st.binary(max_size=400))
        kind = draw(st.sampled_from(["frame", "arp", "ip", "udp", "dhcp", "tftp", "tcp", "http"]))
        if kind == "frame":
            cable.server.take(junk, 0)
        elif kind == "arp":
            cable.send(packets.TYPE_ARP, junk)
        elif kind == "ip":
            cable.send(packets.TYPE_IPV4, b"\x45" + junk)
        elif kind == "tcp":
            flags, number = draw(st.integers(0, 255)), draw(st.integers(0, 2**32 - 1))
            cable.tcp(Segment(draw(st.integers(1, 2)), 80, number, number, flags, len(junk), junk))
        elif kind == "http":
            cable.tcp(Segment(1, 80, 0, 0, SYN, 1000))
            cable.tcp(Segment(1, 80, 1, (1_000_003 + 1), ACK, 1000, junk + b"\r\n\r\n"))
        else:
            port = {"dhcp": 67, "tftp": 69, "udp": draw(st.integers(0, 65535))}[kind]
            prefix = dhcp_discover()[:240] if kind == "dhcp" else b"\0\1" if kind == "tftp" else b""
            cable.udp(draw(st.sampled_from([1, 3000])), port, prefix + junk)


COMMANDS = (
    linux.DHCP
    + "tftp -g -l /tmp/a -r file 10.0.2.2; wget -q -O /tmp/b http://10.0.2.2/file; sha256sum /tmp/[ab]\n"
)


def fetch(folder: Path) -> tuple[object, ...]:
    line = "loss=2%,corrupt=1%,delay=100us,seed=5"
    with Machine(**linux.guest(COMMANDS), nics=[f"boot:{folder},{line}"]) as vm:
        vm.run(timeout=60).require(Outcome.POWEROFF)
        digest = hashlib.sha256((folder / "file").read_bytes()).hexdigest()
        assert vm.serial.text.count(digest) == 2, vm.serial.text
        return vm.stats.instructions, vm.state_sha256, vm.serial.log.sha256


def test_linux_on_a_bad_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(hashlib.shake_128(b"x").digest(300_000))
    first = fetch(tmp_path)
    if LONG:
        assert fetch(tmp_path) == first


def u_boot(folder: Path, nic: str) -> tuple[object, ...]:
    """U-Boot loads `file` by TFTP; what two runs share."""
    data = hashlib.shake_128(b"u-boot").digest(100_000)
    (folder / "file").write_bytes(data)
    guest = guest_images.find("u-boot")
    with Machine(guest.path, **guest.kwargs, nics=[f"boot:{folder},{nic}"]) as vm:
        vm.run(until="Hit any key", timeout=60).require()
        for command in ("", "setenv autoload no; dhcp", "tftpboot 1000000 file", "crc32 1000000 $filesize"):
            vm.serial.send(f"{command}\n")
            vm.run(until="=> $", timeout=300).require()
        assert "DHCP client bound to address 10.0.2.15" in vm.serial.text
        assert f"==> {zlib.crc32(data):08x}" in vm.serial.text
        return vm.stats.instructions, vm.state_sha256, vm.serial.text, vm.nic_counters


@pytest.mark.parametrize("model", ["82545em", "82540em"])
def test_u_boot_loads_a_file(tmp_path: Path, model: str) -> None:
    u_boot(tmp_path, f"model={model}")


def test_u_boot_on_a_slow_line_twice_the_same(tmp_path: Path) -> None:
    first = u_boot(tmp_path, "delay=100us")
    assert u_boot(tmp_path, "delay=100us") == first
    assert u_boot(tmp_path, "delay=101us") != first


def pxe(folder: Path, model: str, script: str) -> tuple[str, tuple[object, ...]]:
    """SeaBIOS runs iPXE from a NIC's ROM, which runs `script`, to its guest's power-off; what the guest said,
    and what two runs share."""
    (folder / "boot.ipxe").write_text(f"#!ipxe\n{script}")
    rom = packages_of_tests.require("ipxe-qemu", "usr/lib/ipxe/qemu/pxe-e1000.rom")
    bios = packages_of_tests.require("seabios", "usr/share/seabios/bios.bin")
    with Machine(bios, memory="256M", nics=[f"boot:{folder},model={model},rom={rom}"]) as vm:
        vm.run(timeout=60).require(Outcome.POWEROFF)
        return vm.serial.text, (vm.stats.instructions, vm.state_sha256)


def test_ipxe_boots_over_http(tmp_path: Path, guests: Path) -> None:
    (tmp_path / "kernel").write_bytes((guests / "boot" / "bzimage.bin").read_bytes())
    script = "kernel http://10.0.2.2/kernel from=ipxe\nboot\n"
    said, first = pxe(tmp_path, "82545em", script)
    assert "hello from bzImage" in said
    assert 'cmdline "from=ipxe"' in said
    assert pxe(tmp_path, "82545em", script)[1] == first


if LONG:

    @pytest.mark.parametrize("model", ["82545em", "82540em"])
    def test_ipxe_boots_debian_over_http(tmp_path: Path, model: str) -> None:
        (tmp_path / "vmlinuz").write_bytes(linux.kernel().read_bytes())
        (tmp_path / "initrd.gz").write_bytes(linux.initrd("cat /proc/cmdline\n").read_bytes())
        base = "http://10.0.2.2"
        script = f"kernel {base}/vmlinuz console=ttyS0 from=ipxe\ninitrd {base}/initrd.gz\nboot\n"
        assert "from=ipxe" in pxe(tmp_path, model, script)[0]


def test_the_length_of_a_head_is_bounded() -> None:
    answer, used, close = http.serve(lambda _: None)(b"x" * 20000)
    assert (answer or b"").startswith(b"HTTP/1.1 431")
    assert (used, close) == (20000, True)
