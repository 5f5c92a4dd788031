"""The image around a micro-kernel: Multiboot 1, long mode, a warm-up, an empty loop and the measured one.

On the debug console it says `A`, runs the empty loop `count` times, says `M`, runs the event as often, and
says `B`; then `V`, or `E` if the events did not happen as often as they should. `X` anywhere is an exception
it did not expect. At the end it writes to the debug-exit port. Keystone assembles it, so no compiler is
needed where it is measured. Leaves out every device but the PICs, which it masks.
"""

from __future__ import annotations

import struct
from functools import cache

from vmm.bench import layout as at
from vmm.bench.calls import LEAF, SIGNATURE, native_page
from vmm.bench.kernel import Kernel
from vmm.errors import HostError
from vmm.sbe.inline import assemble

MARKS = ("A", "M", "B")
"""Before the empty loop, between the two, behind the event's."""
VERIFIED, DIFFERS, UNEXPECTED = "V", "E", "X"
EXIT_PORT, EXIT_VALUE = 0xF4, 0x10
WARM_UP = 16
MULTIBOOT_MAGIC, MULTIBOOT_FLAGS = 0x1BADB002, 3
USER_EXIT = 0x80

_START = f"""
mov eax, 0x20; mov cr4, eax
mov eax, {at.PML4:#x}; mov cr3, eax
mov ecx, 0xc0000080; rdmsr; or eax, 0x101; wrmsr
mov eax, 0x80010033; mov cr0, eax
lgdt [{at.GDT_POINTER:#x}]
.byte 0xea; .long {at.MAIN:#x}; .word {at.KERNEL_CS}
"""

_MAIN = f"""
mov eax, {at.KERNEL_DS}; mov ds, ax; mov es, ax; mov ss, ax; mov fs, ax; mov gs, ax
mov rsp, {at.KERNEL_STACK:#x}
mov eax, {at.IDT_POINTER:#x}; lidt [rax]
mov eax, {at.TSS_SELECTOR}; ltr ax
mov al, 0xff; out 0x21, al; out 0xa1, al
mov rax, cr4; or rax, 0x600; mov cr4, rax
{{find_monitor}}
{{setup}}
mov r15d, {WARM_UP}; call empty
mov r15d, {WARM_UP}; call event
{{marks[0]}}
push rax; mov rax, {at.COUNT:#x}; mov r15d, dword ptr [rax]; pop rax
call empty
{{marks[1]}}
push rax; mov rax, {at.COUNT:#x}; mov r15d, dword ptr [rax]; pop rax
call event
{{marks[2]}}
cli
mov rax, {at.COUNT:#x}; mov eax, dword ptr [rax]; imul rax, rax, {{faults}}
mov bl, {ord(VERIFIED)}; mov cl, {ord(DIFFERS)}; cmp rax, r14; cmovne ebx, ecx
mov al, bl; out 0xe9, al; mov al, 10; out 0xe9, al
mov al, {EXIT_VALUE}; out {EXIT_PORT}, al
stay: cli; hlt; jmp stay
empty: xor r14d, r14d
{{enter_empty}}
event: xor r14d, r14d
{{enter_event}}
"""
# The jump ends the block: the host stops the machine where the next one begins.
_MARK = (
    "push rax; mov al, {code}; out 0xe9, al; mov al, 10; out 0xe9, al; pop rax; "
    "jmp behind{code}; behind{code}:"
)

_ENTER = {
    0: "jmp {loop:#x}",
    3: f"push rax; push rbx; mov rax, {at.SAVED_RSP:#x}; lea rbx, [rsp+16]; mov qword ptr [rax], rbx; "
    f"pop rbx; pop rax; push {at.USER_DS | 3}; push {at.USER_STACK:#x}; push 2; push {at.USER_CS | 3}; "
    "push {loop:#x}; iretq",
}
_LEAVE = {0: "ret", 3: f"int {USER_EXIT:#x}"}
# MOV RSP, [SAVED_RSP]: Keystone would make its address relative to RIP, and wrong.
_USER_EXIT = f".byte 0x48, 0x8b, 0x24, 0x25; .long {at.SAVED_RSP:#x}; ret"
_UNEXPECTED = f"mov al, {ord(UNEXPECTED)}; out 0xe9, al; mov al, 10; out 0xe9, al; cli; stay: hlt; jmp stay"

_FIND_MONITOR = f"""
mov eax, {{base:#x}}; cpuid
cmp ebx, {{ebx:#x}}; jne bare; cmp ecx, {{ecx:#x}}; jne bare; cmp edx, {{edx:#x}}; jne bare
mov eax, {{base:#x}} + 1; cpuid
mov ecx, eax; mov eax, {at.PAGE:#x} + 1; xor edx, edx; wrmsr
bare: nop
"""


@cache
def build(kernel: Kernel, count: int, *, paravirtual: bool = False) -> bytes:
    """A bootable ELF that measures `count` events; HostError if its recipe cannot be assembled."""
    slots = dict(kernel.handlers)
    if kernel.level:
        slots[USER_EXIT] = _USER_EXIT
    if len(slots) >= at.HANDLER_SLOTS:
        raise HostError(
            f"micro-kernel {kernel.name}: {len(slots)} handlers, there is room for {at.HANDLER_SLOTS - 1}"
        )
    places = {vector: at.HANDLERS + at.HANDLER_ROOM * (n + 1) for n, vector in enumerate(slots)}
    text = _Blob(at.HEADER, at.TEXT_END)
    data = _Blob(at.GDT, at.DATA_END)
    text.put(at.HEADER, _multiboot(), at.START)
    text.put(at.START, _assemble(kernel, _START, 32, at.START), at.MAIN)
    text.put(at.MAIN, _assemble(kernel, _main(kernel, paravirtual), 64, at.MAIN), at.LOOP)
    body = kernel.paravirtual if paravirtual else kernel.body
    text.put(at.LOOP, _assemble(kernel, _loop(kernel, body), 64, at.LOOP), at.EMPTY_LOOP)
    text.put(at.EMPTY_LOOP, _assemble(kernel, _loop(kernel, ""), 64, at.EMPTY_LOOP), at.ENTRY)
    if kernel.entry:
        text.put(at.ENTRY, _assemble(kernel, kernel.entry, 64, at.ENTRY), at.HANDLERS)
    text.put(at.HANDLERS, _assemble(kernel, _UNEXPECTED, 64, at.HANDLERS), at.HANDLERS + at.HANDLER_ROOM)
    for vector, code in slots.items():
        place = places[vector]
        text.put(place, _assemble(kernel, code, 64, place), place + at.HANDLER_ROOM)
    for address, content in at.tables(places, at.HANDLERS).items():
        data.put(address, content, at.DATA_END)
    data.put(at.COUNT, struct.pack("<Q", count), at.SCRATCH)
    data.put(at.GDT_POINTER, struct.pack("<HQ", at.GDT_LIMIT, at.GDT), at.IDT_POINTER)
    data.put(at.IDT_POINTER, struct.pack("<HQ", at.IDT_LIMIT, at.IDT), at.SCRATCH)
    data.put(at.PAGE, native_page(), at.DATA_END)
    return _elf(text, data)


def place_of(address: int) -> str:
    """What a linear address of an image is, such as `event+0x2`."""
    stretches = (
        (at.MAIN, at.LOOP, "main"),
        (at.LOOP, at.EMPTY_LOOP, "event"),
        (at.ENTRY, at.HANDLERS, "entry"),
        (at.HANDLERS, at.TEXT_END, "handler"),
        (at.PAGE, at.DATA_END, "page"),
    )
    for start, end, name in stretches:
        if start <= address < end:
            return f"{name}+{address - start:#x}"
    return f"{address:#x}"


def _main(kernel: Kernel, paravirtual: bool) -> str:
    enter = _ENTER[kernel.level]
    return _MAIN.format(
        find_monitor=_FIND_MONITOR.format(base=LEAF, **SIGNATURE) if paravirtual else "",
        setup=kernel.setup,
        marks=[_MARK.format(code=ord(mark)) for mark in MARKS],
        faults=kernel.faults,
        enter_empty=enter.format(loop=at.EMPTY_LOOP),
        enter_event=enter.format(loop=at.LOOP),
    )


def _loop(kernel: Kernel, body: str) -> str:
    return f"again: {body}\ndec r15; jnz again; {_LEAVE[kernel.level]}"


def _assemble(kernel: Kernel, text: str, bits: int, address: int) -> bytes:
    try:
        return assemble(text, bits, address)
    except HostError as error:
        raise HostError(f"micro-kernel {kernel.name}: {error}") from None


def _multiboot() -> bytes:
    checksum = -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS) & 0xFFFFFFFF
    return struct.pack("<III", MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, checksum)


class _Blob:
    """Bytes of [start, end), filled piece by piece."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.bytes = bytearray(end - start)

    def put(self, address: int, content: bytes, end: int) -> None:
        """Place `content`, which must end before `end`."""
        if address + len(content) > end:
            raise HostError(f"{len(content)} bytes at {address:#x} of a micro-kernel reach past {end:#x}")
        self.bytes[address - self.start : address - self.start + len(content)] = content


def _elf(text: _Blob, data: _Blob) -> bytes:
    """An ELF32 for IA-32: Multiboot loaders take 64-bit code in no other container."""
    header, segment = 0x34, 0x20
    at_text = header + 2 * segment
    sizes = (len(text.bytes), len(text.bytes)), (len(data.bytes), at.IMAGE_END - data.start)
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    whole = ident + struct.pack(
        "<HHIIIIIHHHHHH", 2, 3, 1, at.START, header, 0, 0, header, segment, 2, 0, 0, 0
    )
    offset = at_text
    for blob, (in_file, in_memory) in zip((text, data), sizes, strict=True):
        place = (offset, blob.start, blob.start, in_file, in_memory)
        whole += struct.pack("<IIIIIIII", 1, *place, 7, 0)
        offset += in_file
    return whole + bytes(text.bytes) + bytes(data.bytes)
