"""Proves that a guest that dies ends at once, with the right sentence and everything there is to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmm import Diagnosis, Machine, Outcome

CAUSES = {
    "triple_fault": r"triple fault: #UD -> ",
    "halt_for_ever": "halted for ever: every CPU has stopped with interrupts off",
    "jump_to_nothing": "jump into nothing: 0xf8000000 is no memory; triple fault: ",
    "jump_to_ff": "holds only FF bytes; triple fault: #UD -> ",
    "stack_overflow": "triple fault: #PF(code 0x2, address …",
}


def died(guests: Path, name: str, sbe: str = "adaptive") -> Diagnosis:
    with Machine(guests / "faults" / f"{name}.elf", memory="64M", sbe=sbe) as vm:
        result = vm.run(timeout=10)
        assert result.outcome is Outcome.DIED
        assert "dying by" in vm.serial.text
        assert result.diagnosis is not None
        return result.diagnosis


@pytest.mark.parametrize("sbe", ["full", "adaptive"])
@pytest.mark.parametrize("name", CAUSES)
def test_cause(guests: Path, name: str, sbe: str) -> None:
    assert CAUSES[name] in died(guests, name, sbe).cause


def test_everything_is_on_the_screen(guests: Path) -> None:
    diagnosis = died(guests, "triple_fault")
    sections = dict(diagnosis.sections())
    assert any("rip 0000" in line for line in sections["Registers of CPU 0"])
    assert sections["Code at RIP"][0].startswith("main+")
    assert sections["Code at RIP"][1].endswith("ud2")
    assert len(sections["Stack"]) == 16
    assert diagnosis.name(diagnosis.symbols["main"]) == "main"  # type: ignore[index]
    assert [line for line in sections[f"Last {len(diagnosis.events)} events"] if "exception #UD" in line]


def test_halted_guest_is_shown_at_its_hlt(guests: Path) -> None:
    assert died(guests, "halt_for_ever").code[0].text == "hlt"


def test_stack_that_is_not_there(guests: Path) -> None:
    diagnosis = died(guests, "stack_overflow")
    assert dict(diagnosis.sections())["Stack"] == ["(no memory)"]


def test_code_that_is_not_there(guests: Path) -> None:
    diagnosis = died(guests, "jump_to_nothing")
    assert dict(diagnosis.sections())["Code at RIP"] == ["(no memory)"]
