"""The symbols a Linux kernel carries for itself, read from its image or from the memory it runs in.

Facts: scripts/kallsyms.c and kernel/kallsyms.c of Linux. Names are compressed: each is a length and bytes,
and a byte stands for a token, a string of a table of 256. Tokens of digits stand for themselves, so the table
is found by them; all else is found from there, each step checked against the last:

    up to 6.3    offsets  relative base  number  names  markers  [order of names]  tokens  token index
    from 6.4     number  names  markers  tokens  token index  offsets  relative base
    not relative addresses  number  names  markers  tokens  token index

A kernel that was moved when it booted (KASLR) has moved its relative base too, so addresses read from memory
are those that run. Kernels before 4.20, which have wider markers, and symbols of modules are left out.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

_DIGITS = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00"
_FIRST_DIGIT = 0x30
_TOKENS = 256
_TOKEN_INDEX_SIZE = 2 * _TOKENS
_MAX_TOKEN = 512
_GROUP = 256
_LIKELY_RECORD = 130
_MAX_SYMBOLS = 4_000_000
_TEXT = frozenset("tTwW")
# What a guest wrote may look like tables everywhere; a kernel's are where they belong, and it has few copies.
_MAX_DIGITS = 2000
_MAX_TABLES = 8
_MAX_MARKERS = 16
_MARKERS_WITHIN = 4 << 20
# Kernels lie in the upper half of their address space.
_LOWEST = {8: 0xFFFF_8000_0000_0000, 4: 0x4000_0000}


@dataclass(frozen=True, slots=True)
class Symbol:
    """`kind` is the letter `nm` gives it."""

    address: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Kallsyms:
    """Symbols in order of address, and the address the table counts from (0 if it has none)."""

    symbols: tuple[Symbol, ...]
    base: int

    def text(self) -> list[tuple[str, int]]:
        """Name and address of what is code."""
        return [(one.name, one.address) for one in self.symbols if one.kind in _TEXT]


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The token table: where it starts, where its index ends."""

    start: int
    end: int
    strings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Names:
    """Compressed names: where their number and they themselves stand; `word` is the kernel's, in bytes."""

    number_at: int
    start: int
    count: int
    word: int


Fits = Callable[[Kallsyms], int]


def decode(data: bytes) -> Kallsyms | None:
    """The first tables in `data` that make sense throughout; None if there are none. Tables must begin at a
    multiple of 8 in `data`, as they do in files and pages."""
    return next(_decoded(data), None)


def in_memory(
    runs: Iterable[tuple[int, int]], read: Callable[[int, int], bytes], fits: Fits
) -> Kallsyms | None:
    """The tables in memory that fit best, from runs of (address, length) that `read` takes.

    Decompression and moving leave copies behind: `fits` says how well the symbols agree with what ran.
    """
    found = [tables for address, length in runs for tables in _decoded(read(address, length))]
    return max(found, key=fits, default=None)


def _decoded(data: bytes) -> Iterator[Kallsyms]:
    for tokens in islice(_token_tables(data), _MAX_TABLES):
        names = _names(data, tokens)
        if names and (found := _symbols(data, tokens, names)):
            yield found


def _token_tables(data: bytes) -> Iterator[_Tokens]:
    at = -1
    for _ in range(_MAX_DIGITS):
        at = data.find(_DIGITS, at + 1)
        if at < 0:
            return
        if tokens := _token_table(data, at):
            yield tokens


def _token_table(data: bytes, digits: int) -> _Tokens | None:
    """The table whose token for `0` stands at `digits`, by the index behind it."""
    offsets, at = [], digits
    for _ in range(_FIRST_DIGIT, _TOKENS):
        offsets.append(at - digits)
        end = data.find(b"\0", at, at + _MAX_TOKEN)
        if end < 0:
            return None
        at = end + 1
    for index_at in range(_aligned(at, 4), _aligned(at, 4) + 9, 4):
        packed = data[index_at : index_at + _TOKEN_INDEX_SIZE]
        if len(packed) < _TOKEN_INDEX_SIZE:
            return None
        index = struct.unpack(f"<{_TOKENS}H", packed)
        before = index[_FIRST_DIGIT]
        if index[0] == 0 and all(o == i - before for o, i in zip(offsets, index[_FIRST_DIGIT:], strict=True)):
            return _tokens_at(data, digits - before, index_at + _TOKEN_INDEX_SIZE, index)
    return None


def _tokens_at(data: bytes, start: int, end: int, index: Sequence[int]) -> _Tokens | None:
    if start < 0:
        return None
    strings = tuple(data[start + one : data.find(b"\0", start + one)] for one in index)
    return _Tokens(start, end, strings)


def _names(data: bytes, tokens: _Tokens) -> _Names | None:
    """The names in front of the token table, by their markers: where every 256th name is."""
    start = tokens.start & ~3
    first = max(0, start - _MARKERS_WITHIN)
    words = memoryview(data)[first:start].cast("I")
    likely = (
        at
        for at in range(len(words) - 2, -1, -1)
        if words[at] == 0 and _GROUP < words[at + 1] <= _GROUP * _LIKELY_RECORD
    )
    found = (_names_before(data, words, at, first) for at in islice(likely, _MAX_MARKERS))
    return next((names for names in found if names), None)


def _names_before(data: bytes, words: memoryview, at: int, first: int) -> _Names | None:
    """The names whose markers begin at word `at`. What follows the markers may look like one or two more."""
    last = at + 1
    while last + 1 < len(words) and _GROUP < words[last + 1] - words[last] <= _GROUP * _LIKELY_RECORD:
        last += 1
    for end in range(last, max(at, last - 4), -1):
        markers = words[at : end + 1].tolist()
        highest = first + 4 * at - markers[-1]
        for start in range(highest & ~3, max(8, highest - _GROUP * _LIKELY_RECORD), -4):
            names = _numbered(data, start, len(markers))
            if names and _walked(data, names, markers):
                return names
    return None


def _numbered(data: bytes, start: int, groups: int) -> _Names | None:
    """Names at `start`, if a number stands in front of them that makes so many groups."""
    for word in (8, 4):
        number_at = start - word
        count = int.from_bytes(data[number_at:start], "little")
        if count and count <= _MAX_SYMBOLS and (count + _GROUP - 1) // _GROUP == groups and start % word == 0:
            return _Names(number_at, start, count, word)
    return None


def _walked(data: bytes, names: _Names, markers: Sequence[int]) -> bool:
    """Whether the records from the first on lead to every marker."""
    at = names.start
    for number in range(names.count):
        if number % _GROUP == 0 and at - names.start != markers[number // _GROUP]:
            return False
        at += sum(_record(data, at))
        if at + 1 >= len(data):
            return False
    return True


def _record(data: bytes, at: int) -> tuple[int, int]:
    """Bytes of the length of the record at `at`, and of what follows it."""
    low = data[at]
    return (2, low & 0x7F | data[at + 1] << 7) if low & 0x80 else (1, low)


def _symbols(data: bytes, tokens: _Tokens, names: _Names) -> Kallsyms | None:
    for layout in (_offsets_before, _offsets_behind, _plain_addresses):
        found = layout(data, tokens, names)
        if found and _plausible(found[1], names.word):
            base, addresses = found
            texts = _expanded(data, tokens, names)
            symbols = (Symbol(a, t[:1], t[1:]) for a, t in zip(addresses, texts, strict=True))
            return Kallsyms(tuple(sorted(symbols, key=lambda one: one.address)), base)
    return None


def _expanded(data: bytes, tokens: _Tokens, names: _Names) -> Iterator[str]:
    at = names.start
    for _ in range(names.count):
        head, size = _record(data, at)
        record = data[at + head : at + head + size]
        yield b"".join(tokens.strings[byte] for byte in record).decode("utf-8", "replace")
        at += head + size


def _offsets_before(data: bytes, _: _Tokens, names: _Names) -> tuple[int, list[int]] | None:
    base_at = names.number_at - names.word
    return _relative(data, base_at - _aligned(4 * names.count, names.word), base_at, names)


def _offsets_behind(data: bytes, tokens: _Tokens, names: _Names) -> tuple[int, list[int]] | None:
    start = _aligned(tokens.end, names.word)
    return _relative(data, start, start + _aligned(4 * names.count, names.word), names)


def _relative(data: bytes, start: int, base_at: int, names: _Names) -> tuple[int, list[int]] | None:
    if start < 0 or base_at + names.word > len(data):
        return None
    base = int.from_bytes(data[base_at : base_at + names.word], "little")
    offsets = struct.unpack_from(f"<{names.count}i", data, start)
    if min(offsets) >= 0:
        return base, [base + offset for offset in offsets]
    # With per-CPU symbols, which are absolute, all others count downwards.
    return base, [offset if offset >= 0 else base - 1 - offset for offset in offsets]


def _plain_addresses(data: bytes, _: _Tokens, names: _Names) -> tuple[int, list[int]] | None:
    start = names.number_at - names.word * names.count
    if start < 0:
        return None
    letter = "Q" if names.word == 8 else "I"
    return 0, list(struct.unpack_from(f"<{names.count}{letter}", data, start))


def _plausible(addresses: Sequence[int], word: int) -> bool:
    """In order, and mostly where a kernel is; the rest are per-CPU symbols, which begin at 0."""
    lowest = _LOWEST[word]
    rising = all(low <= high for low, high in pairwise(addresses))
    inside = len(addresses) - bisect_right(addresses, lowest - 1) if rising else 0
    return 2 * inside > len(addresses) and addresses[-1] < 1 << 8 * word


def _aligned(value: int, to: int) -> int:
    return -(-value // to) * to
