"""The setup header of a bzImage (boot.rst, "The Real-Mode Kernel Header"), as a table of its fields."""

from __future__ import annotations

from dataclasses import dataclass

from vmm.loader.boot_params import HEADER, HEADER_END, SetupHeader
from vmm.loader.memory_map import HIGH_RAM_BASE
from vmm.loader.view import ImageView

LOADED_HIGH = 0x01
XLF_KERNEL_64 = 0x01

# name, offset, format, first protocol version that has it, value before that
_FIELDS = (
    ("setup_sects", 0x1F1, "<B", 0x000, 0),
    ("version", 0x206, "<H", 0x000, 0),
    ("loadflags", 0x211, "<B", 0x200, 0),
    ("code32_start", 0x214, "<I", 0x200, 0x100000),
    ("initrd_addr_max", 0x22C, "<I", 0x203, 0x37FFFFFF),
    ("kernel_alignment", 0x230, "<I", 0x205, 0),
    ("relocatable", 0x234, "<B", 0x205, 0),
    ("xloadflags", 0x236, "<H", 0x20C, 0),
    ("cmdline_size", 0x238, "<I", 0x206, 255),
    ("payload_offset", 0x248, "<I", 0x208, 0),
    ("payload_size", 0x24C, "<I", 0x208, 0),
    ("pref_address", 0x258, "<Q", 0x20A, 0),
    ("init_size", 0x260, "<I", 0x20A, 0),
)


@dataclass(frozen=True, slots=True)
class BzHeader:
    """The header's fields, checked; `kernel_offset` is where the protected-mode part starts in the file.

    `load_address` is where that part goes, `runtime_start` where the kernel will unpack itself: it uses
    `init_size` bytes from there.
    """

    setup: SetupHeader
    kernel_offset: int
    has_64bit_entry: bool
    payload_offset: int
    payload_size: int
    load_address: int
    runtime_start: int
    init_size: int


def read_header(view: ImageView) -> BzHeader:
    """Read and check the setup header; ImageError names the field that is wrong."""
    version = view.u16(0x206, "the setup header")
    field = {
        name: view.unpack(layout, offset, f"header field {name}")[0] if version >= since else default
        for name, offset, layout, since, default in _FIELDS
    }
    kernel_offset = ((field["setup_sects"] or 4) + 1) * 512
    _check(view, field, kernel_offset)
    load, start = _addresses(view, field)
    return BzHeader(
        setup=SetupHeader(_raw(view), field["initrd_addr_max"], field["cmdline_size"], load),
        kernel_offset=kernel_offset,
        has_64bit_entry=bool(field["xloadflags"] & XLF_KERNEL_64),
        payload_offset=kernel_offset + field["payload_offset"],
        payload_size=field["payload_size"],
        load_address=load,
        runtime_start=start,
        init_size=field["init_size"],
    )


def _check(view: ImageView, field: dict[str, int], kernel_offset: int) -> None:
    if field["version"] < 0x200 or not field["loadflags"] & LOADED_HIGH:
        raise view.error(
            f"boot protocol {field['version'] >> 8}.{field['version'] & 255:02}, loaded low: a zImage",
            offset=0x206,
            remedy="build a bzImage",
        )
    if kernel_offset >= len(view):
        raise view.error(
            f"{field['setup_sects']} setup sectors end at {kernel_offset:#x}, the file at {len(view):#x}",
            offset=0x1F1,
            remedy="is the file truncated?",
        )
    if not field["code32_start"]:
        raise view.error(
            "the image has only the 16-bit entry (code32_start is 0), which calls a BIOS",
            offset=0x214,
            remedy="boot it from a disk through firmware, once disks are built",
        )


def _addresses(view: ImageView, field: dict[str, int]) -> tuple[int, int]:
    """(load address, runtime start). A relocatable kernel is loaded where it would move itself anyway."""
    if not field["relocatable"]:
        return field["code32_start"], field["pref_address"] or field["code32_start"]
    align = field["kernel_alignment"]
    if align == 0 or align & (align - 1):
        raise view.error(f"kernel_alignment {align:#x} is no power of two", offset=0x230)
    start = max(field["pref_address"], field["code32_start"])
    start = -(-start // align) * align
    if start >= HIGH_RAM_BASE:
        raise view.error(f"the kernel wants to run at {start:#x}, above 4 GiB", offset=0x258)
    return start, start


def _raw(view: ImageView) -> bytes:
    """The bytes that go into the zero page: up to where the jump at 0x200 lands."""
    opcode, distance = view.unpack("<BB", 0x200, "the setup jump")
    end = 0x202 + distance
    if opcode != 0xEB or not HEADER < end <= HEADER_END:
        raise view.error(f"the setup header ends at {end:#x}, not before {HEADER_END:#x}", offset=0x200)
    return view.bytes_at(HEADER, end - HEADER, "the setup header")
