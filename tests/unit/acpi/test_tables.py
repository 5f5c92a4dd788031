"""Proves that tables sum to zero, point at each other, describe every processor, and lie where they may."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.errors import UsageError
from vmm.loader import acpi
from vmm.loader.acpi import wiring

CPUS = st.integers(1, wiring.MAX_CPUS)
NO_CHECKSUM = b"FACS"


def by_address(tables: acpi.AcpiTables) -> dict[int, bytes]:
    return {address: data for address, data, _ in tables.blobs}


def find(tables: acpi.AcpiTables, signature: bytes) -> bytes:
    return next(data for _, data, _ in tables.blobs if data.startswith(signature))


def madt_entries(madt: bytes) -> list[bytes]:
    entries, at = [], 44
    while at < len(madt):
        length = madt[at + 1]
        assert length >= 2
        entries.append(madt[at : at + length])
        at += length
    assert at == len(madt)
    return entries


@given(CPUS)
def test_every_table_sums_to_zero(cpus: int) -> None:
    tables = acpi.build(cpus)
    assert sum(tables.rsdp[:20]) & 0xFF == 0
    for _, data, name in tables.blobs:
        assert data.startswith(NO_CHECKSUM) or sum(data) & 0xFF == 0, name


@given(CPUS, st.sampled_from([0xE0000, 0x7FFE0000]))
def test_tables_are_disjoint_and_aligned(cpus: int, base: int) -> None:
    blobs = sorted(acpi.build(cpus, base).blobs)
    assert blobs[0][0] == base
    for (start, data, _), (following, _, _) in pairwise(blobs):
        assert start + len(data) <= following
    assert all(address % (64 if data.startswith(b"FACS") else 16) == 0 for address, data, _ in blobs)


@given(CPUS)
def test_header_length_is_table_length(cpus: int) -> None:
    for _, data, _ in acpi.build(cpus).blobs[1:]:
        assert struct.unpack_from("<I", data, 4)[0] == len(data)


def test_rsdt_and_xsdt_list_the_same_tables() -> None:
    tables = acpi.build(2)
    at = by_address(tables)
    _, rsdt_address, length, xsdt_address = struct.unpack_from("<BIIQ", tables.rsdp, 15)
    assert length == len(tables.rsdp) == 36
    narrow = [address for (address,) in struct.iter_unpack("<I", at[rsdt_address][36:])]
    wide = [address for (address,) in struct.iter_unpack("<Q", at[xsdt_address][36:])]
    assert narrow == wide
    assert [at[address][:4] for address in wide] == [b"FACP", b"APIC", b"HPET"]


def test_fadt_leads_to_dsdt_and_facs() -> None:
    tables = acpi.build(1)
    at = by_address(tables)
    fadt = find(tables, b"FACP")
    facs, dsdt = struct.unpack_from("<II", fadt, 36)
    assert at[facs][:4] == b"FACS"
    assert at[dsdt][:4] == b"DSDT"
    assert struct.unpack_from("<Q", fadt, 140)[0] == dsdt


def test_fadt_extended_registers_agree_with_short_ones() -> None:
    fadt = find(acpi.build(1), b"FACP")
    pairs = {56: (148, 88), 64: (172, 89), 76: (208, 91), 80: (220, 92)}
    for short, (extended, length) in pairs.items():
        space, bits, _, _, port = struct.unpack_from("<BBBBQ", fadt, extended)
        assert (space, port) == (1, struct.unpack_from("<I", fadt, short)[0])
        assert bits == 8 * fadt[length]


@given(CPUS)
def test_madt_has_each_processor_once_boot_processor_first(cpus: int) -> None:
    entries = madt_entries(find(acpi.build(cpus), b"APIC"))
    processors = [struct.unpack("<BBBBI", entry) for entry in entries if entry[0] == 0]
    assert processors == [(0, 8, cpu, cpu, 1) for cpu in range(cpus)]


@given(CPUS)
def test_ioapic_id_is_no_processors(cpus: int) -> None:
    (ioapic,) = [entry for entry in madt_entries(find(acpi.build(cpus), b"APIC")) if entry[0] == 1]
    assert ioapic[2] >= cpus
    assert struct.unpack_from("<II", ioapic, 4) == (0xFEC00000, 0)


def test_madt_overrides() -> None:
    entries = madt_entries(find(acpi.build(1), b"APIC"))
    overrides = [struct.unpack_from("<BIH", entry, 3) for entry in entries if entry[0] == 2]
    assert overrides == [(0, 2, 0), (5, 5, 0xD), (9, 9, 0xD), (10, 10, 0xD), (11, 11, 0xD)]


def test_sleep_type_is_found_by_byte_scan() -> None:
    """GRUB and iPXE have no interpreter: after the name they expect short lengths and byte constants."""
    dsdt = find(acpi.build(1), b"DSDT")
    at = dsdt.index(b"_S5_")
    package_opcode, length, count, *values = dsdt[at + 4 : at + 11]
    assert (package_opcode, count) == (0x12, 4)
    assert length < 0x40
    assert values == [0x0A, wiring.S5_SLEEP_TYPE, 0x0A, wiring.S5_SLEEP_TYPE]


def test_ps2_keyboard_is_in_dsdt() -> None:
    """SeaBIOS parses the DSDT and leaves the keyboard alone if there is no PNP0303."""
    assert bytes.fromhex("0c41d00303") in find(acpi.build(1), b"DSDT")


@pytest.mark.parametrize(
    ("slot", "pin", "gsi"),
    [(1, 0, 9), (1, 1, 10), (2, 0, 10), (3, 0, 11), (4, 0, 11), (5, 0, 10), (31, 3, 10)],
)
def test_pci_wiring(slot: int, pin: int, gsi: int) -> None:
    expected = 9 if (slot, pin) == (1, 0) else (10, 10, 11, 11)[(slot + pin - 1) & 3]
    assert wiring.pci_gsi(slot, pin) == expected == gsi


@pytest.mark.parametrize("cpus", [0, -1, 65])
def test_impossible_number_of_processors_is_refused(cpus: int) -> None:
    with pytest.raises(UsageError, match=f"{cpus} processors: a machine has 1 to 64"):
        acpi.build(cpus)


@pytest.mark.parametrize(
    ("base", "reason"), [(0xE0010, "multiple of 0x1000"), (0xFF000, "past the BIOS area")]
)
def test_impossible_address_is_refused(base: int, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        acpi.build(64, base)
