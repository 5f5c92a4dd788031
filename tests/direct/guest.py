"""A bare 64-bit guest that runs loops one after another, each from set registers, and logs how each ended.

Every fault ends the loop it is in and is logged with its frame; a timer interrupts all the time and leaves a
trace of where it came: interrupted addresses and flags are folded into a word of memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import keystone

from vmm.monitor import Boot, Config, CpuMode, Direct, Monitor, Registers, Stats
from vmm.monitor.records import REGISTER_NAMES

MIB = 1 << 20
PAGE = 4096
MEMORY = 64 * MIB
TABLES, DRIVER, VARIABLES, REGISTERS, IDT, GDT = 0x1000, 0x10000, 0x20000, 0x21000, 0x30000, 0x31000
LOG, STACK, TSS = 0x40000, 0x3F000, 0x32000
LOOPS = 2 * MIB
DATA = 3 * MIB
DATA_PAGES = 16
MISSING, READ_ONLY, BEYOND = 3, 5, 14  # pages of DATA: not mapped, not writable, MMIO
LAPIC = 0xFEE00000
LOG_ENTRY = 256

_DRIVER = """
start:
  mov rsp, {stack}
  lidt [{variables} + 64]
  mov rax, cr4; or eax, 0x600; mov cr4, rax
  mov rax, {data}
{vectors}
  mov ax, 0x20; ltr ax
  mov eax, {lapic}
  mov dword ptr [rax + 0x3e0], 0xb
  mov dword ptr [rax + 0x320], 0x20040
  mov ecx, [{variables} + 48]
  mov dword ptr [rax + 0x380], ecx
  sti
next:
  mov rsp, {stack}
  mov rax, [{variables}]
  cmp rax, [{variables} + 8]
  jae done
  inc qword ptr [{variables}]
  mov rcx, {loops}
  shl rax, 12
  add rax, rcx
  mov [{variables} + 24], rax
  push qword ptr [{variables} + 32]
  popfq
{load}
  mov rsp, {data} + 0x800
  jmp qword ptr [{variables} + 24]
done:
  cli
  hlt
finish:
  mov rsp, {stack}
  pushfq
  push 0
  push 0
  push 0
log:
  push rax
  push rcx
  mov rax, [{variables} + 40]
  mov rcx, [rsp]; mov [rax + 8], rcx
  mov rcx, [rsp + 8]; mov [rax], rcx
{store}
  mov rcx, [rsp + 16]; mov [rax + 128], rcx
  mov rcx, [rsp + 24]; mov [rax + 136], rcx
  mov rcx, [rsp + 32]; mov [rax + 144], rcx
  mov rcx, [rsp + 40]; mov [rax + 152], rcx
  mov rcx, [rsp + 48]; mov [rax + 160], rcx
  mov rcx, cr2; mov [rax + 168], rcx
  add qword ptr [{variables} + 40], {log_entry}
  jmp next
fault:
  push 14
  jmp log
general:
  push 13
  jmp log
tick:
  push rax
  mov rax, [rsp + 8]
  add [{variables} + 56], rax
  rol qword ptr [{variables} + 56], 7
  mov rax, [rsp + 24]
  xor [{variables} + 56], rax
  mov eax, {lapic}
  mov dword ptr [rax + 0xb0], 0
  pop rax
  iretq
"""
_LABELS = ("finish", "fault", "general", "tick")


def assemble(text: str, address: int = LOOPS) -> bytes:
    """64-bit code that runs at `address`."""
    code, _ = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64).asm(text, address, as_bytes=True)
    assert code, text
    return bytes(code)


def _driver() -> tuple[bytes, dict[str, int]]:
    """Code, and the addresses of its entry points: each is found by assembling what is before it."""
    load = f"  mov rsp, {REGISTERS}\n" + "\n".join(
        "  lea rsp, [rsp + 8]" if name == "rsp" else f"  pop {name}" for name in REGISTER_NAMES
    )
    store = "\n".join(
        f"  mov [rax + {8 * index}], {name}"
        for index, name in enumerate(REGISTER_NAMES)
        if name not in ("rax", "rcx", "rsp")
    )
    vectors = "\n".join(f"  movups xmm{index}, [rax + {16 * index}]" for index in range(16))
    text = _DRIVER.format(
        stack=STACK, variables=VARIABLES, lapic=LAPIC, loops=LOOPS, data=DATA, log_entry=LOG_ENTRY,
        load=load, store=store, vectors=vectors,
    )  # fmt: skip
    entry = "\n".join(f"lea rax, [rip + {label}]" for label in _LABELS)
    code = assemble(text + "\n" + entry, DRIVER)
    tail = code[-7 * len(_LABELS) :]
    labels = {}
    for index, label in enumerate(_LABELS):
        (distance,) = struct.unpack_from("<i", tail, 7 * index + 3)
        labels[label] = DRIVER + len(code) - len(tail) + 7 * (index + 1) + distance
    return code, labels


CODE, LABEL = _driver()
FINISH = LABEL["finish"]


def _gate(address: int) -> bytes:
    low = address & 0xFFFF | 0x10 << 16 | (0x8E01 << 32) | (address >> 16 & 0xFFFF) << 48
    return struct.pack("<QQ", low, address >> 32)


def _tables() -> bytes:
    """4 KiB pages for the first 4 MiB, 2 MiB pages up to 1 GiB, and the local APIC's."""
    pml4, pdpt, low, high = (bytearray(PAGE) for _ in range(4))
    leaves = bytearray(2 * PAGE)
    at_pdpt, at_low, at_high, at_leaves = (TABLES + PAGE * index for index in range(1, 5))
    struct.pack_into("<Q", pml4, 0, at_pdpt | 7)
    struct.pack_into("<Q", pdpt, 0, at_low | 7)
    struct.pack_into("<Q", pdpt, 8 * 3, at_high | 7)
    for index in range(512):
        struct.pack_into("<Q", low, 8 * index, index << 21 | 0x87)
    for index in range(2):
        struct.pack_into("<Q", low, 8 * index, at_leaves + index * PAGE | 7)
    struct.pack_into("<Q", high, 8 * (LAPIC >> 21 & 511), LAPIC & ~(2 * MIB - 1) | 0x97)
    for index in range(1024):
        struct.pack_into("<Q", leaves, 8 * index, index << 12 | 7)
    return bytes(pml4 + pdpt + low + high + leaves)


def _tables_with_holes() -> bytes:
    tables = bytearray(_tables())

    def leaf(page: int, value: int) -> None:
        struct.pack_into("<Q", tables, 4 * PAGE + 8 * ((DATA >> 12) + page), value)

    leaf(MISSING, 0)
    leaf(READ_ONLY, DATA + READ_ONLY * PAGE | 5)
    leaf(BEYOND, 0xFEC00000 | 7)
    leaf(BEYOND + 1, LOOPS | 7)  # the first loop's code, as data
    return bytes(tables)


@dataclass(frozen=True)
class Ran:
    """What a run left: everything that must not depend on how it was executed."""

    registers: Registers
    log: bytes
    state: bytes
    pages: dict[int, bytes]
    interrupts: dict[int, int]
    exceptions: dict[int, int]

    def differences(self, other: Ran) -> list[str]:
        """Where two runs differ, shortly."""
        found = [
            f"loop {at // LOG_ENTRY}, word {at % LOG_ENTRY // 8} of its log: "
            f"{self.log[at : at + 8].hex()} {other.log[at : at + 8].hex()}"
            for at in range(0, len(self.log), 8)
            if self.log[at : at + 8] != other.log[at : at + 8]
        ]
        empty = bytes(PAGE)
        for page in sorted(self.pages.keys() | other.pages.keys()):
            mine, its = self.pages.get(page, empty), other.pages.get(page, empty)
            if mine != its:
                found.append(
                    f"page {page:#x} from {next(at for at in range(PAGE) if mine[at] != its[at]):#x}"
                )
        pairs = enumerate(zip(self.state, other.state, strict=True))
        found += [f"state byte {at}" for at, (one, two) in pairs if one != two]
        if self.registers != other.registers:
            found.append(f"{self.registers} {other.registers}")
        if (self.interrupts, self.exceptions) != (other.interrupts, other.exceptions):
            found.append(f"{self.interrupts} {self.exceptions} {other.interrupts} {other.exceptions}")
        return found[:20]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Loops, each of which runs until it jumps to FINISH or faults: the registers and flags that each starts
    with, what DATA holds, and how often the timer ticks, in instructions."""

    loops: list[bytes]
    general: dict[str, int]
    data: bytes = b""
    flags: int = 2
    tick: int = 997


def run_loops(batch: Batch, direct: Direct, limit: int = 3_000_000) -> tuple[Ran, Stats]:
    """Run a batch, but at most `limit` instructions."""
    monitor = Monitor(Config(memory=MEMORY, direct=direct))
    try:
        _place(monitor, batch)
        tables = {"cr3": TABLES, "gdt_base": GDT, "gdt_limit": 0x2F}
        monitor.boot(Boot(CpuMode.LONG, DRIVER, {}, cs=0x10, ds=0x18, **tables))
        monitor.run(until_instructions=limit)
        stats = monitor.stats()
        pages = (page for page in monitor.written_pages() if page < MEMORY // PAGE)
        ran = Ran(
            registers=monitor.registers(),
            log=monitor.ram_read(LOG, LOG_ENTRY * len(batch.loops)),
            state=monitor.save_state(),
            pages={page: monitor.ram_read(page * PAGE, PAGE) for page in pages},
            interrupts=dict(stats.interrupts),
            exceptions=dict(stats.exceptions),
        )
        return ran, stats
    finally:
        monitor.close()


def _place(monitor: Monitor, batch: Batch) -> None:
    tss_low = 0x67 | (TSS & 0xFFFFFF) << 16 | 0x89 << 40
    monitor.ram_write(GDT, struct.pack("<6Q", 0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, tss_low, 0))
    tss = bytearray(104)
    struct.pack_into("<Q", tss, 0x24, STACK - 0x800)
    monitor.ram_write(TSS, bytes(tss))
    idt = bytearray(PAGE)
    for vector, label in ((13, "general"), (14, "fault"), (12, "general"), (0x40, "tick")):
        idt[16 * vector : 16 * vector + 16] = _gate(LABEL[label])
    monitor.ram_write(IDT, bytes(idt))
    monitor.ram_write(TABLES, _tables_with_holes())
    monitor.ram_write(DRIVER, CODE)
    variables = struct.pack("<8Q", 0, len(batch.loops), 0, 0, batch.flags | 0x202, LOG, batch.tick, 0)
    monitor.ram_write(VARIABLES, variables + struct.pack("<HQ", PAGE - 1, IDT))
    registers = (batch.general.get(name, 0) for name in REGISTER_NAMES)
    monitor.ram_write(REGISTERS, struct.pack("<16Q", *registers))
    if batch.data:
        monitor.ram_write(DATA, batch.data)
    for index, code in enumerate(batch.loops):
        monitor.ram_write(LOOPS + index * PAGE, code)
