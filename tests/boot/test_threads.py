"""Proves a host thread per CPU: nothing is lost between CPUs that really run at the same time, whoever stops
them from outside, and Linux boots and powers off. VMM_FUZZ=long repeats it all often."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.boot.command import vmm_run
from tests.guests_build import guest
from tests.machine.program import ECHO, IDLE, SPIN, program
from tests.net import linux
from tests.net.test_guests import http_server
from vmm import Machine, Outcome
from vmm.machine.trace import TRACE_NAMES
from vmm.monitor import TraceEvent

LONG = os.environ.get("VMM_FUZZ") == "long"
BOOTS = 20 if LONG else 1
ROUNDS = 20 if LONG else 2
WALL_SECONDS = 120
"""Many times what a boot takes, as other tests run beside this one."""
ALL_PASSED = 0x10
ON_SEVERAL = {"cross_cpu_code": 2, "lock_counters": 4, "pte_race": 2, "shared_page": 4, "split_locks": 4}
ON_ONE = (
    "exceptions",
    "mode_switch",
    "page_cross",
    "rep_strings",
    "smc_alias",
    "smc_dualmap",
    "smc_same_block",
)


def machine(name: str, cpus: int, **options: object) -> Machine:
    return Machine(
        guest(f"sbe/{name}.elf", short=not LONG), memory="64M", cpus=cpus, smp="threads", time="real",
        debug_exit=0xF4, append=f"cpus={cpus}", **options,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize(("name", "cpus"), [*ON_SEVERAL.items(), *((name, 2) for name in ON_ONE)])
def test_every_case_is_ok(name: str, cpus: int, number: int) -> None:
    sbe = ("adaptive", "full", "off")[number % 3]
    with machine(name, cpus, sbe=sbe) as vm:
        result = vm.run(timeout=WALL_SECONDS)
        assert result.exit_value == ALL_PASSED, vm.serial.text


@pytest.mark.parametrize("name", ON_SEVERAL)
def test_stops_from_another_thread_lose_nothing(name: str) -> None:
    """Stopped as often as a thread can ask for it, and resumed each time."""
    over = threading.Event()
    stops = 0
    with machine(name, ON_SEVERAL[name]) as vm:

        def keep_stopping() -> None:
            while not over.is_set():
                vm.stop()

        vm.stop()
        stopper = threading.Thread(target=keep_stopping)
        stopper.start()
        try:
            while (result := vm.run(timeout=WALL_SECONDS)).outcome is Outcome.STOPPED:
                stops += 1
                assert vm.registers["rip"]
        finally:
            over.set()
            stopper.join()
        assert result.exit_value == ALL_PASSED, vm.serial.text
    assert stops


def test_pauses_at_counted_instructions() -> None:
    with machine("lock_counters", 2) as vm:
        while (result := vm.run(instructions=10_000)).outcome is Outcome.INSTRUCTIONS:
            assert result.instructions >= 10_000
        assert result.exit_value == ALL_PASSED, vm.serial.text


def test_trace_is_in_order_and_names_every_cpu() -> None:
    events: list[TraceEvent] = []
    with machine("lock_counters", 2, trace=TRACE_NAMES) as vm:
        vm.on_trace = events.append
        assert vm.run(timeout=WALL_SECONDS).exit_value == ALL_PASSED
    assert {event.cpu for event in events} == {0, 1}
    times = [event.time for event in events]
    assert times == sorted(times)


def test_counts_of_all_cpus_are_summed() -> None:
    with machine("lock_counters", 2) as vm:
        result = vm.run(timeout=WALL_SECONDS)
        each = [vm.monitor.registers(cpu).instructions for cpu in range(2)]
        assert all(each)
        assert sum(each) == result.instructions == vm.stats.instructions


def test_machines_that_are_closed_in_the_middle() -> None:
    for _ in range(20):
        with machine("cross_cpu_code", 2) as vm:
            vm.run(instructions=50_000)


def small(folder: Path, code: str) -> Machine:
    return Machine(
        program(folder, code), memory="16M", protocol="flat", cpus=2, smp="threads", time="real"
    )  # fmt: skip


@pytest.mark.parametrize("code", [SPIN, IDLE])
def test_stop_reaches_a_busy_and_an_idle_guest(tmp_path: Path, code: str) -> None:
    with small(tmp_path, code) as vm:
        timer = threading.Timer(0.05, vm.stop)
        timer.start()
        assert vm.run(timeout=1000).outcome is Outcome.STOPPED
        timer.join()
        assert vm.run(timeout=0.01).outcome is Outcome.TIMEOUT


def test_input_from_many_threads_arrives(tmp_path: Path) -> None:
    with small(tmp_path, ECHO) as vm:
        senders = [threading.Thread(target=vm.serial.send, args=[f"{number}" * 500]) for number in range(4)]
        for sender in senders:
            sender.start()
        while sum(map(vm.serial.text.count, "0123")) < 4 * 500:
            assert vm.run(until="[0-3]", timeout=WALL_SECONDS).outcome is Outcome.UNTIL
        for sender in senders:
            sender.join()
        assert [vm.serial.text.count(char) for char in "0123"] == [500] * 4


@pytest.mark.parametrize(
    ("code", "outcome", "cause"),
    [
        ("mov al, 0xfe; out 0x64, al; spin: jmp spin", Outcome.RESET, ""),
        ("cli; hlt", Outcome.DIED, "halt"),
        ("lidt [0x7000]; int3", Outcome.DIED, "triple fault"),
    ],
)
def test_ends_of_a_guest(tmp_path: Path, code: str, outcome: Outcome, cause: str) -> None:
    with small(tmp_path, code) as vm:
        result = vm.run(timeout=WALL_SECONDS)
        assert result.outcome is outcome
        assert cause in str(result.diagnosis.cause if result.diagnosis else "").lower()


@pytest.mark.parametrize("number", range(BOOTS))
@pytest.mark.parametrize("cpus", [2, 4])
def test_linux_boots_and_powers_off(cpus: int, number: int, tmp_path: Path) -> None:
    initrd = initramfs.marker_initramfs("poweroff", commands="echo cpus $(nproc)\n")
    options = ("--time", "real", "--smp", "threads", "--cpus", str(cpus), "--timeout", str(WALL_SECONDS))
    end = vmm_run(*cloud_kernel.command(initrd), *options, report=tmp_path / f"{number}.json")
    assert end.code == 0, end.serial[-2000:] + end.said
    assert end.report["outcome"] == "poweroff"
    assert f"cpus {cpus}" in end.serial


TAKE_AWAY = "echo 0 > {cpu}/online; echo off $(nproc); echo 1 > {cpu}/online; echo on $(nproc)\n"


def test_a_cpu_goes_and_comes_back_and_all_answer_an_nmi() -> None:
    again = TAKE_AWAY.format(cpu="/sys/devices/system/cpu/cpu1")
    initrd = initramfs.marker_initramfs("poweroff", commands=again * 3 + "echo l > /proc/sysrq-trigger\n")
    options = ("--time", "real", "--smp", "threads", "--cpus", "2", "--timeout", str(WALL_SECONDS))
    end = vmm_run(*cloud_kernel.command(initrd), *options)
    assert end.code == 0, end.serial[-2000:] + end.said
    counts = [line for line in end.serial.splitlines() if line.startswith(("off ", "on "))]
    assert counts == ["off 1", "on 2"] * 3
    assert {cpu for cpu in range(2) if f"NMI backtrace for cpu {cpu}" in end.serial} == {0, 1}


def test_linux_reboots() -> None:
    initrd = initramfs.marker_initramfs(commands="reboot -f\n")
    options = ("--time", "real", "--smp", "threads", "--cpus", "2", "--timeout", str(WALL_SECONDS))
    end = vmm_run(*cloud_kernel.command(initrd), *options)
    assert "reset" in end.said


def test_two_downloads_at_once() -> None:
    """A NIC's DMA, its interrupts and the host's side of its cable, beside two CPUs that run."""
    data = hashlib.shake_128(b"file").digest(4 << 20)
    digest = hashlib.sha256(data).hexdigest()
    with http_server(data) as port:
        one = f"wget -q -O - http://10.0.2.2:{port}/ | sha256sum"
        network = linux.guest(f"{linux.DHCP}{one} & {one} & wait\n")
        with Machine(**network, nics=["user"], cpus=2, smp="threads", time="real") as vm:
            vm.run(timeout=WALL_SECONDS).require(Outcome.POWEROFF)
            assert vm.serial.text.count(digest) == 2, vm.serial.text


def test_threads_need_real_time() -> None:
    end = vmm_run(guest("sbe/lock_counters.elf", short=True), "--smp", "threads")
    assert end.code == 2
    assert "--time real" in end.said
