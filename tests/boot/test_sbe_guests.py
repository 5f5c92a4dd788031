"""Proves the guest CPU: every self-checking guest of guests/sbe passes in each SBE profile, on one CPU and on
two, and every guest of guests/faults dies of what it says. VMM_FUZZ=long runs the guests that count at full
length and lock_counters on eight CPUs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.guests_build import GUESTS, guest
from vmm import Machine

LONG = os.environ.get("VMM_FUZZ") == "long"
PROFILES = ("full", "adaptive", "off")
NAMES = sorted(path.stem for path in (GUESTS / "sbe").glob("*.c"))
ON_MORE_CPUS = {
    "cross_cpu_code": 2,
    "lock_counters": 8 if LONG else 4,
    "pte_race": 2,
    "shared_page": 4,
    "split_locks": 4,
}
ALL_PASSED = 0x10
DEATHS = {
    "triple_fault": "triple fault",
    "jump_to_ff": "triple fault",
    "jump_to_nothing": "triple fault",
    "stack_overflow": "triple fault",
    "halt_for_ever": "halt",
    "no_task_register": "triple fault",
}


def run_guest(name: str, sbe: str, cpus: int, direct: str = "on") -> tuple[str, int | None]:
    """What it printed, and what it wrote to the debug-exit port."""
    image = guest(f"sbe/{name}.elf", short=not LONG)
    ends: dict[str, Any] = {"debug_exit": 0xF4, "append": f"cpus={cpus}"}
    with Machine(image, memory="64M", cpus=cpus, sbe=sbe, direct=direct, **ends) as vm:
        result = vm.run(timeout=600 if LONG else 20)
        return vm.serial.text, result.exit_value


@pytest.mark.parametrize("sbe", PROFILES)
@pytest.mark.parametrize("name", NAMES)
def test_every_case_is_ok(name: str, sbe: str) -> None:
    said, value = run_guest(name, sbe, ON_MORE_CPUS.get(name, 1))
    *cases, total = said.splitlines()
    assert [case for case in cases if not case.startswith("ok ")] == []
    assert cases
    assert total == f"DONE {len(cases)} passed, 0 failed"
    assert value == ALL_PASSED


@pytest.mark.parametrize("direct", ["off", "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_direct_execution_changes_nothing(name: str, direct: str) -> None:
    cpus = ON_MORE_CPUS.get(name, 1)
    assert run_guest(name, "adaptive", cpus, direct) == run_guest(name, "adaptive", cpus)


@pytest.mark.parametrize("name", ["exceptions", "shadow", "timer_rmw", "user_mode", "smc_same_block"])
def test_a_second_cpu_changes_nothing(name: str) -> None:
    said, value = run_guest(name, "adaptive", 2)
    assert value == ALL_PASSED, said


def dying_guest(name: str) -> Path:
    return guest(f"faults/{name}.elf" if (GUESTS / "faults" / f"{name}.c").exists() else f"faults/{name}.bin")


@pytest.mark.parametrize("sbe", PROFILES)
@pytest.mark.parametrize(("name", "cause"), DEATHS.items())
def test_dying_guest(name: str, cause: str, sbe: str) -> None:
    with Machine(dying_guest(name), memory="64M", sbe=sbe) as vm:
        result = vm.run(timeout=5)
        assert vm.serial.text.startswith("dying by ")
    assert result.outcome == "died"
    assert result.diagnosis is not None
    assert cause in str(result.diagnosis.cause).lower()


def test_every_dying_guest_is_tried() -> None:
    assert set(DEATHS) == {Path(path).stem for path in (GUESTS / "faults").glob("*.[cS]")}


# Retired instructions per round of guests/sbe/count.c, by scenario; its comments say how they come about.
COUNTS = [
    ("empty", 2), ("nops", 7), ("undefined", 6), ("page fault", 7), ("software interrupt", 6),
    ("absent gate", 7), ("unknown MSR", 8), ("bad CR0", 9), ("trapped", 7), ("ending the block", 8),
    ("own block rewritten", 6), ("single-stepped", 16), ("interrupted", 10), ("string", 11), ("waiting", 4),
    ("absent code", 12), ("interrupt return", 12),
]  # fmt: skip


def instructions(scenario: int, rounds: int, sbe: str) -> int:
    append = f"scenario={scenario} times={rounds:04d}"  # same length: the guest's parser costs the same
    with Machine(guest("sbe/count.elf"), memory="64M", sbe=sbe, debug_exit=0xF4, append=append) as vm:
        result = vm.run(timeout=5)
        assert result.exit_value == ALL_PASSED, vm.serial.text
        return result.instructions


@pytest.mark.parametrize("sbe", PROFILES)
@pytest.mark.parametrize("scenario", range(len(COUNTS)), ids=[name for name, _ in COUNTS])
def test_instructions_are_counted_exactly(scenario: int, sbe: str) -> None:
    rounds = 1000
    counted = instructions(scenario, rounds, sbe) - instructions(scenario, 0, sbe)
    assert counted == rounds * COUNTS[scenario][1]


def test_the_count_table_is_the_guests() -> None:
    source = (GUESTS / "sbe" / "count.c").read_text()
    rows = re.search(r"scenarios\[\] = \{(.*?)\n\};", source, re.DOTALL)
    assert rows
    assert re.findall(r'\{ "([^"]+)"', rows[1]) == [name for name, _ in COUNTS]
