"""Proves disassembly around a site: every byte once and in order, known neighbours before guessed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.explain.listing import AFTER, BEFORE, Listing, alone, around

# push rbp; mov rbp, rsp; mov eax, 1; cpuid; mov ecx, eax; pop rbp; ret
CODE = bytes.fromhex("55 4889e5 b801000000 0fa2 89c1 5d c3")
SITE = 9
STARTS = bytes(at in (0, 1, 4, 9, 11, 13, 14) for at in range(len(CODE)))


def texts(listing: Listing) -> list[str]:
    return [line.text for line in listing.lines]


def test_marked_neighbours() -> None:
    listing = around(CODE, 0x1000, 0x1000 + SITE, 2, 64, STARTS)
    assert texts(listing) == [
        "push rbp",
        "mov rbp, rsp",
        "mov eax, 1",
        "cpuid",
        "mov ecx, eax",
        "pop rbp",
        "ret",
    ]
    assert (listing.here, listing.guessed) == (3, False)


def test_neighbours_are_guessed_without_marks() -> None:
    listing = around(CODE, 0x1000, 0x1000 + SITE, 2, 64)
    assert texts(listing)[listing.here - 1 : listing.here + 1] == ["mov eax, 1", "cpuid"]
    assert listing.guessed


def test_marks_with_a_gap_end_the_listing() -> None:
    gap = bytes([0, 0, 0, 0, *STARTS[4:]])
    listing = around(CODE, 0x1000, 0x1000 + SITE, 2, 64, gap)
    assert texts(listing)[: listing.here] == ["mov eax, 1"]


def test_nothing_before_and_nothing_behind() -> None:
    listing = around(b"\x0f\xa2", 0x1000, 0x1000, 2, 64)
    assert (texts(listing), listing.here, listing.guessed) == (["cpuid"], 0, False)
    assert alone(b"\x0f\xa2", 0x1000, 64) == listing


def test_what_the_disassembler_does_not_know_is_still_one_line() -> None:
    listing = alone(bytes.fromhex("0fffffff"), 0x10, 64)
    assert [line.code.hex() for line in listing.lines] == ["0fffffff"]


@given(
    data=st.binary(min_size=2, max_size=160),
    at=st.integers(0, 158),
    bits=st.sampled_from((16, 32, 64)),
    marks=st.none() | st.randoms(use_true_random=False),
)
def test_lines_follow_each_other(data: bytes, at: int, bits: int, marks: object) -> None:
    at = min(at, len(data) - 2)
    starts = None if marks is None else bytes(byte & 1 for byte in data)
    listing = around(data, 0x4000, 0x4000 + at, 2, bits, starts)
    first, last = listing.lines[0], listing.lines[-1]
    assert (
        b"".join(line.code for line in listing.lines)
        == data[first.address - 0x4000 :][: last.address + len(last.code) - first.address]
    )
    site = listing.lines[listing.here]
    assert (site.address, len(site.code)) == (0x4000 + at, 2)
    assert listing.here <= BEFORE
    assert len(listing.lines) - listing.here - 1 <= AFTER


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_guesses_are_whole_instructions(bits: int) -> None:
    listing = around(b"\x90" * 8 + b"\xfa", 0, 8, 1, bits)
    assert texts(listing) == ["nop"] * BEFORE + ["cli"]
