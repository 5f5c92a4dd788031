"""Proves that a kernel of each boot protocol boots and is handed what its protocol promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmm import Machine, Outcome

HELLOS = {
    "multiboot1.elf": "multiboot1",
    "multiboot1_elf64.elf": "multiboot1",
    "multiboot1_kludge.bin": "multiboot1",
    "multiboot2.elf": "multiboot2",
    "bzimage.bin": "linux",
    "pvh.elf": "pvh",
    "elf64.elf": "elf64",
}
WITHOUT_HANDOFF = {"elf32.elf": "elf32", "bootsector.bin": "boot-sector", "rom.bin": "rom"}


@pytest.mark.parametrize("sbe", ["full", "adaptive", "off"])
@pytest.mark.parametrize("name", HELLOS)
def test_hello(guests: Path, name: str, sbe: str) -> None:
    with Machine(guests / "boot" / name, memory="64M", append="one two", sbe=sbe) as vm:
        result = vm.run(timeout=10)
        assert result.outcome is Outcome.POWEROFF
        assert vm.serial.lines[0].startswith("hello from ")
        assert "one two" in vm.serial.text
        assert "memory 65151 KiB" in vm.serial.text
        assert vm.plan.protocol.startswith(HELLOS[name])


@pytest.mark.parametrize("name", WITHOUT_HANDOFF)
def test_hello_without_a_handoff(guests: Path, name: str) -> None:
    with Machine(guests / "boot" / name, memory="64M") as vm:
        assert vm.run(timeout=10).outcome is Outcome.POWEROFF
        assert vm.serial.lines[0].startswith("hello from ")
        assert vm.plan.protocol == WITHOUT_HANDOFF[name]


@pytest.mark.parametrize("cpus", [1, 2, 8])
def test_equal_runs_are_equal(guests: Path, cpus: int) -> None:
    def fingerprint() -> tuple[object, ...]:
        with Machine(guests / "boot" / "elf64.elf", memory="64M", cpus=cpus) as vm:
            result = vm.run()
            return result.instructions, result.guest_seconds, vm.serial.log.sha256, vm.state_sha256

    assert fingerprint() == fingerprint()


def test_profiles_retire_the_same_instructions(guests: Path) -> None:
    def counted(sbe: str) -> tuple[int, dict[str, int]]:
        with Machine(guests / "boot" / "elf64.elf", memory="64M", sbe=sbe) as vm:
            return vm.run().instructions, dict(vm.stats.traps)

    assert counted("full")[0] == counted("adaptive")[0] == counted("off")[0]
    assert counted("full")[1]["IO"] > 0
