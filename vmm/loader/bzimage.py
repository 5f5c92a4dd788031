"""Linux bzImage (Documentation/x86/boot.rst, protocol 2.00 to 2.15): four ways into one file.

linux    the payload is decompressed here and the vmlinux inside entered directly: the guest is spared
         seconds of running its own decompressor. The kernel runs where it was linked; relocations appended
         to the payload are not applied, which a kernel takes for `nokaslr`.
linux64  the bzImage's own 64-bit entry at load address + 0x200; the guest decompresses itself, with KASLR.
linux32  its 32-bit entry at `code32_start`: kernels without a payload (memtest86+) or without 64-bit code.
pvh      the payload's vmlinux through its PVH note.
The 16-bit entry is left out: it calls the BIOS, so it belongs to booting from a disk through firmware.
"""

from __future__ import annotations

from vmm.loader import elf, plain_elf, pvh
from vmm.loader.bios_area import place_bios_area
from vmm.loader.boot_params import LINUX_LOW, place_boot_params
from vmm.loader.bzimage_header import BzHeader, read_header
from vmm.loader.bzimage_payload import has_known_payload, unpack_payload
from vmm.loader.format import Format, refuse
from vmm.loader.handoff import long_cpu, place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.view import ImageView

ENTRY64 = 0x200
ELF64_IDENT = elf.MAGIC + b"\x02"


def probe(view: ImageView) -> bool:
    """A boot flag at 0x1FE and "HdrS" at 0x202; the file may start with a PE header (EFI stub) or not."""
    return view.starts_with(b"\x55\xaa", 0x1FE) and view.starts_with(b"HdrS", 0x202)


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for a bzImage by the way in the request insists on, or the best one there is."""
    header = read_header(view)
    if request.protocol in ("linux64", "linux32"):
        return _enter_loaded(view, request, header, request.protocol)
    if request.protocol is None and not (header.has_64bit_entry and has_known_payload(view, header)):
        # memtest86+ offers both entries but has no payload; loaders have always used the 32-bit one.
        wide = header.has_64bit_entry and header.payload_size
        return _enter_loaded(view, request, header, "linux64" if wide else "linux32")
    return _enter_payload(view, request, header)


def _enter_payload(view: ImageView, request: BootRequest, header: BzHeader) -> BootPlan:
    payload = unpack_payload(view, header)
    if request.protocol is None and not payload.starts_with(ELF64_IDENT):
        return _enter_loaded(view, request, header, "linux64")
    vmlinux = elf.parse(payload)
    notes = (f"decompressed {header.payload_size} bytes to a vmlinux of {len(payload)}",)
    if request.protocol == "pvh":
        return pvh.plan_elf(vmlinux, request, notes)
    return plain_elf.plan_elf(vmlinux, request, header.setup, "linux", notes)


def _enter_loaded(view: ImageView, request: BootRequest, header: BzHeader, protocol: str) -> BootPlan:
    """Load the protected-mode part as it is and enter it; it will decompress itself."""
    if protocol == "linux64" and not header.has_64bit_entry:
        raise view.error("the kernel has no 64-bit entry", offset=0x236, remedy="boot it as linux32")
    refuse(request, protocol, "modules")
    layout = Layout(view, request)
    _place_kernel(layout, view, header)
    place_bios_area(layout)
    params = place_boot_params(layout, view, header.setup, request)
    registers = {"rsi": params, "rsp": place_stack(layout, LINUX_LOW)}
    if protocol == "linux64":
        cpu = long_cpu(layout, header.load_address + ENTRY64, registers, prefer=LINUX_LOW)
    else:
        cpu = protected_cpu(layout, header.load_address, registers, prefer=LINUX_LOW)
    return BootPlan(protocol, view.path, layout.blobs, cpu, None, None, ())


def _place_kernel(layout: Layout, view: ImageView, header: BzHeader) -> None:
    """The protected-mode part, and behind it the memory the kernel will use before it knows the map."""
    kernel = memoryview(view.data)[header.kernel_offset :]
    end = header.load_address + len(kernel)
    used_until = header.runtime_start + header.init_size
    if used_until > end:
        layout.claim(end, used_until - end, "the kernel's working memory (init_size)", offset=0x260)
    layout.fixed(header.load_address, kernel, "the protected-mode kernel", offset=0x214)


FORMAT = Format("bzimage", ("linux", "linux64", "linux32", "pvh"), probe, plan)
