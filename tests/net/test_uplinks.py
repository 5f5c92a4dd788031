"""Proves what a switch of this process can be joined to: a boot server for several machines, the user-mode
network, a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.net import linux
from tests.net.test_user import GUEST, GUEST_MAC, dhcp_discover
from tests.net.test_wires import WAIT
from vmm import Machine, Outcome, Switch, run_together
from vmm.errors import UsageError
from vmm.monitor.cables import SwitchJack, plug_python
from vmm.net.packets import BROADCAST_IP, BROADCAST_MAC, NO_IP, TYPE_IPV4, Ethernet, Udp, udp_packet


def test_two_machines_boot_from_one_server(tmp_path: Path, guests: Path) -> None:
    def boot() -> list[object]:
        rom = packages.require("ipxe-qemu", "usr/lib/ipxe/qemu/pxe-e1000.rom").read_bytes()
        bios = packages.require("seabios", "usr/share/seabios/bios.bin")
        with Switch("lab") as lab:
            lab.uplink(f"boot:{tmp_path}")
            with (
                Machine(bios, memory="256M", nics=[lab.nic(rom=rom)]) as one,
                Machine(bios, memory="256M", nics=[lab.nic(rom=rom)]) as other,
            ):
                ends = run_together([one, other], timeout=60)
                assert [end.outcome for end in ends] == [Outcome.POWEROFF] * 2
                assert 'cmdline "at=10.0.2.15"' in one.serial.text
                assert 'cmdline "at=10.0.2.16"' in other.serial.text
                return [(vm.stats.instructions, vm.state_sha256) for vm in (one, other)]

    (tmp_path / "kernel").write_bytes((guests / "boot" / "bzimage.bin").read_bytes())
    (tmp_path / "boot.ipxe").write_text("#!ipxe\nkernel http://10.0.2.2/kernel at=${ip}\nboot\n")
    assert boot() == boot()


def test_the_user_network_behind_a_switch() -> None:
    with Switch("lab", latency=0, portgroups={"Production": 10}) as lab:
        frames: list[bytes] = []
        for vlan in (0, 10):
            plug_python(jack := SwitchJack(lab.handle, vlan), lambda data, _: frames.append(data))
            lab.uplink("user", "VM Network") if not vlan else None
            discover = udp_packet(NO_IP, BROADCAST_IP, Udp(68, 67, dhcp_discover())).pack()
            jack.give(Ethernet(BROADCAST_MAC, GUEST_MAC, TYPE_IPV4, discover).pack(), 0)
        assert lab.is_outside
        assert lab.nic().is_outside
        assert len(frames) == 1
        assert GUEST in frames[0]


def test_a_guest_behind_a_switch_reaches_the_user_network() -> None:
    with Switch("lab") as lab:
        lab.uplink("user")
        with Machine(**linux.guest(linux.DHCP + "ping -c 1 -W 5 10.0.2.2\n"), nics=[lab.nic()]) as vm:
            vm.run(timeout=WAIT).require(Outcome.POWEROFF)
            assert "1 packets received" in vm.serial.text


def test_uplinks_that_are_none(tmp_path: Path) -> None:
    with Switch("lab") as lab:
        for text, complaint in (
            ("switch:other", "cannot be switch"),
            ("none", "cannot be none"),
            (f"boot:{tmp_path},pcap=x", "a NIC's"),
            (f"boot:{tmp_path}/none", "not a folder"),
        ):
            with pytest.raises(UsageError, match=complaint):
                lab.uplink(text)
