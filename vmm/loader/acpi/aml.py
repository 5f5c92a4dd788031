r"""Encoder for the part of AML that our DSDT uses (ACPI specification, chapters 20 "AML" and 6.4
"resources").

Every function returns the bytes of one term, so that a definition block is written as nested calls. Names are
paths as in ASL: an optional `\`, segments of up to four characters joined by dots.
"""

from __future__ import annotations

import struct
from itertools import pairwise

_SEGMENT = 4
_ROOT, _DUAL, _MULTI = b"\\", b"\x2e", b"\x2f"
_STORE, _ARGUMENT_0 = b"\x70", 0x68
_NAME, _SCOPE, _METHOD, _BUFFER, _PACKAGE, _DEVICE = b"\x08", b"\x10", b"\x14", b"\x11", b"\x12", b"\x5b\x82"


def path(name: str) -> bytes:
    """A name string; raises ValueError for a segment that is empty or longer than four characters."""
    root, segments = name.startswith("\\"), name.lstrip("\\").split(".")
    if any(not 0 < len(segment) <= _SEGMENT for segment in segments):
        raise ValueError(f"{name}: every segment of an AML name has 1 to {_SEGMENT} characters")
    prefix = b"" if len(segments) == 1 else _DUAL if len(segments) == 2 else _MULTI + bytes([len(segments)])
    body = b"".join(segment.ljust(_SEGMENT, "_").encode("ascii") for segment in segments)
    return (_ROOT if root else b"") + prefix + body


def integer(value: int) -> bytes:
    """An integer constant in its shortest form, up to 64 bits."""
    if value in (0, 1):
        return bytes([value])
    for opcode, size in ((0x0A, 1), (0x0B, 2), (0x0C, 4), (0x0E, 8)):
        if value < 1 << 8 * size:
            return bytes([opcode]) + value.to_bytes(size, "little")
    raise ValueError(f"{value:#x} does not fit an AML integer of 64 bits")


def string(text: str) -> bytes:
    """A string constant (ASCII)."""
    return b"\x0d" + text.encode("ascii") + b"\0"


def eisa_id(text: str) -> bytes:
    """A compressed EISA id such as PNP0A03: three letters of five bits, then four hex digits, big-endian."""
    letters = 0
    for letter in text[:3]:
        letters = letters << 5 | (ord(letter) - 0x40)
    return b"\x0c" + struct.pack(">HH", letters, int(text[3:], 16))


def package(*elements: bytes) -> bytes:
    """A package of constant elements, at most 255."""
    return _sized(_PACKAGE, bytes([len(elements)]) + b"".join(elements))


def buffer(data: bytes) -> bytes:
    """A buffer whose size is that of its initialiser."""
    return _sized(_BUFFER, integer(len(data)) + data)


def name(of: str, value: bytes) -> bytes:
    """`Name (of, value)`."""
    return _NAME + path(of) + value


def scope(of: str, *body: bytes) -> bytes:
    """`Scope (of) { body }`."""
    return _sized(_SCOPE, path(of) + b"".join(body))


def device(of: str, *body: bytes) -> bytes:
    """`Device (of) { body }`."""
    return _sized(_DEVICE, path(of) + b"".join(body))


def method(of: str, arguments: int, *body: bytes) -> bytes:
    """`Method (of, arguments, NotSerialized) { body }`; at most seven arguments."""
    return _sized(_METHOD, path(of) + bytes([arguments]) + b"".join(body))


def store(source: bytes, target: bytes) -> bytes:
    """`target = source`."""
    return _STORE + source + target


def argument(index: int) -> bytes:
    """`Arg0` to `Arg6`."""
    return bytes([_ARGUMENT_0 + index])


def _sized(opcode: bytes, body: bytes) -> bytes:
    """A term with a package length, which counts its own one to four bytes."""
    for extra, (low, high) in enumerate(pairwise((0, 6, 12, 20, 28))):
        length = len(body) + 1 + extra
        if length >> high:
            continue
        if low == 0:
            return opcode + bytes([length]) + body
        lead = extra << 6 | length & 0xF
        return opcode + bytes([lead]) + (length >> 4).to_bytes(extra, "little") + body
    raise ValueError(f"an AML term of {len(body)} bytes is too long to encode")
