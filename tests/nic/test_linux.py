"""Proves the 8254x under a real driver: Debian's generic kernel with its own e1000.ko gets an address, pings,
sends and receives in bulk, sees its cable pulled, and does all of it the same in every run."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache

import pytest

from tests.nic import guest
from tests.nic.peer import BULK_PORT, Peer, bulk
from vmm.monitor import NicModel

UP = "ip link set eth0 up\n"
ADDRESS = f"{UP}ip addr add 10.0.2.15/24 dev eth0\n"
DHCP = f"{UP}udhcpc -i eth0 -n -q -f\nip addr add 10.0.2.15/24 dev eth0\n"
PING = "ping -c 3 -s 1400 10.0.2.2\n"
SEND = "seq 1 300000 >/tmp/sent\nsha256sum /tmp/sent\nnc 10.0.2.2 9 </tmp/sent\n"
RECEIVE = f"nc 10.0.2.2 {BULK_PORT} >/tmp/got\nsha256sum /tmp/got\n"
INTERRUPTS = "grep eth /proc/interrupts\n"
SENT = "".join(f"{number}\n" for number in range(1, 300001)).encode()
LONG = os.environ.get("VMM_FUZZ") == "long"
ROUTINGS = ("noapic", "pci=nomsi", "acpi=off", "acpi=off noapic") if LONG else ("acpi=off noapic",)


def _transfer(model: NicModel) -> tuple[guest.Ended, Peer]:
    peer = Peer()
    return guest.run(DHCP + PING + SEND + RECEIVE + INTERRUPTS, [peer], model=model), peer


first_transfer = cache(_transfer)


@pytest.mark.parametrize("model", list(NicModel))
def test_address_ping_and_bulk(model: NicModel) -> None:
    end, peer = first_transfer(model)
    assert "NIC Link is Up 1000 Mbps Full Duplex" in end.said
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in end.said
    assert "3 packets transmitted, 3 packets received" in end.said
    # This driver asks for no messages, so the interrupt is a line.
    assert re.search(r"11: +\d+ +IO-APIC +11-fasteoi +eth0", end.said)
    assert (peer.wrong, peer.leased, peer.pings) == ([], True, 3)
    assert peer.digests == [hashlib.sha256(SENT).hexdigest()]
    assert peer.longest == 1514
    assert peer.burst > 10  # the driver left segmentation to the chip
    assert f"{hashlib.sha256(bulk()).hexdigest()}  /tmp/got" in end.said


def test_runs_are_equal() -> None:
    assert _transfer(NicModel.E82545EM)[0] == first_transfer(NicModel.E82545EM)[0]


@pytest.mark.parametrize("options", ROUTINGS)
def test_interrupts_come_however_they_are_routed(options: str) -> None:
    peer = Peer()
    end = guest.run(f"{ADDRESS}{PING}{INTERRUPTS}", [peer], append=options)
    assert peer.pings == 3
    line = re.search(r"11: +(\d+) +(IO-APIC|XT-PIC)", end.said)
    assert line is not None
    assert int(line[1]) > 0
    assert (line[2] == "XT-PIC") == ("noapic" in options)


def test_tags_and_jumbo_frames() -> None:
    peer = Peer(tag=5)
    commands = (
        f"{UP}ip link set eth0 mtu 9000\nip link add link eth0 name eth0.5 type vlan id 5\n"
        "ip link set eth0.5 up\nip addr add 10.0.2.15/24 dev eth0.5\nping -c 3 -s 8900 10.0.2.2\n"
    )
    end = guest.run(commands, [peer], drivers=(*guest.VLAN, *guest.E1000))
    assert "3 packets transmitted, 3 packets received" in end.said
    assert (peer.wrong, peer.pings) == ([], 3)
    assert peer.longest > 8900


def test_a_pulled_cable_and_a_second_adapter() -> None:
    peers = [Peer(), Peer()]
    commands = (
        f"{ADDRESS}ping -c 1 10.0.2.2\necho PULL\nsleep 5\ncat /sys/class/net/eth0/carrier\necho PLUG\n"
        "sleep 5\ncat /sys/class/net/eth0/carrier\nping -c 1 10.0.2.2\nip link set eth0 down\n"
        f"ip link set eth1 up\nip addr add 10.0.2.15/24 dev eth1\nping -c 1 10.0.2.2\n{INTERRUPTS}"
    )
    end = guest.run(commands, peers, cable={"PULL\r\n": False, "PLUG\r\n": True})
    assert re.search(r"PULL.*NIC Link is Down.*\n0\r\n.*PLUG.*NIC Link is Up.*\n1\r\n", end.said, re.DOTALL)
    assert [peer.pings for peer in peers] == [2, 1]
    assert re.search(r"11: +[1-9]\d* +IO-APIC +11-fasteoi +eth1", end.said)
