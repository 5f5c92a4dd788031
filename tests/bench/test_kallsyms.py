"""Proves that kallsyms tables are found and decoded in every layout, moved kernels included, and that nothing
else is taken for them."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import packages
from tests.bench.kallsyms_builder import Build, tables
from vmm.bench import kallsyms
from vmm.cli.image_code import elf_inside
from vmm.loader import open_image
from vmm.sbe.elf_code import elf_code
from vmm.sbe.static_walk import Region

BASES = {8: 0xFFFF_FFFF_8100_0000, 4: 0xC100_0000}
BUILDS = [
    Build("before"),
    Build("before", absolute=False),
    Build("before", order=4),
    Build("before", order=3),
    Build("behind"),
    Build("behind", absolute=False),
    Build("addresses"),
    Build("before", word=4, absolute=False),
    Build("behind", word=4),
    Build("addresses", word=4),
]
LONG_NAME = "T" + "a_name_beyond_127_characters_" * 9


def symbols(build: Build, count: int, slide: int = 0) -> list[tuple[int, str]]:
    """As many made-up symbols, some per-CPU where the build has them, one with a long name."""
    base = BASES[build.word] + slide
    found = [(0x1000 * n, f"Apercpu_{n}") for n in range(20 if build.absolute else 0)]
    found += [(base + 16 * n, f"{'tTdB'[n % 4]}spin_lock_init{n}.x86_64_") for n in range(count)]
    return [*found, (base + 16 * count, LONG_NAME)]


def as_pairs(tables: kallsyms.Kallsyms) -> list[tuple[int, str]]:
    return [(one.address, one.kind + one.name) for one in tables.symbols]


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_every_layout(build: Build) -> None:
    wanted = symbols(build, 1500)
    data = tables(wanted, BASES[build.word], build)
    found = kallsyms.decode(bytes(4096) + b"other\0words\0" * 4 + data + bytes(64))
    assert found is not None
    assert as_pairs(found) == wanted
    assert found.base == (0 if build.layout == "addresses" else BASES[build.word])
    assert {name for name, _ in found.text()} == {text[1:] for _, text in wanted if text[0] in "tT"}


@settings(max_examples=20, deadline=None)
@given(
    build=st.sampled_from(BUILDS),
    seed=st.integers(0, 2**32),
    count=st.integers(600, 1400),
    slide=st.integers(0, 0x1FF).map(lambda n: n << 21),
)
def test_random_names_of_a_moved_kernel(build: Build, seed: int, count: int, slide: int) -> None:
    pick = random.Random(seed)
    base = BASES[build.word] + slide
    letters = "abcdefghijklmnopqrstuvwxyz_.0123456789ABC"
    names = ["".join(pick.choices(letters, k=pick.randint(4, 40))) for _ in range(count)]
    wanted = [(base + 8 * n, f"t{name}") for n, name in enumerate(names)]
    found = kallsyms.decode(
        pick.randbytes(8 * pick.randint(0, 400)) + tables(wanted, base, build) + bytes(16)
    )
    assert found is not None
    assert as_pairs(found) == wanted


def test_of_two_copies_the_one_that_runs_is_taken() -> None:
    build, slide = Build("before"), 0x1C00_0000
    stale = tables(symbols(build, 900), BASES[8], build)
    live = tables(symbols(build, 900, slide), BASES[8] + slide, build)
    memory = bytes(0x1000) + stale + bytes(0x2000 - len(stale) % 0x1000) + live
    ran = BASES[8] + slide + 0x100

    def fits(one: kallsyms.Kallsyms) -> int:
        return sum(low <= ran <= low + 16 for _, low in one.text())

    found = kallsyms.in_memory([(0, len(memory))], lambda at, n: memory[at : at + n], fits)
    assert found is not None
    assert found.base == BASES[8] + slide


@given(data=st.binary(max_size=4000))
def test_noise_is_no_table(data: bytes) -> None:
    digits = b"".join(b"%d\0" % n for n in range(10))
    assert kallsyms.decode(data) is None
    assert kallsyms.decode(data + digits + data) is None


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), build=st.sampled_from(BUILDS))
def test_damaged_tables_end_in_an_answer(seed: int, build: Build) -> None:
    pick = random.Random(seed)
    data = bytearray(tables(symbols(build, 700), BASES[build.word], build))
    for _ in range(pick.randint(1, 40)):
        data[pick.randrange(len(data))] = pick.randrange(256)
    cut = bytes(data[: pick.randrange(len(data) // 2, len(data))])
    for damaged in (bytes(data), cut):
        found = kallsyms.decode(damaged)
        assert found is None or len(found.symbols) > 600


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("native_read_msr", "0f32"),
        ("native_write_msr", "0f30"),
        ("native_load_gdt", "0f01"),
        ("native_cpuid", "0fa2"),
        ("io_serial_in", "ec"),
        ("startup_64", ""),
        ("start_kernel", ""),
    ],
)
def test_names_of_debians_kernel_stand_where_their_instructions_are(function: str, code: str) -> None:
    found, regions = debian_kernel()
    address = dict(found.text())[function]
    inside = next(region for region in regions if region.address <= address < region.end)
    start = address - inside.address
    assert bytes.fromhex(code) in inside.data[start : start + 48]
    assert len(found.text()) > 30_000


def debian_kernel_path() -> Path:
    return packages.require("linux-image-cloud-amd64", "boot/vmlinuz-*")


@functools.cache
def debian_kernel() -> tuple[kallsyms.Kallsyms, list[Region]]:
    """Its kallsyms and its code."""
    kernel = debian_kernel_path()
    elf = elf_inside(open_image(kernel))
    assert elf is not None
    found = kallsyms.decode(bytes(elf.data))
    assert found is not None
    return found, elf_code(kernel, elf.data)[0]


def test_a_guest_that_fills_its_memory_with_tables_ends_in_an_answer() -> None:
    wanted = symbols(BUILDS[0], 600)
    data = tables(wanted, BASES[8], BUILDS[0])
    digits = b"".join(b"%d\0" % n for n in range(10))
    assert kallsyms.decode(digits * 200_000) is None
    number = len(wanted).to_bytes(8, "little")
    assert data.count(number) == 1
    assert kallsyms.decode(data.replace(number, (5000).to_bytes(8, "little")) * 40) is None
