"""ELF headers of x86 executables (System V gABI chapters 4 and 5), read without trusting any of them.

Our own small reader instead of pyelftools: kernels come from anywhere, and a general library follows
offsets and allocates by header fields long before one can check them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vmm.loader.view import ImageView

MAGIC = b"\x7fELF"

PT_LOAD, PT_NOTE = 1, 4
SHT_SYMTAB, SHT_STRTAB = 2, 3
MAX_LOADS = 128
"""Kernels have up to a dozen; the limit bounds what a hostile file can make us copy."""

MACHINES = {3: "i386", 62: "x86-64"}
OTHER_MACHINES = {8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 40: "ARM", 183: "AArch64", 243: "RISC-V"}


@dataclass(frozen=True, slots=True)
class _Class:
    """What differs between ELF32 and ELF64; layouts are `struct` formats.

    `header` starts at e_entry: entry, phoff, shoff, flags, ehsize, phentsize, phnum, shentsize, shnum,
    shstrndx. `segment_order` says where type, offset, vaddr, paddr, filesz, memsz stand in `segment`.
    """

    bits: int
    machine: int
    header: str
    segment: str
    segment_order: tuple[int, ...]
    section: str
    symbol: str


CLASSES = {
    1: _Class(32, 3, "<IIIIHHHHHH", "<8I", (0, 1, 2, 3, 4, 5), "<10I", "<IIIBBH"),
    2: _Class(64, 62, "<QQQIHHHHHH", "<IIQQQQQQ", (0, 2, 3, 4, 5, 6), "<IIQQQQIIQQ", "<IBBHQQ"),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header; `header` is its own offset in the file."""

    index: int
    header: int
    type: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int

    @property
    def what(self) -> str:
        """Its name in messages."""
        return f"ELF segment {self.index}"


@dataclass(frozen=True, slots=True)
class Section:
    """One section header, the fields loaders use."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class Elf:
    """A parsed executable: its view, width (32 or 64), entry, program headers, section table."""

    view: ImageView
    bits: int
    entry: int
    segments: tuple[Segment, ...]
    shoff: int
    shentsize: int
    shnum: int
    shstrndx: int

    @property
    def loads(self) -> tuple[Segment, ...]:
        """PT_LOAD segments that occupy memory."""
        return tuple(segment for segment in self.segments if segment.type == PT_LOAD and segment.memsz)

    def physical_entry(self) -> int:
        """The entry as a physical address: kernels store it as either kind. ImageError when nowhere."""
        starts = [(load.paddr, load) for load in self.loads] + [(load.vaddr, load) for load in self.loads]
        for start, load in starts:
            if 0 <= self.entry - start < load.memsz:
                return load.paddr + self.entry - start
        raise self.view.error(
            f"the entry point {self.entry:#x} lies in no loaded segment",
            offset=24,
            remedy="check ENTRY() and link",
        )

    def content(self, segment: Segment) -> memoryview:
        """The bytes of a segment that are in the file."""
        return self.view.window(segment.offset, segment.filesz, segment.what)

    def sections(self) -> tuple[Section, ...]:
        """The section headers; ImageError when the table is not all there."""
        layout = _class_of(self.view).section
        if not self.shnum or not self.shoff:
            return ()
        if self.shentsize != struct.calcsize(layout):
            raise self.view.error(f"ELF section headers of {self.shentsize} bytes", offset=self.shoff)
        table = self.view.bytes_at(self.shoff, self.shentsize * self.shnum, "the ELF section table")
        return tuple(
            Section(name, kind, flags, addr, offset, size, link)
            for name, kind, flags, addr, offset, size, link, *_ in struct.iter_unpack(layout, table)
        )

    def symbols(self, table: Section) -> Iterator[tuple[int, int, int]]:
        """(name offset, type, value) of each entry of a symbol table section."""
        layout = _class_of(self.view).symbol
        step = struct.calcsize(layout)
        data = self.view.bytes_at(table.offset, table.size // step * step, "the ELF symbol table")
        for fields in struct.iter_unpack(layout, data):
            if self.bits == 32:
                yield fields[0], fields[3] & 15, fields[1]
            else:
                yield fields[0], fields[1] & 15, fields[4]


def is_elf(view: ImageView) -> bool:
    """Whether the image starts with the ELF magic."""
    return view.starts_with(MAGIC)


def parse(view: ImageView) -> Elf:
    """Read and check the header and the program headers; ImageError names what is wrong and where."""
    kind = _class_of(view)
    fields = view.unpack(kind.header, 24, "the ELF header")
    entry, phoff, shoff, _flags, _ehsize, phentsize, phnum, shentsize, shnum, shstrndx = fields
    if phentsize != struct.calcsize(kind.segment) and phnum:
        raise view.error(
            f"ELF program headers of {phentsize} bytes", offset=24 + struct.calcsize(kind.header) - 10
        )
    if not phnum:
        raise view.error("the ELF file has no program headers", remedy="link it into an executable")
    table = view.bytes_at(phoff, phentsize * phnum, "the ELF program header table")
    segments = tuple(
        Segment(index, phoff + index * phentsize, *(row[i] for i in kind.segment_order))
        for index, row in enumerate(struct.iter_unpack(kind.segment, table))
    )
    elf = Elf(view, kind.bits, entry, segments, shoff, shentsize, shnum, shstrndx)
    _check_loads(elf)
    return elf


def _class_of(view: ImageView) -> _Class:
    """Check the identification bytes, type and machine; return the layout for its class."""
    ident = view.bytes_at(0, 20, "the ELF header")
    if not is_elf(view):
        raise view.error(f"not an ELF file: it starts with {ident[:4].hex(' ')}", offset=0)
    kind = CLASSES.get(ident[4])
    if kind is None:
        raise view.error(f"ELF class {ident[4]} is neither 32 nor 64 bit", offset=4)
    if ident[5] != 1:
        raise view.error("the ELF file is big-endian; a PC needs little-endian x86", offset=5)
    elf_type, machine = struct.unpack_from("<HH", ident, 16)
    if machine != kind.machine:
        name = MACHINES.get(machine) or OTHER_MACHINES.get(machine, "unknown machine")
        raise view.error(f"ELF{kind.bits} for {name} ({machine}); this machine is a PC", offset=18)
    if elf_type not in (2, 3):
        raise view.error(f"ELF type {elf_type} is no executable", offset=16, remedy="link it first")
    return kind


def _check_loads(elf: Elf) -> None:
    if not elf.loads:
        raise elf.view.error("the ELF file loads nothing: no PT_LOAD segment has a size")
    if len(elf.loads) > MAX_LOADS:
        raise elf.view.error(f"{len(elf.loads)} loadable ELF segments; at most {MAX_LOADS} are accepted")
    for segment in elf.loads:
        if segment.filesz > segment.memsz:
            raise elf.view.error(
                f"{segment.what} has {segment.filesz:#x} bytes in the file but {segment.memsz:#x} in memory",
                offset=segment.header,
            )
        if segment.offset + segment.filesz > len(elf.view):
            raise elf.view.error(
                f"{segment.what} takes bytes {segment.offset:#x}..{segment.offset + segment.filesz:#x} "
                f"of a file that ends at {len(elf.view):#x}",
                offset=segment.header,
                remedy="is the file truncated?",
            )
