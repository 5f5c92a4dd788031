"""Pieces that several recipes have in common."""

from __future__ import annotations

from typing import Any

from vmm.bench import layout as at
from vmm.bench.kernel import Kernel

DE, DB, BP, UD, GP, PF = 0, 1, 3, 6, 13, 14
VECTOR = 0x50
"""Of the interrupts that kernels send themselves."""

XAPIC_ON = f"mov ebx, {at.LAPIC:#x}; mov dword ptr [rbx+0xf0], 0x1ff"
"""EBX: the local APIC's page; spurious vector 0xff."""

X2APIC_ON = "mov ecx, 0x1b; rdmsr; or eax, 0xc00; wrmsr; mov ecx, 0x80f; mov eax, 0x1ff; xor edx, edx; wrmsr"

EOI = f"push rax; mov eax, {at.LAPIC + 0xB0:#x}; mov dword ptr [rax], 0; pop rax"
COUNT_AND_EOI = f"inc r14; {EOI}; iretq"
"""Handler of an interrupt by the local APIC in xAPIC mode."""


def skip(length: int, *, error: bool = False) -> str:
    """Handler that counts the event and goes on behind the `length` bytes that raised it; `error` says that
    the processor has pushed an error code."""
    drop = "add rsp, 8; " if error else ""
    return f"inc r14; {drop}add qword ptr [rsp], {length}; iretq"


def faulting(name: str, vector: int, code: str, **fields: Any) -> Kernel:
    """A kernel of one instruction, given as bytes in hexadecimal, that raises `vector`; `fields` are further
    ones of the kernel."""
    raw = bytes.fromhex(code)
    return Kernel(
        name=name,
        body=".byte " + ", ".join(f"{byte:#x}" for byte in raw),
        handlers=((vector, skip(len(raw), error=vector in (GP, PF))),),
        faults=1,
        **fields,
    )
