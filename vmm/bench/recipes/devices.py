"""Ports, memory-mapped chips, interrupts and what waits for them, calls to the monitor."""

from __future__ import annotations

from vmm.bench import layout as at
from vmm.bench.calls import call
from vmm.bench.kernel import NANOBENCHMARK, Kernel
from vmm.bench.recipes.parts import COUNT_AND_EOI, VECTOR, X2APIC_ON, XAPIC_ON

POST, FAST_A20, PIT_2, PM_TIMER, UNASSIGNED, BACKDOOR = 0x80, 0x92, 0x42, 0x608, 0xE0, 0x5658
_LIST = at.SCRATCH + 0x100
_MAGIC = 0x564D5868
_ICR_SELF = 0x40000 | VECTOR
_TIMER = f"{XAPIC_ON}; mov dword ptr [rbx+0x3e0], 0xb; mov dword ptr [rbx+0x320], {VECTOR:#x}"
_ON_VECTOR = ((VECTOR, COUNT_AND_EOI),)
_X2APIC_HANDLER = (
    "inc r14; push rax; push rcx; push rdx; mov ecx, 0x80b; xor eax, eax; xor edx, edx; wrmsr; "
    "pop rdx; pop rcx; pop rax; iretq"
)


def _in(name: str, port: int, text: str, register: str = "al") -> Kernel:
    return Kernel(
        name=f"in-{name}", text=text, rows=("IN",), setup=f"mov edx, {port:#x}", body=f"in {register}, dx"
    )


def _out(name: str, port: int, text: str) -> Kernel:
    return Kernel(
        name=f"out-{name}",
        text=text,
        rows=("OUT",),
        setup=f"mov edx, {port:#x}; xor eax, eax",
        body="out dx, al",
    )


_PORTS = (
    Kernel(
        name="in",
        series=NANOBENCHMARK,
        text="IN AL, 0x80",
        rows=("IN",),
        body="in al, 0x80",
    ),
    _in("a20", FAST_A20, "read the fast A20 gate, a chip of a few lines"),
    _in("pm-timer", PM_TIMER, "read the ACPI PM timer", "eax"),
    _in("pit", PIT_2, "read channel 2 of the PIT"),
    _in("unassigned", UNASSIGNED, "read a port that no chip has"),
    _out("post", POST, "write the POST port"),
    _out("pit", PIT_2, "write channel 2 of the PIT"),
    _out("unassigned", UNASSIGNED, "write a port that no chip has"),
    Kernel(
        name="insb",
        text="INSB from the fast A20 gate",
        rows=("INS",),
        setup=f"mov edx, {FAST_A20:#x}",
        body=f"mov edi, {at.SCRATCH:#x}; insb",
    ),
    Kernel(
        name="rep-insb",
        text="REP INSB of 16 bytes",
        rows=("INS",),
        setup=f"mov edx, {FAST_A20:#x}",
        body=f"mov edi, {at.SCRATCH:#x}; mov ecx, 16; rep insb",
    ),
    Kernel(
        name="outsb",
        text="OUTSB to the POST port",
        rows=("OUTS",),
        setup=f"mov edx, {POST:#x}",
        body=f"mov esi, {at.SCRATCH:#x}; outsb",
    ),
    Kernel(
        name="rep-outsb",
        text="REP OUTSB of 16 bytes",
        rows=("OUTS",),
        setup=f"mov edx, {POST:#x}",
        body=f"mov esi, {at.SCRATCH:#x}; mov ecx, 16; rep outsb",
    ),
    Kernel(
        name="pci-config",
        text="read a PCI register by ports 0xCF8 and 0xCFC",
        rows=("IN", "OUT"),
        setup=f"mov ebx, {_LIST:#x}; mov dword ptr [rbx], 0x10cf8; mov dword ptr [rbx+4], 0x80000000; "
        "mov dword ptr [rbx+8], 0xcfc; mov dword ptr [rbx+12], 0",
        body="mov edx, 0xcf8; mov eax, 0x80000000; out dx, eax; mov edx, 0xcfc; in eax, dx",
        paravirtual=f"mov rdi, rbx; mov esi, 2; {call('ports')}",
    ),
)

_MEMORY = (
    Kernel(
        name="lapic-read",
        text="read the local APIC's id",
        group="mmio",
        setup=XAPIC_ON,
        body="mov ecx, dword ptr [rbx+0x20]",
    ),
    Kernel(
        name="lapic-write",
        text="write the local APIC's task priority",
        group="mmio",
        setup=f"{XAPIC_ON}; xor ecx, ecx",
        body="mov dword ptr [rbx+0x80], ecx",
    ),
    Kernel(
        name="ioapic",
        text="select and read a register of the I/O APIC",
        group="mmio",
        setup=f"mov ebx, {at.IOAPIC:#x}; mov eax, 1",
        body="mov dword ptr [rbx], eax; mov ecx, dword ptr [rbx+0x10]",
    ),
)

_INTERRUPTS = (
    Kernel(
        name="self-ipi",
        text="interrupt itself by the xAPIC's ICR, and EOI",
        group="interrupt",
        setup=f"{XAPIC_ON}; sti",
        body=f"mov dword ptr [rbx+0x300], {_ICR_SELF:#x}; nop",
        handlers=_ON_VECTOR,
        faults=1,
    ),
    Kernel(
        name="self-ipi-x2apic",
        text="interrupt itself by the x2APIC's SELF_IPI, and EOI",
        rows=("WRMSR",),
        setup=f"{X2APIC_ON}; mov ecx, 0x83f; mov eax, {VECTOR:#x}; sti",
        body="wrmsr; nop",
        handlers=((VECTOR, _X2APIC_HANDLER),),
        faults=1,
    ),
    Kernel(
        name="timer",
        text="one-shot local APIC timer of 1000 bus clocks, waited for in a loop",
        group="interrupt",
        setup=f"{_TIMER}; sti",
        body="lea rcx, [r14+1]; mov dword ptr [rbx+0x380], 1000; wait: cmp r14, rcx; jne wait",
        handlers=_ON_VECTOR,
        faults=1,
    ),
    Kernel(
        name="hlt",
        text="HLT, woken by the local APIC timer 1000 bus clocks later",
        rows=("HLT", "STI", "CLI"),
        setup=_TIMER,
        body="mov dword ptr [rbx+0x380], 1000; sti; hlt; cli",
        paravirtual=f"mov dword ptr [rbx+0x380], 1000; {call('halt')}; {call('irq_disable')}",
        handlers=_ON_VECTOR,
        faults=1,
    ),
)

_CALLS = (
    Kernel(name="pause", text="PAUSE", rows=("PAUSE",), body="pause", paravirtual=call("pause")),
    *(
        Kernel(
            name=name,
            text=f"{name.upper()} with the backdoor's GETVERSION",
            rows=(name.upper(),),
            body=f"mov eax, {_MAGIC:#x}; mov ecx, 10; {name}",
            native=False,
        )
        for name in ("vmcall", "vmmcall")
    ),
    Kernel(
        name="backdoor",
        text="GETVERSION by the VMware backdoor port",
        rows=("IN",),
        setup=f"mov edx, {BACKDOOR:#x}",
        body=f"mov eax, {_MAGIC:#x}; mov ecx, 10; mov edx, {BACKDOOR:#x}; in eax, dx",
    ),
)

KERNELS = (*_PORTS, *_MEMORY, *_INTERRUPTS, *_CALLS)
