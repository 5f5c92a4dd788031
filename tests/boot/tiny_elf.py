"""The smallest Linux program: an ELF64 of one segment that exits with a code, and where in it the code's
byte is."""

from __future__ import annotations

import struct

BASE = 0x400000
_HEADERS = 64 + 56
_CODE = b"\xbf\x00\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05"  # mov $0, %edi; mov $60 (exit), %eax; syscall
CODE_BYTE = _HEADERS + 1
"""Offset in the file of the exit code."""


def exits_with(code: int) -> bytes:
    """The program for an exit code below 256."""
    program = bytearray(_CODE)
    program[1] = code
    size = _HEADERS + len(program)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + bytes(program)
