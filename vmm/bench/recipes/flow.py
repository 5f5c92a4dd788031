"""The interrupt flag, flags on the stack, system calls, interrupts by instruction, exceptions."""

from __future__ import annotations

from vmm.bench import layout as at
from vmm.bench.calls import call, jump
from vmm.bench.kernel import NANOBENCHMARK, Kernel
from vmm.bench.recipes.parts import BP, DB, DE, GP, PF, UD, VECTOR, skip

_STAR = f"mov ecx, 0xc0000081; xor eax, eax; mov edx, {at.KERNEL_CS | (at.USER_CS32 | 3) << 16:#x}; wrmsr"
_SYSCALL = (
    f"{_STAR}; mov ecx, 0xc0000082; mov eax, {at.ENTRY:#x}; xor edx, edx; wrmsr; "
    "mov ecx, 0xc0000084; xor eax, eax; wrmsr"
)
_SYSENTER = (
    f"mov ecx, 0x174; mov eax, {at.KERNEL_CS}; xor edx, edx; wrmsr; "
    f"mov ecx, 0x175; mov eax, {at.TRAP_STACK:#x}; wrmsr; mov ecx, 0x176; mov eax, {at.ENTRY:#x}; wrmsr"
)
_SYSENTER_BODY = "mov rcx, rsp; lea rdx, [rip+back]; sysenter; back: nop"
_COUNT = "inc r14; iretq"
_IRET_FRAME = (
    f"mov rax, rsp; push {at.KERNEL_DS}; push rax; push 2; push {at.KERNEL_CS}; lea rcx, [rip+next]; push rcx"
)

_FLAGS = (
    Kernel(
        name="cli",
        text="CLI with interrupts off",
        rows=("CLI",),
        setup="cli",
        body="cli",
        paravirtual=call("irq_disable"),
    ),
    Kernel(
        name="sti",
        text="STI with interrupts on",
        rows=("STI",),
        setup="sti",
        body="sti",
        paravirtual=call("irq_enable"),
    ),
    Kernel(
        name="cli-sti",
        text="CLI and STI",
        rows=("CLI", "STI"),
        setup="sti",
        body="cli; sti",
        paravirtual=f"{call('irq_disable')}; {call('irq_enable')}",
    ),
    Kernel(name="pushf", text="PUSHFQ and POP", rows=("PUSHF",), body="pushfq; pop rax"),
    Kernel(
        name="popf",
        text="PUSH and POPFQ",
        rows=("POPF",),
        setup="pushfq; pop rax",
        body="push rax; popfq",
        paravirtual=f"mov rdi, rax; {call('irq_restore')}",
    ),
    Kernel(
        name="irq-save",
        text="save flags and CLI, restore flags, as a kernel does around a spin lock",
        rows=("PUSHF", "CLI", "POPF"),
        setup="sti",
        body="pushfq; pop rax; cli; push rax; popfq",
        paravirtual=f"{call('irq_save')}; mov rdi, rax; {call('irq_restore')}",
    ),
)

_CALLS = (
    Kernel(
        name="syscall",
        series=NANOBENCHMARK,
        text="SYSCALL from CPL 3 and SYSRET",
        rows=("SYSCALL", "SYSRET"),
        setup=_SYSCALL,
        body="syscall",
        entry="sysret",
        level=3,
    ),
    Kernel(
        name="sysenter",
        text="SYSENTER from CPL 3 and SYSEXIT",
        rows=("SYSENTER", "SYSEXIT"),
        setup=_SYSENTER,
        body=_SYSENTER_BODY,
        entry=".byte 0x48, 0x0f, 0x35",
        level=3,
    ),
    Kernel(
        name="callret",
        series=NANOBENCHMARK,
        text="CALL through a register and RET",
        group="baseline",
        setup=f"mov ebx, {at.ENTRY:#x}",
        body="call rbx",
        entry="ret",
    ),
    Kernel(
        name="iret",
        text="IRETQ to the next instruction at CPL 0",
        rows=("IRET",),
        body=f"{_IRET_FRAME}; iretq; next: nop",
        paravirtual=f"{_IRET_FRAME}; {jump('iret')}; next: nop",
    ),
)

_INTERRUPTS = (
    Kernel(
        name="int-n",
        text="INT n and IRETQ",
        rows=("INT_N",),
        body=f"int {VECTOR:#x}",
        handlers=((VECTOR, _COUNT),),
        faults=1,
    ),
    Kernel(
        name="int-n-user",
        text="INT n from CPL 3 and IRETQ",
        rows=("INT_N",),
        body="int 0x90",
        handlers=((0x90, _COUNT),),
        faults=1,
        level=3,
    ),
    Kernel(
        name="int3", text="INT3 and IRETQ", rows=("INT3",), body="int3", handlers=((BP, _COUNT),), faults=1
    ),
    Kernel(
        name="int1",
        text="INT1 and IRETQ",
        rows=("INT1",),
        body=".byte 0xf1",
        handlers=((DB, _COUNT),),
        faults=1,
    ),
)

_EXCEPTIONS = (
    Kernel(
        name="pgfault",
        series=NANOBENCHMARK,
        text="#PF of a load from an absent page, skipped",
        group="exception",
        setup=f"mov rbx, {at.TEST + 0x1000:#x}",
        body="mov rax, qword ptr [rbx]",
        handlers=((PF, skip(3, error=True)),),
        faults=1,
    ),
    Kernel(
        name="pf-user",
        text="#PF of a load from an absent page at CPL 3, skipped",
        group="exception",
        setup=f"mov rbx, {at.TEST + 0x1000:#x}",
        body="mov rax, qword ptr [rbx]",
        handlers=((PF, skip(3, error=True)),),
        faults=1,
        level=3,
    ),
    Kernel(
        name="gp",
        text="#GP of a load from an address that is not canonical, skipped",
        group="exception",
        setup="mov rbx, 0x800000000000",
        body="mov rax, qword ptr [rbx]",
        handlers=((GP, skip(3, error=True)),),
        faults=1,
    ),
    Kernel(
        name="ud",
        text="#UD of UD2, skipped",
        group="exception",
        body="ud2",
        handlers=((UD, skip(2)),),
        faults=1,
    ),
    Kernel(
        name="divzero",
        series=NANOBENCHMARK,
        text="#DE of a division by zero, skipped",
        group="exception",
        setup="xor ecx, ecx; xor edx, edx; mov eax, 1",
        body="div ecx",
        handlers=((DE, skip(2)),),
        faults=1,
    ),
    Kernel(
        name="db",
        text="#DB of a single step over a NOP",
        rows=("POPF",),
        body="push 0x102; popfq; nop",
        handlers=((DB, "inc r14; and qword ptr [rsp+16], -257; iretq"),),
        faults=1,
    ),
)

KERNELS = (*_FLAGS, *_CALLS, *_INTERRUPTS, *_EXCEPTIONS)
