"""Proves that no mutated image makes a loader do anything but plan it soundly or refuse it with ImageError.

300 mutants of each image, 10 000 with `VMM_FUZZ=long`; `VMM_FUZZ_SEED` starts another sequence. A failure
prints seed and number of the mutant, which is enough to make it again.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.loader import builders as make
from tests.unit.loader.test_codecs import PACKERS
from vmm.errors import ImageError
from vmm.loader import BootPlan, RegionKind, load, plan_view
from vmm.loader.view import ImageView

MUTANTS = 10_000 if os.environ.get("VMM_FUZZ") == "long" else 300
SEED = int(os.environ.get("VMM_FUZZ_SEED", "1"))
MEMORY = 64 << 20
SECONDS_PER_MUTANT = 2.0
"""Of processor time, so that a busy host fails nothing; the median mutant takes less than a millisecond."""

# fmt: off
EDGES = (
    0, 1, 2, 4, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF,
    0x100000, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFFF,
)
# fmt: on

_ELF64 = make.elf64(make.CODE * 64, 16 << 20, memsz=0x4000, note=make.xen_note(16 << 20))
_SYMBOLS = make.with_symbols(make.elf64(), {"start": 1 << 20, "main": (1 << 20) + 2})
_MB1 = make.with_symbols(
    make.elf64(make.multiboot1_header(7) + make.CODE, entry=(1 << 20) + 12), {"start": 1 << 20}
)
_KLUDGE = make.multiboot1_header(1 << 16, 0x200000, 0x200000, 0x200024, 0x201000, 0x200020) + make.CODE
_MB2_TAGS = (
    make.multiboot2_tag(1, struct.pack("<2I", 1, 6)),
    make.multiboot2_tag(2, struct.pack("<4I", 0x200000, 0x200000, 0, 0x210000)),
    make.multiboot2_tag(3, struct.pack("<I", 0x200080)),
    make.multiboot2_tag(5, struct.pack("<3I", 80, 25, 0)),
    make.multiboot2_tag(10, struct.pack("<4I", 0, 1 << 31, 4096, 1)),
)

IMAGES: dict[str, tuple[bytes, str | None]] = {
    "elf32": (make.elf32(memsz=0x3000), None),
    "elf64": (_SYMBOLS, None),
    "pvh": (_ELF64, None),
    "multiboot1-elf": (_MB1, None),
    "multiboot1-fields": (_KLUDGE, None),
    "multiboot2-elf": (make.elf32(make.multiboot2_header(*_MB2_TAGS[4:]) + make.CODE), None),
    "multiboot2-fields": (make.multiboot2_header(*_MB2_TAGS) + make.CODE * 8, None),
    **{
        f"bzimage-{name}": (
            make.bzimage(pack(_ELF64) + struct.pack("<I", len(_ELF64)) * (name != "gzip")),
            None,
        )
        for name, pack in PACKERS.items()
    },
    "bzimage-linux64": (make.bzimage(gzip.compress(_ELF64, mtime=0)), "linux64"),
    "bzimage-linux32": (make.bzimage(relocatable=0), None),
    "bzimage-pvh": (make.bzimage(gzip.compress(_ELF64, mtime=0)), "pvh"),
    "rom": (make.rom(), None),
    "boot-sector": (make.boot_sector(2), None),
    "flat": (make.CODE * 100, "flat"),
}


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four damages: a field at an edge value, random bytes, a cut, a repeat, two parts swapped."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        # Headers sit at the front: half of all damage goes to the first KiB and a half.
        position = rng.randrange(min(len(out), 1536) if rng.random() < 0.5 else len(out)) if out else 0
        kind = rng.randrange(6)
        if kind <= 1:
            size = rng.choice((1, 2, 4, 8))
            value = rng.choice(EDGES) + rng.randint(-2, 2)
            out[position : position + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        elif kind == 2:
            out[position : position + rng.randint(1, 8)] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            del out[position:]
        elif kind == 4:
            out[position:position] = out[position : position + rng.randint(1, 64)]
        else:
            other = rng.randrange(len(out)) if out else 0
            out[position : position + 8], out[other : other + 8] = (
                out[other : other + 8],
                out[position : position + 8],
            )
    return bytes(out)


def check_sound(plan: BootPlan) -> None:
    """A plan that was made must be one a machine can carry out blindly."""
    request = make.request(MEMORY)
    ram = [region for region in request.memory_map if region.kind is RegionKind.RAM]
    blobs = sorted(plan.blobs, key=lambda blob: blob.address)
    for blob in blobs:
        assert len(blob.data) <= blob.size, blob.what
        assert any(region.base <= blob.address and blob.end <= region.end for region in ram), blob.what
    assert all(before.end <= after.address for before, after in pairwise(blobs))
    assert 0 <= plan.cpu.entry < 1 << 32
    assert all(0 <= value < 1 << 32 for value in plan.cpu.registers.values())


@pytest.mark.parametrize("name", IMAGES)
def test_unmutated_images_are_bootable(name: str) -> None:
    data, protocol = IMAGES[name]
    check_sound(plan_view(ImageView(Path(name), data), make.request(MEMORY, protocol=protocol)))


@pytest.mark.parametrize("name", IMAGES)
def test_mutated_images_are_planned_soundly_or_refused(name: str) -> None:
    data, protocol = IMAGES[name]
    request = make.request(MEMORY, protocol=protocol)
    for number in range(MUTANTS):
        mutant = mutate(data, random.Random(f"{SEED} {name} {number}"))
        started = time.process_time()
        try:
            check_sound(plan_view(ImageView(Path(name), mutant), request))
        except ImageError as error:
            assert "\n" not in str(error)
        except Exception as error:
            raise AssertionError(f"seed {SEED}, image {name}, mutant {number}: {error!r}") from error
        assert time.process_time() - started < SECONDS_PER_MUTANT, (
            f"seed {SEED}, image {name}, mutant {number}"
        )


def test_mutated_kernels_inside_sound_bzimages_are_planned_soundly_or_refused() -> None:
    for number in range(MUTANTS):
        vmlinux = mutate(_ELF64, random.Random(f"{SEED} vmlinux {number}"))
        image = make.bzimage(gzip.compress(vmlinux, 1, mtime=0))
        for protocol in (None, "linux", "pvh"):
            try:
                check_sound(make.plan(image, protocol=protocol))
            except ImageError as error:
                assert "\n" not in str(error)


def test_mutated_gzip_files_are_planned_soundly_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel.gz"
    packed = gzip.compress(_MB1, mtime=0)
    for number in range(MUTANTS):
        path.write_bytes(mutate(packed, random.Random(f"{SEED} gz {number}")))
        try:
            check_sound(load(path, make.request(MEMORY)))
        except ImageError as error:
            assert str(error).startswith(str(path))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_decompression_bomb_stops_at_the_size_it_states(pack: object) -> None:
    bomb = pack(bytes(32 << 20))  # type: ignore[operator]
    payload = bomb[:-4] + struct.pack("<I", 4096) if pack is gzip.compress else bomb + struct.pack("<I", 4096)
    with pytest.raises(ImageError, match="more than the 4096 bytes"):
        make.plan(make.bzimage(payload))
