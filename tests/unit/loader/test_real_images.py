"""Proves that the loaders read the real guests: kernels, memtest, Xen and firmware from Debian's packages.

The plans are checked against facts from the files themselves; running them is the boot tests' part.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import pytest

from tests import packages
from tests.unit.loader.builders import MIB, at, request, text_at
from vmm.errors import ImageError
from vmm.loader import BootPlan, Module, detect, load

CLOUD = ("linux-image-cloud-amd64", "boot/vmlinuz-*")
GENERIC = ("linux-image-amd64", "boot/vmlinuz-*")
MEMTEST = ("memtest86+", "boot/memtest86+x64.bin")
XEN = ("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz")
ROMS = (
    ("seabios", "usr/share/seabios/bios.bin"),
    ("seabios", "usr/share/seabios/bios-256k.bin"),
    ("grub-firmware-qemu", "usr/share/qemu/grub.bin"),
    ("u-boot-qemu", "usr/lib/u-boot/qemu-x86/u-boot.rom"),
    ("u-boot-qemu", "usr/lib/u-boot/qemu-x86_64/u-boot.rom"),
)


@cache
def plan(image: tuple[str, str], protocol: str | None = None, memory: int = 256 * MIB) -> BootPlan:
    return load(packages.require(*image), request(memory, protocol=protocol, append="console=ttyS0"))


@pytest.mark.parametrize("kernel", [CLOUD, GENERIC], ids=["cloud-lz4", "generic-xz"])
def test_debian_kernel_is_decompressed_and_entered_at_16_mib(kernel: tuple[str, str]) -> None:
    planned = plan(kernel)
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("linux", "long", 16 * MIB)
    banner = b"Linux version 6.1."
    assert any(banner in bytes(blob.data) for blob in planned.blobs)
    page = at(planned, planned.cpu.registers["rsi"], 4096)
    assert page[0x202:0x208] == b"HdrS\x0f\x02"
    assert text_at(planned, struct.unpack_from("<I", page, 0x228)[0]) == "console=ttyS0"


@pytest.mark.parametrize("kernel", [CLOUD, GENERIC], ids=["cloud", "generic"])
def test_debian_kernel_has_a_pvh_entry_inside_its_text(kernel: tuple[str, str]) -> None:
    planned = plan(kernel, "pvh")
    assert planned.cpu.mode == "protected"
    assert 16 * MIB < planned.cpu.entry < 17 * MIB
    # startup_32 of the PVH entry begins with CLD.
    assert at(planned, planned.cpu.entry, 1) == b"\xfc"


def test_debian_kernel_offers_its_own_entries_too() -> None:
    assert plan(CLOUD, "linux64").cpu.entry == 16 * MIB + 0x200
    assert plan(CLOUD, "linux32").cpu.mode == "protected"


def test_kernel_in_too_little_memory_says_how_much_it_needs() -> None:
    with pytest.raises(ImageError, match=r"give the guest at least \d+ MiB"):
        plan(CLOUD, memory=1 * MIB)


def test_truncated_kernel_is_refused(tmp_path: Path) -> None:
    whole = packages.require(*CLOUD).read_bytes()
    path = tmp_path / "vmlinuz"
    for size in (0x200, 0x260, 20 << 10, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ImageError, match=str(path)):
            load(path, request(256 * MIB))


def test_memtest_takes_the_32_bit_entry_in_16_mib() -> None:
    planned = plan(MEMTEST, memory=16 * MIB)
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("linux32", "protected", MIB)
    page = at(planned, planned.cpu.registers["rsi"], 4096)
    assert struct.unpack_from("<I", page, 0x214) == (MIB,)  # memtest computes its own position from it


def test_xen_is_multiboot_1_under_gzip_with_a_kernel_as_module() -> None:
    module = Module(packages.require(*CLOUD), "console=hvc0")
    planned = load(packages.require(*XEN), request(512 * MIB, append="noreboot", modules=(module,)))
    info = at(planned, planned.cpu.registers["rbx"], 116)
    start, end = struct.unpack("<II", at(planned, struct.unpack_from("<I", info, 24)[0], 8))
    assert (planned.protocol, planned.cpu.entry) == ("multiboot1", 2 * MIB)
    assert text_at(planned, struct.unpack_from("<I", info, 16)[0]).endswith(" noreboot")
    assert at(planned, start, end - start)[0x202:0x206] == b"HdrS"


def test_xen_is_multiboot_2_on_request() -> None:
    planned = plan(XEN, "multiboot2", 512 * MIB)
    assert (planned.protocol, planned.cpu.registers["rax"]) == ("multiboot2", 0x36D76289)


@pytest.mark.parametrize("image", ROMS, ids=lambda image: image[1].split("/", 2)[2])
def test_firmware_is_a_rom(image: tuple[str, str]) -> None:
    path = packages.require(*image)
    planned = load(path, request(64 * MIB))
    assert (detect(path), planned.cpu.mode) == ("rom", "reset")
    assert planned.rom == path.read_bytes()


def test_ipxe_wants_a_bios_and_says_so() -> None:
    with pytest.raises(ImageError, match="16-bit entry"):
        load(packages.require("ipxe", "boot/ipxe.lkrn"), request(64 * MIB))


def test_programs_for_efi_and_cd_images_are_told_apart() -> None:
    with pytest.raises(ImageError, match="EFI program"):
        load(packages.require("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.efi"), request(64 * MIB))
    with pytest.raises(ImageError, match="disk image of"):
        load(packages.require("memtest86+", "usr/lib/memtest86+/memtest86+x64.iso"), request(64 * MIB))
