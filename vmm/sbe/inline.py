"""Inline forms: the sequences of the instruction table, assembled with Keystone when a VM is configured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keystone

from vmm.errors import HostError
from vmm.sbe.insn_table import Insn, InsnTable

_KEYSTONE_MODES = {16: keystone.KS_MODE_16, 32: keystone.KS_MODE_32, 64: keystone.KS_MODE_64}


@dataclass(frozen=True, slots=True)
class InlineForm:
    """Bytes that stand for instruction `insn` in `bits`-wide code, to be handed to the scanner."""

    insn: Insn
    bits: int
    code: bytes


def assemble(text: str, bits: int, address: int = 0) -> bytes:
    """Machine code of `text` (Intel syntax) for `bits`-wide code that runs at `address`. Raises HostError if
    Keystone refuses it."""
    try:
        assembler = keystone.Ks(keystone.KS_ARCH_X86, _KEYSTONE_MODES[bits])
        encoding, _ = assembler.asm(text, address, as_bytes=True)
    except keystone.KsError as error:
        raise HostError(f"{bits}-bit code {text!r}: Keystone says {error}") from error
    if not encoding:
        raise HostError(f"{bits}-bit code {text!r}: Keystone made no bytes of it")
    return bytes(encoding)


def inline_forms(table: InsnTable) -> Iterator[InlineForm]:
    """Every inline form of the table."""
    for row in table.rows:
        yield from forms_of(row)


def forms_of(row: Insn) -> Iterator[InlineForm]:
    """The inline forms of a row, one for each width of code it may be rewritten in."""
    for bits in _KEYSTONE_MODES:
        if row.inline_asm is not None and str(bits) in row.trap_modes:
            yield InlineForm(row, bits, assemble(row.inline_asm, bits))
