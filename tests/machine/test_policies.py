"""Proves that single instructions can be given another policy: inline forms run, traps are counted, native
ones are left alone, and what a row does not allow is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machine.program import program, say
from vmm.errors import UsageError
from vmm.machine import Machine, Outcome
from vmm.monitor import Policy, Site

POWER_OFF = "mov dx, 0x604; mov ax, 0x2000; out dx, ax; "
CODE = {"WBINVD": "wbinvd", "INVD": "invd", "PAUSE": "pause"}


def run(folder: Path, name: str, policy: str, sbe: str = "adaptive") -> tuple[list[Site], dict[str, int]]:
    """Sites of instruction `name` and counts of traps after a guest that runs it ten times."""
    image = program(folder, f"mov ecx, 10; again: {CODE[name]}; loop again; {say('ok')} {POWER_OFF} cli; hlt")
    with Machine(image, protocol="flat", memory="16M", sbe=sbe, policies={name: policy}) as machine:
        assert machine.run(until="ok").outcome is Outcome.UNTIL
        sites = [site for site in machine.sites if site.mnemonic.startswith(name)]
        return sites, dict(machine.stats.traps)


@pytest.mark.parametrize("sbe", ["adaptive", "full"])
@pytest.mark.parametrize("name", CODE)
def test_inline_form_runs_in_place(tmp_path: Path, name: str, sbe: str) -> None:
    sites, traps = run(tmp_path, name, "inline", sbe)
    assert [(site.policy, site.hits) for site in sites] == [(Policy.INLINE, 0)]
    assert sites[0].replacement != sites[0].code
    assert len(sites[0].replacement) == len(sites[0].code)
    assert sites[0].class_name not in traps


@pytest.mark.parametrize("name", CODE)
def test_trap_is_counted(tmp_path: Path, name: str) -> None:
    sites, traps = run(tmp_path, name, "trap")
    assert [(site.policy, site.hits) for site in sites] == [(Policy.TRAP, 10)]
    assert traps[sites[0].class_name] == 10


@pytest.mark.parametrize("name", CODE)
def test_native_is_left_alone(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, name, "native", "full")[0] == []


def test_refusals(tmp_path: Path) -> None:
    image = program(tmp_path, "hlt")
    with pytest.raises(UsageError, match=r"CPUID cannot be 'inline': its row .* allows native or trap"):
        Machine(image, protocol="flat", policies={"CPUID": "inline"})
    with pytest.raises(UsageError, match="there is no instruction 'JUMP'; vmm insns lists their names"):
        Machine(image, protocol="flat", policies={"JUMP": "trap"})
