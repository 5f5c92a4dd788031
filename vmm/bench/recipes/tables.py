"""Descriptor tables, task register, segments, far transfers, translation look-aside buffer, caches."""

from __future__ import annotations

from vmm.bench import layout as at
from vmm.bench.calls import call
from vmm.bench.kernel import NANOBENCHMARK, Kernel

_POINTERS = f"mov ebx, {at.GDT_POINTER:#x}; mov esi, {at.IDT_POINTER:#x}; mov edi, {at.SCRATCH:#x}"
_FAR_POINTER = (
    f"mov ebx, {at.SCRATCH:#x}; mov dword ptr [rbx], {at.ENTRY:#x}; mov dword ptr [rbx+4], {at.KERNEL_CS}"
)
_SELECTOR = f"mov ecx, {at.KERNEL_DS}; mov ebx, {at.SCRATCH:#x}; mov dword ptr [rbx], 0"

KERNELS = (
    Kernel(name="lgdt", text="LGDT of the table in use", rows=("LGDT",), setup=_POINTERS, body="lgdt [rbx]"),
    Kernel(name="lidt", text="LIDT of the table in use", rows=("LIDT",), setup=_POINTERS, body="lidt [rsi]"),
    Kernel(name="sgdt", text="SGDT", rows=("SGDT",), setup=_POINTERS, body="sgdt [rdi]"),
    Kernel(name="sidt", text="SIDT", rows=("SIDT",), setup=_POINTERS, body="sidt [rdi]"),
    Kernel(name="lldt", text="LLDT", rows=("LLDT",), setup=f"mov eax, {at.LDT_SELECTOR:#x}", body="lldt ax"),
    Kernel(name="sldt", text="SLDT", rows=("SLDT",), body=".byte 0x0f, 0, 0xc0"),
    Kernel(
        name="ltr",
        text="LTR, its descriptor made available again before",
        rows=("LTR",),
        setup=f"mov ebx, {at.GDT + at.TSS_SELECTOR:#x}; mov eax, {at.TSS_SELECTOR:#x}",
        body="and byte ptr [rbx+5], 0xfd; ltr ax",
    ),
    Kernel(name="str", text="STR", rows=("STR",), body="str ax"),
    Kernel(
        name="mov-sreg",
        text="load and read FS",
        rows=("MOV_TO_SEG", "MOV_FROM_SEG"),
        setup=_SELECTOR,
        body="mov fs, cx; mov ax, fs",
    ),
    Kernel(name="push-sreg", text="push and pop FS", rows=("PUSH_SEG", "POP_SEG"), body="push fs; pop fs"),
    Kernel(
        name="lfs",
        text="LFS of the null selector",
        rows=("LOAD_FAR_POINTER",),
        setup=f"mov ebx, {at.SCRATCH:#x}; mov dword ptr [rbx], 0; mov dword ptr [rbx+4], 0",
        body=".byte 0x0f, 0xb4, 0x03",
    ),
    Kernel(
        name="verr-verw", text="VERR and VERW", rows=("VERR_VERW",), setup=_SELECTOR, body="verr cx; verw cx"
    ),
    Kernel(name="lar", text="LAR", rows=("LAR",), setup=_SELECTOR, body=".byte 0x0f, 2, 0xc1"),
    Kernel(name="lsl", text="LSL", rows=("LSL",), setup=_SELECTOR, body=".byte 0x0f, 3, 0xc1"),
    Kernel(
        name="far-call",
        text="CALL far through memory, and RETF",
        rows=("FAR_CALL", "FAR_RET"),
        setup=_FAR_POINTER,
        body=".byte 0xff, 0x1b",
        entry="retf",
    ),
    Kernel(
        name="far-jump",
        text="JMP far through memory, there and back near",
        rows=("FAR_JMP",),
        setup=_FAR_POINTER,
        body=".byte 0xff, 0x2b",
        entry=f"jmp {at.LOOP + 2:#x}",
    ),
    Kernel(
        name="invlpg",
        text="INVLPG",
        rows=("INVLPG",),
        setup=f"mov rbx, {at.TEST:#x}",
        body="invlpg [rbx]",
        paravirtual=f"mov rdi, rbx; {call('invlpg')}",
    ),
    Kernel(
        name="invlpg-touch",
        text="INVLPG and a load through the page",
        rows=("INVLPG",),
        setup=f"mov rbx, {at.TEST:#x}",
        body="invlpg [rbx]; mov rax, qword ptr [rbx]",
    ),
    Kernel(name="wbinvd", text="WBINVD", rows=("WBINVD",), body="wbinvd", paravirtual=call("flush_caches")),
    Kernel(name="invd", text="INVD", rows=("INVD",), body="invd"),
    Kernel(
        name="ptemod",
        series=NANOBENCHMARK,
        text="change a page-table entry",
        group="memory",
        setup=f"mov ebx, {at.TEST_PTE:#x}",
        body="xor dword ptr [rbx], 0x40",
    ),
)
