"""Identification, time, MSRs, control and debug registers, XCR0."""

from __future__ import annotations

from vmm.bench import layout as at
from vmm.bench.calls import call
from vmm.bench.kernel import NANOBENCHMARK, Kernel
from vmm.bench.recipes.parts import GP, X2APIC_ON, faulting

_OSXSAVE = "mov rax, cr4; or eax, 0x40000; mov cr4, rax"
_CR0_TWICE = "mov rsi, cr0; mov rdi, rsi; xor rdi, 0x10000"
_CR4_TWICE = "mov rsi, cr4; or rsi, 0x80; mov rdi, rsi; xor rdi, 0x80"


def _rdmsr(name: str, index: int, text: str, setup: str = "") -> Kernel:
    return Kernel(
        name=f"rdmsr-{name}", text=text, rows=("RDMSR",), setup=f"{setup}; mov ecx, {index:#x}", body="rdmsr"
    )


def _wrmsr(name: str, index: int, text: str, setup: str = "") -> Kernel:
    """Writes what the MSR had."""
    return Kernel(
        name=f"wrmsr-{name}",
        text=text,
        rows=("WRMSR",),
        setup=f"{setup}; mov ecx, {index:#x}; rdmsr",
        body="wrmsr",
    )


def _both(name: str, index: int, text: str, setup: str = "") -> tuple[Kernel, Kernel]:
    return _rdmsr(name, index, f"read {text}", setup), _wrmsr(name, index, f"write {text}", setup)


def _msr_list() -> Kernel:
    """Three bases, as a kernel sets them when it switches to another thread."""
    indices = (0xC0000100, 0xC0000101, 0xC0000102)
    items = "; ".join(
        f"mov qword ptr [rbx+{16 * n}], rax; mov qword ptr [rbx+{16 * n + 8}], 0; inc eax"
        for n in range(len(indices))
    )
    return Kernel(
        name="wrmsr-list",
        text="write FS base, GS base and the kernel's GS base",
        rows=("WRMSR",),
        setup=f"mov ebx, {at.SCRATCH + 0x100:#x}; mov eax, {indices[0]:#x}; {items}",
        body="xor eax, eax; xor edx, edx; " + "; ".join(f"mov ecx, {index:#x}; wrmsr" for index in indices),
        paravirtual=f"mov rdi, rbx; mov esi, {len(indices)}; {call('write_msrs')}",
    )


_MSRS = (
    _msr_list(),
    *_both("efer", 0xC0000080, "EFER"),
    *_both("tsc", 0x10, "the time stamp counter"),
    *_both("tsc-adjust", 0x3B, "TSC_ADJUST"),
    *_both("apic-base", 0x1B, "the local APIC's base"),
    *_both("fs-base", 0xC0000100, "the FS base"),
    *_both("gs-base", 0xC0000101, "the GS base"),
    *_both("x2apic-tpr", 0x808, "the task priority in x2APIC mode", X2APIC_ON),
    faulting(
        "rdmsr-unknown", GP, "0f32", rows=("RDMSR",), text="read an unknown MSR: #GP", setup="mov ecx, 0x999"
    ),
    faulting(
        "wrmsr-unknown", GP, "0f30", rows=("WRMSR",), text="write an unknown MSR: #GP", setup="mov ecx, 0x999"
    ),
)


def _from_cr(number: int, row: str = "MOV_FROM_CR", paravirtual: str = "") -> Kernel:
    return Kernel(
        name=f"from-cr{number}",
        text=f"read CR{number}",
        rows=(row,),
        body=f"mov rax, cr{number}",
        paravirtual=paravirtual,
    )


def _to_cr(number: int, paravirtual: str = "") -> Kernel:
    return Kernel(
        name=f"to-cr{number}",
        text=f"write CR{number} with what it has",
        rows=(f"MOV_TO_CR{number}",),
        setup=f"mov rax, cr{number}; mov rdi, rax",
        body=f"mov cr{number}, rax",
        paravirtual=paravirtual,
    )


_CONTROL = (
    _from_cr(0, paravirtual=call("read_cr0")),
    _from_cr(2, paravirtual=call("read_cr2")),
    _from_cr(3, paravirtual=call("read_cr3")),
    _from_cr(4),
    _from_cr(8, "MOV_FROM_CR8"),
    *(_to_cr(0), _to_cr(2), _to_cr(3, call("write_cr3")), _to_cr(4), _to_cr(8)),
    Kernel(
        name="toggle-cr0-wp",
        text="clear and set CR0.WP",
        rows=("MOV_TO_CR0",),
        setup=_CR0_TWICE,
        body="mov cr0, rdi; mov cr0, rsi",
    ),
    Kernel(
        name="toggle-cr4-pge",
        text="clear and set CR4.PGE: flush all translations",
        rows=("MOV_TO_CR4",),
        setup=_CR4_TWICE,
        body="mov cr4, rdi; mov cr4, rsi",
        paravirtual=call("flush_tlb"),
    ),
    Kernel(name="clts", text="CLTS", rows=("CLTS",), body="clts", paravirtual=call("clts")),
    Kernel(name="lmsw", text="LMSW of what there is", rows=("LMSW",), setup="smsw ax", body="lmsw ax"),
    Kernel(name="smsw", text="SMSW", rows=("SMSW",), body="smsw ax"),
)

_DEBUG = (
    Kernel(name="from-dr7", text="read DR7", rows=("MOV_FROM_DR",), body="mov rax, dr7"),
    Kernel(
        name="to-dr7",
        text="write DR7 with what it has",
        rows=("MOV_TO_DR",),
        setup="mov rax, dr7",
        body="mov dr7, rax",
    ),
    Kernel(name="to-dr0", text="write DR0", rows=("MOV_TO_DR",), setup="xor eax, eax", body="mov dr0, rax"),
)

KERNELS = (
    Kernel(name="cpuid", text="CPUID, leaf 0", rows=("CPUID",), body="xor eax, eax; cpuid"),
    Kernel(name="rdtsc", text="RDTSC", rows=("RDTSC",), body="rdtsc"),
    Kernel(name="rdtscp", text="RDTSCP", rows=("RDTSCP",), body="rdtscp"),
    *_MSRS,
    *_CONTROL,
    *_DEBUG,
    Kernel(
        name="xgetbv",
        text="XGETBV of XCR0",
        rows=("XGETBV",),
        setup=f"{_OSXSAVE}; xor ecx, ecx",
        body="xgetbv",
    ),
    Kernel(
        name="xsetbv",
        text="XSETBV of what XCR0 has",
        rows=("XSETBV",),
        setup=f"{_OSXSAVE}; xor ecx, ecx; xgetbv",
        body="xsetbv",
    ),
    Kernel(
        name="fsgsbase",
        text="RDGSBASE and WRGSBASE",
        rows=("FSGSBASE",),
        setup="mov rax, cr4; or eax, 0x10000; mov cr4, rax",
        body="rdgsbase rax; wrgsbase rax",
    ),
    Kernel(name="swapgs", text="SWAPGS", rows=("SWAPGS",), body="swapgs", paravirtual=call("swapgs")),
    Kernel(
        name="cr8wr",
        series=NANOBENCHMARK,
        text="write CR8",
        rows=("MOV_TO_CR8",),
        setup="xor eax, eax",
        body="mov cr8, rax",
    ),
)
