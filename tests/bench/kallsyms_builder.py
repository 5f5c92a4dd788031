"""Kallsyms tables as a kernel's build makes them, in each layout Linux has had since 4.20."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Layout = Literal["before", "behind", "addresses"]
Symbols = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Build:
    """`absolute`: symbols below the base are per-CPU ones and stored as they are. `order`: bytes per symbol
    of the table by name that 6.2 put in front of the tokens."""

    layout: Layout = "before"
    word: int = 8
    absolute: bool = True
    order: int = 0


def tables(symbols: Symbols, base: int, build: Build) -> bytes:
    """Tables of `symbols`, (address, kind and name), sorted by address."""
    tokens = _tokens([text for _, text in symbols])
    names, markers = _compressed([text for _, text in symbols], tokens)
    number = struct.pack("<Q" if build.word == 8 else "<I", len(symbols))
    offsets = _aligned(_offsets(symbols, base, build), build.word) + _pointers([base], build.word)
    parts = [number, names, markers, b"\xa5" * (build.order * len(symbols)), *_token_table(tokens)]
    if build.layout == "before":
        parts.insert(0, offsets)
    elif build.layout == "behind":
        parts.append(offsets)
    else:
        parts.insert(0, _pointers([address for address, _ in symbols], build.word))
    return b"".join(_aligned(part, build.word) for part in parts)


def _tokens(texts: Sequence[str]) -> list[bytes]:
    """Characters in use stand for themselves, some others for what is often in names."""
    used = set("".join(texts).encode()) | set(b"0123456789")
    free = [code for code in range(1, 256) if code not in used]
    table = [bytes([code]) if code in used else b"" for code in range(256)]
    for code, text in zip(free, (b"_init", b"tread_", b"lock", b"x86_64_", b"ss"), strict=False):
        table[code] = text
    return table


def _compressed(texts: Sequence[str], tokens: Sequence[bytes]) -> tuple[bytes, bytes]:
    names, markers = bytearray(), []
    for number, text in enumerate(texts):
        if number % 256 == 0:
            markers.append(len(names))
        code = text.encode()
        for token, string in enumerate(tokens):
            if len(string) > 1:
                code = code.replace(string, bytes([token]))
        names += bytes([len(code)] if len(code) < 0x80 else [len(code) & 0x7F | 0x80, len(code) >> 7]) + code
    return bytes(names), struct.pack(f"<{len(markers)}I", *markers)


def _offsets(symbols: Symbols, base: int, build: Build) -> bytes:
    def offset(address: int) -> int:
        if not build.absolute:
            return address - base
        return address if address < base else base - 1 - address

    return struct.pack(f"<{len(symbols)}i", *(offset(address) for address, _ in symbols))


def _token_table(tokens: Sequence[bytes]) -> tuple[bytes, bytes]:
    index, at = [], 0
    for token in tokens:
        index.append(at)
        at += len(token) + 1
    return b"".join(token + b"\0" for token in tokens), struct.pack("<256H", *index)


def _pointers(values: Sequence[int], word: int) -> bytes:
    return struct.pack(f"<{len(values)}{'Q' if word == 8 else 'I'}", *values)


def _aligned(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)
