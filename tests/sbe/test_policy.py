"""Proves policies: what a row allows, what inline forms look like, and that CPL 3 is never given one."""

from __future__ import annotations

import pytest

from tests.sbe.library import MODES, POLICIES, Scanner, insn_numbers, parse_hex
from vmm.errors import HostError
from vmm.sbe.inline import assemble, inline_forms
from vmm.sbe.insn_table import InsnTable


def _set(one: Scanner, insn: str, policy: str) -> int:
    return int(one.lib.sbe_set_policy(one.handle, insn_numbers()[insn], POLICIES[policy]))


def test_policy_override_decides(adaptive: Scanner) -> None:
    cli = parse_hex("fac3")
    assert adaptive.block("64", cli, 1).patches == ()
    assert _set(adaptive, "CLI", "trap") == 0
    assert len(adaptive.block("64", cli, 1).patches) == 1
    assert _set(adaptive, "CLI", "native") == 0
    assert adaptive.block("64", cli, 1).patches == ()


def test_policy_a_row_does_not_allow_is_refused_by_name(adaptive: Scanner) -> None:
    assert _set(adaptive, "FAR_JMP", "trap") < 0
    assert "FAR_JMP" in adaptive.error()


def test_a_block_can_be_scanned_as_in_profile_adaptive(full: Scanner) -> None:
    """CLI may stay, CPUID and LOCK CLTS must not."""
    code = parse_hex("fa0fa2f00f06c3")
    assert [patch.pc for patch in full.scan("64", 0x1000, code).patches] == [0x1000, 0x1001, 0x1003]
    relaxed = full.scan("64", 0x1000, code, adaptive=True)
    assert [patch.pc for patch in relaxed.patches] == [0x1001, 0x1003]
    assert len(full.scan("64", 0x1000, code).patches) == 3


def test_every_inline_form_fits_its_instruction(full: Scanner, table: InsnTable) -> None:
    forms = list(inline_forms(table))
    assert {form.insn.id for form in forms} == {"WBINVD", "INVD", "PAUSE", "MONITOR", "MWAIT"}
    for form in forms:
        mode = MODES[str(form.bits)]
        result = full.lib.sbe_set_inline(full.handle, form.insn.number, mode, form.code, len(form.code))
        assert result == 0, full.error()
        assert _set(full, form.insn.id, "inline") == 0
    codes = {"0f09": "3e90", "0f08": "3e90", "0f01c8": "3e3e90", "0f01c9": "3ef390", "f390": "6690"}
    for code, replacement in codes.items():
        scan = full.scan("64", 0x1000, parse_hex(code) + b"\xc3")
        assert [patch.bytes.hex() for patch in scan.patches] == [replacement]
        site = full.site(scan.patches[0].site)
        assert site.policy == POLICIES["inline"] and site.shape == full.lib.SBE_CONTINUE


def test_inline_form_above_cpl_0_traps(full: Scanner) -> None:
    assert full.lib.sbe_set_inline(full.handle, insn_numbers()["WBINVD"], MODES["64"], b"\x90", 1) == 0
    assert _set(full, "WBINVD", "inline") == 0
    user = full.scan("64", 0x1000, parse_hex("0f09c3"), cpl=3)
    assert [patch.bytes.hex() for patch in user.patches] == ["3eee"]
    legacy = full.scan("32", 0x1000, parse_hex("0f09c3"))
    assert [patch.bytes.hex() for patch in legacy.patches] == ["3eee"]


@pytest.mark.parametrize("code", ["9090", "c3", "66", "0f32", "89c8", "0f1f"])
def test_inline_form_that_is_not_one_nop_is_refused(full: Scanner, code: str) -> None:
    bytes_ = parse_hex(code)
    assert full.lib.sbe_set_inline(full.handle, insn_numbers()["INVD"], MODES["64"], bytes_, len(bytes_)) < 0
    assert "INVD" in full.error()


def test_keystone_refusal_is_one_line() -> None:
    with pytest.raises(HostError, match="Keystone says"):
        assemble("not an instruction", 64)
