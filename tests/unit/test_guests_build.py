"""Proves that the guests build to the same bytes everywhere and have the headers of their protocols."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

from tests.guests_build import GUESTS, build_guests

MULTIBOOT1 = 0x1BADB002
MULTIBOOT2 = 0xE85250D6
PHYS32_ENTRY = 18


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_guests(tmp_path_factory.mktemp("guests"))


def images(folder: Path) -> Iterator[Path]:
    for kind in ("boot", "sbe", "faults"):
        yield from sorted((folder / kind).iterdir())


def words(data: bytes) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Offset and three 32-bit words at each place where a Multiboot header may begin."""
    for offset in range(0, min(len(data), 8192) - 12, 4):
        yield offset, struct.unpack_from("<3I", data, offset)


def multiboot1_header(data: bytes) -> int:
    """Offset of the header whose three words sum to 0 modulo 2^32."""
    found = [at for at, header in words(data) if header[0] == MULTIBOOT1 and sum(header) % 2**32 == 0]
    assert len(found) == 1
    return found[0]


def test_second_build_elsewhere_gives_equal_bytes(built: Path, tmp_path: Path) -> None:
    again = build_guests(tmp_path)

    assert [(image.name, image.read_bytes()) for image in images(built)] == [
        (image.name, image.read_bytes()) for image in images(again)
    ]


def test_every_source_becomes_an_image_named_in_the_readme(built: Path) -> None:
    readme = (GUESTS / "README.md").read_text()

    for kind in ("sbe", "faults"):
        sources = {path.stem for path in (GUESTS / kind).glob("*.c")}
        named = set(re.findall(r"^\| `([\w.]+)` \|", readme, re.MULTILINE))
        assert sources == {path.stem for path in (built / kind).glob("*.elf")}
        assert sources | {path.name for path in (built / kind).glob("*.bin")} <= named
    for path in (built / "boot").iterdir():
        assert f"`{path.name}`" in readme


def test_repeat_count_reaches_the_counting_guests(built: Path, tmp_path: Path) -> None:
    short = build_guests(tmp_path, N="1000")

    changed = {
        image.stem
        for image, other in zip(images(built), images(short), strict=True)
        if image.read_bytes() != other.read_bytes()
    }
    assert changed == {"timer_rmw", "lock_counters"}


def test_self_checking_and_dying_guests_are_elf32_multiboot_or_boot_sectors(built: Path) -> None:
    for image in (*(built / "sbe").iterdir(), *(built / "faults").iterdir()):
        data = image.read_bytes()
        if image.suffix == ".bin":
            assert (len(data), data[510:]) == (512, b"\x55\xaa")
            continue
        with image.open("rb") as stream:
            assert ELFFile(stream).elfclass == 32
        multiboot1_header(data)


@pytest.mark.parametrize(("name", "bits"), [("multiboot1.elf", 32), ("multiboot1_elf64.elf", 64)])
def test_multiboot1_header_has_no_address_fields(built: Path, name: str, bits: int) -> None:
    data = (built / "boot" / name).read_bytes()
    with (built / "boot" / name).open("rb") as stream:
        assert ELFFile(stream).elfclass == bits

    assert struct.unpack_from("<I", data, multiboot1_header(data) + 4) == (0x3,)


def test_kludge_header_places_the_whole_file(built: Path) -> None:
    data = (built / "boot" / "multiboot1_kludge.bin").read_bytes()
    at = multiboot1_header(data)
    header, load, load_end, bss_end, entry = struct.unpack_from("<5I", data, at + 12)

    assert struct.unpack_from("<I", data, at + 4) == (0x10003,)
    assert header - load == at
    assert load_end == 0
    assert load <= entry < load + len(data) <= bss_end


def test_multiboot2_header_is_aligned_and_closed(built: Path) -> None:
    data = (built / "boot" / "multiboot2.elf").read_bytes()
    at = next(at for at in range(0, 32768, 8) if struct.unpack_from("<I", data, at) == (MULTIBOOT2,))
    fields = struct.unpack_from("<4I", data, at)

    assert sum(fields) % 2**32 == 0
    assert struct.unpack_from("<HHI", data, at + fields[2] - 8) == (0, 0, 8)


def test_bzimage_header_offers_both_entries(built: Path) -> None:
    data = (built / "boot" / "bzimage.bin").read_bytes()
    setup_sectors = data[0x1F1]
    version, xloadflags = (struct.unpack_from("<H", data, at)[0] for at in (0x206, 0x236))
    code32_start, pref_address = (
        struct.unpack_from("<I", data, 0x214)[0],
        struct.unpack_from("<Q", data, 0x258)[0],
    )
    body = (setup_sectors + 1) * 512

    assert (data[0x1FE:0x200], data[0x202:0x206]) == (b"\x55\xaa", b"HdrS")
    assert (version, xloadflags, code32_start, pref_address) == (0x20C, 1, 0x100000, 0x100000)
    assert data[body] == 0xE9, "32-bit entry"
    assert data[body + 0x200] == 0xE9, "64-bit entry"


def test_pvh_note_is_the_entry_point(built: Path) -> None:
    with (built / "boot" / "pvh.elf").open("rb") as stream:
        elf = ELFFile(stream)
        section = elf.get_section_by_name(".note")
        assert isinstance(section, NoteSection)
        note = section.data()
        entry = elf["e_entry"]

    assert note == struct.pack("<3I4sI", 4, 4, PHYS32_ENTRY, b"Xen\0", entry)


def test_raw_images_have_their_sizes_and_signatures(built: Path) -> None:
    sector = (built / "boot" / "bootsector.bin").read_bytes()
    rom = (built / "boot" / "rom.bin").read_bytes()

    assert (len(sector), sector[510:]) == (512, b"\x55\xaa")
    assert (len(rom), rom[0xFFF0], rom[0xFFF3:0xFFF5]) == (65536, 0xEA, b"\x00\xf0")
