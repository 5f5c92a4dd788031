"""Proves the monitor's calls for NICs: what they refuse, and what an open cable does without a guest."""

from __future__ import annotations

import threading

import pytest

from vmm.errors import HostError, UsageError
from vmm.monitor import Boot, Config, CpuMode, ExitReason, Monitor, NetCounters, Nic, NicModel

MIB = 1 << 20
MAC = bytes.fromhex("000c29010203")
FRAME = MAC + MAC + bytes(50)


def monitor(*nics: Nic) -> Monitor:
    return Monitor(Config(memory=16 * MIB, nics=nics))


def test_numbers_of_nics_are_checked() -> None:
    with monitor(Nic(MAC)) as vm:
        for call in (vm.net_open, vm.net_unplug, vm.net_take, vm.net_counters):
            for nic in (-1, 1):
                with pytest.raises(UsageError, match=f"there is no NIC {nic}: this VM has 1"):
                    call(nic)


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(UsageError, match="6 bytes, not 5"):
        monitor(Nic(MAC[:5]))
    with pytest.raises(UsageError, match="9 NICs: a VM has at most 8"):
        monitor(*[Nic(MAC)] * 9)
    with pytest.raises(HostError, match="NIC 1: 01:00:00:00:00:00 is no unicast address"):
        monitor(Nic(MAC), Nic(b"\x01" + bytes(5)))


def test_frames_before_the_driver_are_lost_and_counted() -> None:
    with monitor(Nic(MAC, NicModel.E82540EM)) as vm:
        assert vm.net_take(0) is None
        vm.net_open(0)
        vm.net_give(0, FRAME)
        assert vm.net_counters(0) == NetCounters(0, 0, 0, 0, 0, 0)
        vm.net_link(0, False)
        vm.net_unplug(0)
        with pytest.raises(HostError, match="giving a NIC a frame"):
            for _ in range(10_000):
                vm.net_give(0, bytes(1514))
        assert vm.net_counters(0).rx_dropped == 1


def test_a_frame_from_another_thread_reaches_a_guest_that_never_pauses() -> None:
    """Nothing else is due on this machine for a long time, so only the frame itself can make it look."""
    with monitor(Nic(MAC)) as vm:
        vm.ram_write(0x100000, b"\xeb\xfe")
        vm.boot(Boot(CpuMode.PROTECTED, 0x100000, {"rsp": 0x9000}, cs=0x10, ds=0x18))
        vm.net_open(0)
        vm.run(until_time=100_000_000)

        def send() -> None:
            vm.net_give(0, FRAME)
            vm.stop()

        timer = threading.Timer(0.05, send)
        timer.start()
        assert vm.run().reason is ExitReason.STOPPED
        timer.join()
        assert vm.net_counters(0).rx_frames == 1


def test_frames_of_no_length_are_refused() -> None:
    with monitor(Nic(MAC)) as vm:
        for length in (0, 13, 16385):
            with pytest.raises(UsageError, match="giving a NIC a frame"):
                vm.net_give(0, bytes(length))


def test_a_closed_vm_says_so() -> None:
    vm = monitor(Nic(MAC))
    vm.close()
    with pytest.raises(HostError, match="closed"):
        vm.net_give(0, FRAME)
