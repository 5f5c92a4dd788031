"""The ACPI tables as bytes, before it is known where they will lie (ACPI specification 6.3, chapter 5).

A table lists where it holds pointers and which bytes are checksums; `placement` fills both in for a fixed
address, `table_loader` tells a BIOS how to. Left out: MCFG (no ECAM), SRAT and SLIT (one node).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmm.loader.acpi import wiring
from vmm.loader.acpi.dsdt import definition_block

_HEADER = struct.Struct("<4sIBB6s8sI4sI")
_OEM, _OEM_TABLE, _CREATOR = b"VMM   ", b"VMMPC   ", b"VMM "
_CHECKSUM_AT = 9
_ALIGN = 16
_FACS_ALIGN = 64


@dataclass(frozen=True, slots=True)
class Pointer:
    """`size` bytes at `offset` hold the address of table `target`."""

    offset: int
    size: int
    target: str


@dataclass(frozen=True, slots=True)
class Checksum:
    """The byte `at` makes `length` bytes from `start` sum to zero."""

    at: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Table:
    """One table: pointers and checksum bytes are zero in `data`."""

    name: str
    data: bytes
    pointers: tuple[Pointer, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    align: int = _ALIGN


def tables(cpus: int) -> list[Table]:
    """Every table but the RSDP, for `cpus` processors with APIC ids 0 to cpus - 1."""
    listed = [_fadt(), _madt(cpus), _hpet()]
    names = [table.name for table in listed]
    return [_dsdt(cpus), _facs(), *listed, _root("RSDT", names, 4), _root("XSDT", names, 8)]


def rsdp() -> Table:
    """The root pointer, revision 2: iPXE follows only the RSDT, Linux and memtest86+ prefer the XSDT."""
    data = struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, _OEM, 2, 0, 36, 0, 0)
    return Table(
        "RSDP",
        data,
        (Pointer(16, 4, "RSDT"), Pointer(24, 8, "XSDT")),
        # The second sum covers the first, so the order matters.
        (Checksum(8, 0, 20), Checksum(32, 0, 36)),
    )


def _described(name: str, signature: bytes, revision: int, body: bytes, *pointers: Pointer) -> Table:
    """A table with the common header; `pointers` count from the start of the table."""
    length = _HEADER.size + len(body)
    header = _HEADER.pack(signature, length, revision, 0, _OEM, _OEM_TABLE, 1, _CREATOR, 1)
    return Table(name, header + body, pointers, (Checksum(_CHECKSUM_AT, 0, length),))


def _dsdt(cpus: int) -> Table:
    # Revision 2: integers have 64 bits.
    return _described("DSDT", b"DSDT", 2, definition_block(cpus))


def _facs() -> Table:
    data = struct.pack("<4sIIIIIQB31x", b"FACS", 64, 0, 0, 0, 0, 0, 1)
    return Table("FACS", data, align=_FACS_ALIGN)


def _root(name: str, targets: list[str], size: int) -> Table:
    pointers = (Pointer(_HEADER.size + size * index, size, target) for index, target in enumerate(targets))
    return _described(name, name.encode(), 1, bytes(size * len(targets)), *pointers)


_FADT_LENGTH = 244
_FADT_WBINVD, _FADT_PROC_C1 = 1 << 0, 1 << 2
# Set although there is no button: clear would mean a button in PM1 that must latch.
_FADT_NO_FIXED_POWER_BUTTON, _FADT_NO_FIXED_SLEEP_BUTTON = 1 << 4, 1 << 5
_FADT_TIMER_32_BITS, _FADT_RESET_REGISTER = 1 << 8, 1 << 10
_FADT_FLAGS = (
    _FADT_WBINVD
    | _FADT_PROC_C1
    | _FADT_NO_FIXED_POWER_BUTTON
    | _FADT_NO_FIXED_SLEEP_BUTTON
    | _FADT_TIMER_32_BITS
    | _FADT_RESET_REGISTER
)
_BOOT_LEGACY_DEVICES, _BOOT_8042 = 1 << 0, 1 << 1
_NO_C_STATE = 0xFFF


def _register(port: int, bits: int, access: int) -> bytes:
    """A generic address structure for an I/O port; `access` 1 byte, 2 word, 3 dword."""
    return struct.pack("<BBBBQ", 1, bits, 0, access, port)


# Revision 3 of the FADT: (offset, format, value); what is not here is zero.
_FADT_FIELDS: tuple[tuple[int, str, int | bytes], ...] = (
    (46, "<H", wiring.SCI_IRQ),
    (48, "<I", wiring.SMI_COMMAND),
    (52, "<B", wiring.ACPI_ENABLE),
    (53, "<B", wiring.ACPI_DISABLE),
    (56, "<I", wiring.PM1_EVENT),
    (64, "<I", wiring.PM1_CONTROL),
    (76, "<I", wiring.PM_TIMER),
    (80, "<I", wiring.GPE0),
    (88, "<B", 4),  # length of PM1 event
    (89, "<B", 2),  # of PM1 control
    (91, "<B", 4),  # of the PM timer
    (92, "<B", 4),  # of GPE0
    (96, "<H", _NO_C_STATE),
    (98, "<H", _NO_C_STATE),
    (108, "<B", wiring.CMOS_CENTURY),
    (109, "<H", _BOOT_LEGACY_DEVICES | _BOOT_8042),
    (112, "<I", _FADT_FLAGS),
    (116, "12s", _register(wiring.RESET_PORT, 8, 1)),
    (128, "<B", wiring.RESET_VALUE),
    (148, "12s", _register(wiring.PM1_EVENT, 32, 2)),
    (172, "12s", _register(wiring.PM1_CONTROL, 16, 2)),
    (208, "12s", _register(wiring.PM_TIMER, 32, 3)),
    (220, "12s", _register(wiring.GPE0, 32, 1)),
)


def _fadt() -> Table:
    data = bytearray(_FADT_LENGTH)
    for offset, layout, value in _FADT_FIELDS:
        struct.pack_into(layout, data, offset, value)
    # X_FACS stays zero beside FACS; X_DSDT and DSDT must agree.
    pointers = (Pointer(36, 4, "FACS"), Pointer(40, 4, "DSDT"), Pointer(140, 8, "DSDT"))
    return _described("FADT", b"FACP", 3, bytes(data[_HEADER.size :]), *pointers)


_MADT_PCAT_COMPAT = 1
_MADT_ENABLED = 1
_LEVEL_HIGH = 0xD
_ALL_CPUS = 0xFF


def _madt(cpus: int) -> Table:
    body = struct.pack("<II", wiring.LAPIC_BASE, _MADT_PCAT_COMPAT)
    body += b"".join(struct.pack("<BBBBI", 0, 8, cpu, cpu, _MADT_ENABLED) for cpu in range(cpus))
    body += struct.pack("<BBBBII", 1, 12, wiring.ioapic_id(cpus), 0, wiring.IOAPIC_BASE, 0)
    overrides = [(0, wiring.PIT_GSI, 0), *((line, line, _LEVEL_HIGH) for line in wiring.LEVEL_IRQS)]
    body += b"".join(struct.pack("<BBBBIH", 2, 10, 0, *override) for override in overrides)
    body += struct.pack("<BBBHB", 4, 6, _ALL_CPUS, 0, 1)  # NMI on LINT1
    return _described("MADT", b"APIC", 1, body)


def _hpet() -> Table:
    registers = struct.pack("<BBBBQ", 0, 64, 0, 0, wiring.HPET_BASE)
    return _described("HPET", b"HPET", 1, struct.pack("<I12sBHB", wiring.HPET_ID, registers, 0, 100, 0))
