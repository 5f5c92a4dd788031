"""Proves the AML encoder against encodings worked out by hand, and its lengths against a decoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.loader.acpi import aml, resources

INTEGER_SIZES = {0x0A: 1, 0x0B: 2, 0x0C: 4, 0x0E: 8}


def decode_integer(data: bytes) -> int:
    if data[0] in (0, 1):
        assert len(data) == 1
        return data[0]
    assert len(data) == 1 + INTEGER_SIZES[data[0]]
    return int.from_bytes(data[1:], "little")


def decode_length(data: bytes) -> int:
    """Package length at the start of `data`, which counts itself."""
    extra = data[0] >> 6
    if not extra:
        return data[0] & 0x3F
    assert not data[0] & 0x30
    return data[0] & 0xF | int.from_bytes(data[1 : 1 + extra], "little") << 4


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("PNP0A03", "0c41d00a03"),
        ("PNP0303", "0c41d00303"),
        ("PNP0501", "0c41d00501"),
        ("PNP0B00", "0c41d00b00"),
        ("PNP0C0F", "0c41d00c0f"),
    ],
)
def test_eisa_id(text: str, encoded: str) -> None:
    assert aml.eisa_id(text).hex() == encoded


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("_S5", b"_S5_"),
        ("\\_PIC", b"\\_PIC"),
        ("_SB.PCI0", b"\x2e_SB_PCI0"),
        ("\\_SB.PCI0.ISA", b"\\\x2f\x03_SB_PCI0ISA_"),
    ],
)
def test_path(name: str, encoded: bytes) -> None:
    assert aml.path(name) == encoded


@pytest.mark.parametrize("name", ["", "\\", "TOOLONG", "A..B"])
def test_path_refuses_bad_segments(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 4 characters"):
        aml.path(name)


@given(st.integers(0, (1 << 64) - 1))
def test_integer_decodes_to_itself(value: int) -> None:
    assert decode_integer(aml.integer(value)) == value


def test_integer_refuses_65_bits() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        aml.integer(1 << 64)


@pytest.mark.parametrize("size", [0, 0x3A, 0x3B, 0x3C, 0xFF0, 0xFF7, 0xFF8, 0xFF9, 0xFFFF0, 0xFFFF6, 0xFFFF8])
def test_package_length_counts_the_whole_term(size: int) -> None:
    term = aml.scope("ABCD", bytes(size))
    assert decode_length(term[1:]) == len(term) - 1


def test_term_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        aml.scope("ABCD", bytes(1 << 28))


def test_method_that_stores_its_argument() -> None:
    method = aml.method("\\_PIC", 1, aml.store(aml.argument(0), aml.path("\\PICM")))
    assert method == b"\x14\x0e\\_PIC\x01\x70\x68\\PICM"


def test_resource_template_ends_with_end_tag() -> None:
    encoded = resources.template(resources.io(0x3F8, 8), resources.irq(4))
    assert encoded.hex() == "11100a0d4701f803f80301082210007900"
