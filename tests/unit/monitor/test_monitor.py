"""Proves the monitor's handle: its life, its checks, and that C's codes come out as exceptions."""

from __future__ import annotations

import threading

import pytest

from vmm.errors import EngineMismatch, HostError, UsageError
from vmm.monitor import Boot, Channel, Config, CpuMode, ExitReason, Monitor
from vmm.monitor.check import InboxFull, MonitorBug, creation_failure, failure
from vmm.monitor.library import lib

MIB = 1 << 20
CODE = 0x100000
HALT = b"\xfa\xf4"
SPIN = b"\xeb\xfe"


@pytest.fixture
def vm() -> Monitor:
    return Monitor(Config(memory=16 * MIB))


def boot(vm: Monitor, code: bytes) -> None:
    vm.ram_write(CODE, code)
    vm.boot(Boot(CpuMode.PROTECTED, CODE, {"rsp": 0x9000}, cs=0x10, ds=0x18))


def test_close_twice_is_nothing(vm: Monitor) -> None:
    vm.close()
    vm.close()
    assert vm.closed


def test_closed_vm_says_so(vm: Monitor) -> None:
    vm.close()
    for call in (vm.now, vm.registers, vm.stats, vm.sites, vm.save_state, lambda: vm.post_keys(b"\x1c")):
        with pytest.raises(HostError, match="closed"):
            call()
    vm.stop()


def test_memory_comes_back_and_nothing_is_written_outside(vm: Monitor) -> None:
    with vm:
        vm.ram_write(0x1FF0, b"0123456789abcdefXYZ")
        assert vm.ram_read(0x1FF0, 19) == b"0123456789abcdefXYZ"
        assert vm.ram_read(0x1000, 0) == b""
        for address, length in (
            (16 * MIB, 1),
            (16 * MIB - 1, 2),
            (0xA0000, 4),
            (2**64 - 1, 1),
            (0, 32 * MIB),
        ):
            with pytest.raises(UsageError, match="guest memory"):
                vm.ram_read(address, length)
        for address, length in ((-1, 1), (0, -1), (2**64, 1)):
            with pytest.raises(UsageError, match="64-bit address space"):
                vm.ram_read(address, length)


def test_halted_guest_ends_the_run(vm: Monitor) -> None:
    with vm:
        boot(vm, HALT)
        assert vm.run().reason is ExitReason.HALTED
        registers = vm.registers()
        assert (registers.rip, registers.bits, registers.state) == (CODE + 2, 32, "halted")
        assert vm.stats().instructions == vm.instructions() == registers.instructions
        assert vm.linear_read(0, CODE, 2) == HALT


def test_time_and_instructions_end_the_run(vm: Monitor) -> None:
    with vm:
        boot(vm, SPIN)
        assert vm.run(until_time=100_000).reason is ExitReason.TIME
        assert vm.now() >= 100_000
        done = vm.instructions()
        assert vm.run(until_instructions=done + 5000).reason is ExitReason.INSTRUCTIONS
        assert vm.instructions() >= done + 5000


def test_stop_from_another_thread(vm: Monitor) -> None:
    with vm:
        boot(vm, SPIN)
        timer = threading.Timer(0.05, vm.stop)
        timer.start()
        assert vm.run().reason is ExitReason.STOPPED
        timer.join()


def test_output_is_taken_once(vm: Monitor) -> None:
    with vm:
        boot(vm, b"\xb0\x41\xe6\xe9" + HALT)  # mov al, 'A'; out 0xe9, al
        vm.run()
        assert vm.output(Channel.DEBUGCON) == b"A"
        assert vm.output(Channel.DEBUGCON) == b""


def test_full_inbox_is_told_apart(vm: Monitor) -> None:
    with vm, pytest.raises(InboxFull):
        for _ in range(10_000):
            vm.post_serial(Channel.COM1, b"x", 1 << 40)


def test_cpu_that_is_not_there(vm: Monitor) -> None:
    with vm, pytest.raises(UsageError, match="no CPU 1"):
        vm.registers(1)


def test_state_of_equal_vms_is_equal() -> None:
    def state() -> bytes:
        with Monitor(Config(memory=16 * MIB)) as vm:
            boot(vm, HALT)
            vm.run()
            return vm.save_state()

    assert state() == state()


def test_vm_that_cannot_be_made_gives_its_reason() -> None:
    with pytest.raises(HostError, match="65 CPUs"):
        Monitor(Config(memory=16 * MIB, cpus=65))


def test_engine_of_another_version_is_told_apart() -> None:
    assert isinstance(creation_failure("Unicorn 2.1.4 has rip elsewhere"), EngineMismatch)
    assert not isinstance(creation_failure("no memory for the board"), EngineMismatch)


def test_every_code_of_the_header_has_its_exception() -> None:
    codes = [getattr(lib, name) for name in dir(lib) if name.startswith("VMK_E") and getattr(lib, name) != 0]
    negative = [code for code in codes if isinstance(code, int) and code < 0]
    assert len(negative) == 7
    assert [type(failure(code, "why", "doing")) is MonitorBug for code in sorted(negative, reverse=True)] == [
        *[False] * 6,
        True,
    ]
    assert str(failure(-2, "two\nlines", "doing")) == r"doing: two\nlines"
