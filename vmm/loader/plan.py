"""What a loader is asked (`BootRequest`) and what it answers (`BootPlan`): plain data, no behaviour.

A plan is complete: whoever writes its blobs into zeroed guest RAM and sets the CPU as `CpuState` says has
done everything the boot protocol asks of a loader. Addresses are guest-physical, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

from vmm.loader.symbols import SymbolTable
from vmm.loader.view import Buffer


class RegionKind(IntEnum):
    """Kinds of physical address range, with the numbers e820, Multiboot and PVH all use."""

    RAM = 1
    RESERVED = 2
    ACPI = 3
    NVS = 4
    BAD = 5


@dataclass(frozen=True, slots=True)
class Region:
    """`size` bytes of guest-physical address space from `base`."""

    base: int
    size: int
    kind: RegionKind

    @property
    def end(self) -> int:
        """First address after the region."""
        return self.base + self.size


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to put at `address`; `size` >= len(data), the rest is zero (a segment's BSS)."""

    address: int
    data: Buffer
    size: int
    what: str

    @property
    def end(self) -> int:
        """First address after the blob."""
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Module:
    """A file handed over beside the kernel (Multiboot, PVH), with its own command line."""

    path: Path
    args: str = ""


@dataclass(frozen=True, slots=True)
class CpuState:
    """State of the boot processor at the first instruction; interrupts are off, EFLAGS is 2.

    mode `reset`: the processor's power-on state, every other field is ignored.
    mode `real`: first instruction at cs * 16 + entry; ds is loaded into DS, ES and SS.
    mode `protected`: flat 32-bit segments of 4 GiB, paging off; `entry` is EIP.
    mode `long`: 64-bit code, paging on with `cr3`; `entry` is RIP.
    `cs` and `ds` are selectors (`ds` goes to DS, ES, SS, FS, GS) into the GDT at `gdt_base`.
    `registers` names "rax".."r15" and "rsp"; absent ones are 0. `tr_32bit`: TR holds a busy 32-bit TSS,
    base 0, limit 0x67.
    """

    mode: Literal["reset", "real", "protected", "long"]
    entry: int
    registers: Mapping[str, int]
    cr3: int = 0
    gdt_base: int = 0
    gdt_limit: int = 0
    cs: int = 0
    ds: int = 0
    tr_32bit: bool = False


@dataclass(frozen=True, slots=True)
class BootPlan:
    """The finished answer. `rom` is set for `reset` plans only: an image whose last byte sits at 4 GiB - 1.

    `protocol` is one of `PROTOCOLS` in `vmm.loader`; `notes` are lines for the user (choices made).
    """

    protocol: str
    image: Path
    blobs: tuple[Blob, ...]
    cpu: CpuState
    rom: bytes | None
    symbols: SymbolTable | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BootRequest:
    """The machine a file is to boot on, and what the user wants handed to it.

    `memory`: bytes of guest RAM. `memory_map`: see `vmm.loader.memory_map`. `rsdp`: address of the ACPI
    root pointer, 0 for none; `rsdp_bytes`: its content, which Multiboot 2 copies. `firmware`: a BIOS for
    images that need one. `protocol`: insist on one instead of looking at the file. `flat_address`: where a
    `flat` binary goes; below 1 MiB it is entered in real mode, from 1 MiB up in 32-bit protected mode.
    """

    memory: int
    memory_map: tuple[Region, ...]
    append: str = ""
    initrd: Path | None = None
    modules: tuple[Module, ...] = ()
    rsdp: int = 0
    rsdp_bytes: bytes = b""
    firmware: Path | None = None
    protocol: str | None = None
    flat_address: int = 0x100000
