"""Proves the prefilter sound: with it and without it a translator is shown the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sbe.library import Scanner, capstone_folder, scanner

SPICE = bytes.fromhex("0f0f0f666748f0f2f301002022303132a2c7aefafbf4eee49c9dcf90c0d1f93e26")
SOUP = st.lists(st.one_of(st.sampled_from(SPICE), st.integers(0, 255)), min_size=40, max_size=400).map(bytes)


def _shown(one: Scanner, mode: str, code: bytes, until: int) -> list[tuple[int, bytes]]:
    scan = one.block(mode, code, until)
    return [(patch.pc, patch.bytes) for patch in scan.patches if patch.pc - 0x1000 < until]


def _block_end(mode: str, profile: str, code: bytes) -> int:
    """Where the block ends that starts `code`, found by Capstone alone; the last bytes may be cut off."""
    with scanner(profile, prefilter=False) as one:
        return min(one.scan(mode, 0x1000, code).end - 0x1000, len(code) - 16)


@pytest.mark.parametrize("profile", ["full", "adaptive"])
@pytest.mark.parametrize("mode", ["16", "32", "64"])
@given(code=SOUP)
def test_random_code_is_shown_alike(profile: str, mode: str, code: bytes) -> None:
    until = _block_end(mode, profile, code)
    with scanner(profile) as fast, scanner(profile, prefilter=False) as slow:
        assert _shown(fast, mode, code, until) == _shown(slow, mode, code, until)


@pytest.mark.parametrize("profile", ["full", "adaptive"])
def test_compiled_code_is_shown_alike(profile: str) -> None:
    """Block after block through a stretch of Capstone's own machine code, which is there wherever we are."""
    code = _text_of(capstone_folder() / "lib" / "libcapstone.so")[:60_000]
    at = 0
    with scanner(profile) as fast, scanner(profile, prefilter=False) as slow:
        while at < len(code) - 4096:
            block = code[at : at + 4096]
            until = slow.scan("64", 0x1000, block).end - 0x1000
            assert _shown(fast, "64", block, until) == _shown(slow, "64", block, until)
            at += until
        stats = fast.stats()
        assert stats.clean * 2 > stats.blocks


def _text_of(path: Path) -> bytes:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        return bytes(section.data())
