"""Proves, over random requests, that a layout never overlaps, stays in RAM, and finds the room there is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.loader.builders import MIB, request
from vmm.errors import ImageError
from vmm.loader import RegionKind, memory_map
from vmm.loader.layout import Layout
from vmm.loader.view import ImageView

GIB = 1 << 30


def layout(memory: int = 16 * MIB) -> Layout:
    return Layout(ImageView(Path("image"), b""), request(memory))


PLACEMENTS = st.lists(
    st.tuples(
        st.sampled_from(("fixed", "up", "down", "handoff")),
        st.integers(0, 17 * MIB),
        st.integers(1, 3 * MIB),
        st.sampled_from((1, 16, 4096, 2 * MIB)),
    ),
    max_size=12,
)


@given(PLACEMENTS)
def test_blobs_are_disjoint_aligned_and_in_ram(steps: list[tuple[str, int, int, int]]) -> None:
    plan = layout()
    for how, address, size, align in steps:
        try:
            if how == "fixed":
                plan.fixed(address, b"", "fixed", size=size)
            elif how == "up":
                assert plan.up(b"", "up", low=address, align=align, size=size) % align == 0
            elif how == "down":
                assert plan.down(bytes(size), "down", low=0, high=address, align=align) % align == 0
            else:
                assert plan.handoff(b"", "handoff", size=size % 4096 + 1) < 0x9F000
        except ImageError:
            continue
    blobs = sorted(plan.blobs, key=lambda blob: blob.address)
    ram = [region for region in memory_map(16 * MIB) if region.kind is RegionKind.RAM]
    assert all(before.end <= after.address for before, after in pairwise(blobs))
    assert all(any(r.base <= b.address and b.end <= r.end for r in ram) for b in blobs)


def test_up_and_down_fill_ram_to_the_last_byte() -> None:
    plan = layout(2 * MIB)
    assert plan.up(bytes(MIB // 2), "low half", low=MIB, align=4096) == MIB
    assert plan.down(bytes(MIB // 2), "high half", low=MIB, high=4 * GIB) == MIB + MIB // 2
    with pytest.raises(ImageError, match="no 1 free bytes for more"):
        plan.up(b"x", "more", low=MIB)


def test_clash_names_both_and_the_place_in_the_file() -> None:
    plan = layout()
    plan.fixed(MIB, bytes(4096), "kernel")
    with pytest.raises(ImageError, match=r"offset 0x40: segment at .* overlaps kernel at 0x100000..0x101000"):
        plan.claim(MIB + 4095, 1, "segment", 0x40)


def test_memory_map_puts_the_rest_above_4_gib() -> None:
    ram = [(r.base, r.size) for r in memory_map(5 * GIB) if r.kind is RegionKind.RAM]
    assert ram == [(0, 0x9FC00), (MIB, 3 * GIB - MIB), (4 * GIB, 2 * GIB)]


@given(st.integers(1 * MIB // 4096, 64 * GIB // 4096))
def test_memory_map_is_sorted_disjoint_and_accounts_for_all_ram(pages: int) -> None:
    regions = memory_map(pages * 4096)
    assert all(before.end <= after.base for before, after in pairwise(regions))
    ram = sum(region.size for region in regions if region.kind is RegionKind.RAM)
    assert ram == pages * 4096 - (MIB - 0x9FC00)
