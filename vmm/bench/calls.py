"""The page of calls as a kernel has it on a bare machine, and how a monitor that fills it is found.

The numbers are those of csrc/cpu/vmi.h; a test compares them.
"""

from __future__ import annotations

from functools import cache

from vmm.bench import layout as at
from vmm.sbe.inline import assemble

LEAF = 0x40000100
SIGNATURE = {"ebx": 0x206D6D76, "ecx": 0x61726170, "edx": 0x74726976}
"""CPUID's answer at `LEAF`: `vmm paravirt`. EAX of the next leaf is the MSR that takes the page's address."""

ENTRY_BYTES = 32

_WRITE_MSRS = (
    "again: mov ecx, dword ptr [rdi]; mov eax, dword ptr [rdi+8]; mov edx, dword ptr [rdi+12]; wrmsr; "
    "add rdi, 16; dec rsi; jnz again; ret"
)
_PORTS = (
    "again: movzx edx, word ptr [rdi]; cmp byte ptr [rdi+2], 0; jne write; "
    "in eax, dx; mov dword ptr [rdi+4], eax; jmp next; "
    "write: mov eax, dword ptr [rdi+4]; out dx, eax; "
    "next: add rdi, 8; dec rsi; jnz again; ret"
)
_FLUSH = "mov rax, cr4; mov rdx, rax; xor rdx, 0x80; mov cr4, rdx; mov cr4, rax; ret"

NATIVE: dict[str, str] = {
    "irq_disable": "cli; ret",
    "irq_enable": "sti; ret",
    "irq_save": "pushfq; pop rax; cli; ret",
    "irq_restore": "push rdi; popfq; ret",
    "halt": "sti; hlt; ret",
    "read_cr0": "mov rax, cr0; ret",
    "read_cr2": "mov rax, cr2; ret",
    "read_cr3": "mov rax, cr3; ret",
    "write_cr3": "mov cr3, rdi; ret",
    "invlpg": "invlpg [rdi]; ret",
    "clts": "clts; ret",
    "swapgs": "swapgs; ret",
    "flush_caches": "wbinvd; ret",
    "flush_tlb": _FLUSH,
    "write_msrs": _WRITE_MSRS,
    "ports": _PORTS,
    "iret": "iretq",
    "pause": "pause; ret",
}
"""Plain instructions of each entry, in the order of the page. Arguments are RDI and RSI, the result is RAX;
RCX and RDX may change."""


def call(name: str) -> str:
    """Code that calls an entry."""
    return f"call {_address(name):#x}"


def jump(name: str) -> str:
    """Code that jumps to an entry, for those that do not return."""
    return f"jmp {_address(name):#x}"


def _address(name: str) -> int:
    return at.PAGE + ENTRY_BYTES * list(NATIVE).index(name)


@cache
def native_page() -> bytes:
    """The page for a bare machine."""
    return b"".join(
        assemble(text, 64, _address(name)).ljust(ENTRY_BYTES, b"\xcc") for name, text in NATIVE.items()
    )
