"""Resource descriptors of ACPI (specification, section 6.4): what a device's _CRS buffer holds."""

from __future__ import annotations

import struct

from vmm.loader.acpi import aml

# The window is fixed at both ends; bit 0 clear makes the bridge a producer of it.
_PRODUCER_FIXED = 0x0C
_MEMORY, _IO, _BUS = 0, 1, 2
_ENTIRE_IO_RANGE = 0x03
_READ_WRITE, _CACHEABLE = 0x01, 0x02
_DECODE_16_BITS = 0x01
_END_TAG = b"\x79\x00"


def template(*descriptors: bytes) -> bytes:
    """`ResourceTemplate { descriptors }`: an AML buffer with the end tag."""
    return aml.buffer(b"".join(descriptors) + _END_TAG)


def io(base: int, length: int) -> bytes:
    """Fixed I/O ports."""
    return struct.pack("<BBHHBB", 0x47, _DECODE_16_BITS, base, base, 1, length)


def irq(line: int) -> bytes:
    """One ISA interrupt line, edge triggered and active high."""
    return struct.pack("<BH", 0x22, 1 << line)


def fixed_memory(base: int, length: int) -> bytes:
    """A fixed range of registers below 4 GiB."""
    return struct.pack("<BHBII", 0x86, 9, _READ_WRITE, base, length)


def bus_window(first: int, last: int) -> bytes:
    """Bus numbers behind a bridge."""
    return _word_window(_BUS, 0, first, last)


def io_window(first: int, last: int) -> bytes:
    """I/O ports forwarded by a bridge."""
    return _word_window(_IO, _ENTIRE_IO_RANGE, first, last)


def memory_window(first: int, last: int, *, cacheable: bool = False) -> bytes:
    """Memory below 4 GiB forwarded by a bridge; `cacheable` for memory without side effects."""
    flags = _READ_WRITE | (_CACHEABLE if cacheable else 0)
    head = struct.pack("<BHBBB", 0x87, 23, _MEMORY, _PRODUCER_FIXED, flags)
    return head + struct.pack("<5I", 0, first, last, 0, last - first + 1)


def _word_window(kind: int, flags: int, first: int, last: int) -> bytes:
    head = struct.pack("<BHBBB", 0x88, 13, kind, _PRODUCER_FIXED, flags)
    return head + struct.pack("<5H", 0, first, last, 0, last - first + 1)
