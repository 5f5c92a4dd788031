"""A boot sector at 0000:7C00 (IBM PC; signature 55 AA at byte 510), in real mode with DL = 0x80.

An image of up to 32 KiB is taken to be a program that needs no disk: it is placed whole. Larger ones are
disks, whose boot sector reads the rest through INT 13h of a BIOS. Left out: the services of a BIOS; every
call is answered "not supported" (see `bios_area.py`).
"""

from __future__ import annotations

from vmm.loader.bios_area import place_bios_area
from vmm.loader.format import Format, refuse
from vmm.loader.layout import Layout
from vmm.loader.plan import BootPlan, BootRequest, CpuState
from vmm.loader.view import ImageView

SIGNATURE, SIGNATURE_AT = b"\x55\xaa", 510
LOAD_ADDRESS = 0x7C00
MAX_FLAT = 32 << 10
FIRST_DISK = 0x80


def probe(view: ImageView) -> bool:
    """The signature at the end of the first sector; a kernel cut short has it too, behind its EFI header."""
    return view.starts_with(SIGNATURE, SIGNATURE_AT) and not view.starts_with(b"MZ")


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for a small flat image; ImageError for a disk."""
    if len(view) > MAX_FLAT:
        raise view.error(
            f"a disk image of {len(view)} bytes (boot signature in its first sector)",
            offset=SIGNATURE_AT,
            remedy="booting from disks comes with the SCSI adapter, which is not built yet",
        )
    refuse(request, "boot-sector", "append", "initrd", "modules")
    layout = Layout(view, request)
    layout.fixed(LOAD_ADDRESS, view.data, "boot sector")
    place_bios_area(layout)
    cpu = CpuState("real", LOAD_ADDRESS, {"rdx": FIRST_DISK, "rsp": LOAD_ADDRESS})
    return BootPlan("boot-sector", view.path, layout.blobs, cpu, None, None, ())


FORMAT = Format("boot-sector", ("boot-sector",), probe, plan)
