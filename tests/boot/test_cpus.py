"""Proves that Linux can take CPUs away and bring them back (INIT to a halted CPU, a second SIPI), reach the
others by NMI, and reset the machine in each of the ways it knows."""

from __future__ import annotations

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.boot.command import vmm_run

ROUND = "echo 0 > {cpu}/online; echo off $(nproc); echo 1 > {cpu}/online; echo on $(nproc)\n"
CPU1 = "/sys/devices/system/cpu/cpu1"
GUEST_SECONDS = "20"


@pytest.mark.parametrize("cpus", [2, 4])
def test_a_cpu_goes_and_comes_back(cpus: int) -> None:
    initrd = initramfs.marker_initramfs(commands=ROUND.format(cpu=CPU1) * 3)
    end = vmm_run(*cloud_kernel.command(initrd), "--cpus", str(cpus), "--timeout", GUEST_SECONDS)
    assert end.code == 0, end.said
    counts = [line for line in end.serial.splitlines() if line.startswith(("off ", "on "))]
    assert counts == [f"off {cpus - 1}", f"on {cpus}"] * 3


def test_every_cpu_answers_an_nmi() -> None:
    initrd = initramfs.marker_initramfs(commands="echo l > /proc/sysrq-trigger\nsleep 1\n")
    end = vmm_run(*cloud_kernel.command(initrd), "--cpus", "4", "--timeout", GUEST_SECONDS)
    assert end.code == 0, end.said
    assert {cpu for cpu in range(4) if f"NMI backtrace for cpu {cpu}" in end.serial} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("how", "said"),
    [("", "reset"), ("reboot=k", "reset"), ("reboot=p", "reset"), ("reboot=t", "triple fault")],
)
def test_linux_resets_the_machine(how: str, said: str) -> None:
    initrd = initramfs.marker_initramfs(commands="reboot -f\n")
    end = vmm_run(*cloud_kernel.command(initrd, append=how), "--timeout", GUEST_SECONDS)
    assert said in end.said
