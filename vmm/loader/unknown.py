"""What to say about a file that no format claims: name what it is, if that is easy to see."""

from __future__ import annotations

from vmm.errors import ImageError
from vmm.loader.view import ImageView

FORMATS_READ = "ELF, Multiboot 1 and 2, PVH, Linux bzImage, ROM, boot sector"

# magic, offset, what the file is
_KNOWN = (
    (b"CD001", 0x8001, "an ISO 9660 CD image; a CD drive is not built"),
    (b"MZ", 0, "a DOS or EFI program; there is no EFI here"),
    (b"070701", 0, "a cpio archive: an initrd, not a kernel"),
    (b"07070", 0, "a cpio archive: an initrd, not a kernel"),
    (b"ustar", 257, "a tar archive"),
    (b"PK\x03\x04", 0, "a zip archive"),
    (b"!<arch>\n", 0, "an ar archive: a Debian package or a library"),
    (b"QFI\xfb", 0, "a QCOW2 disk image; disks come with the SCSI adapter"),
    (b"KDMV", 0, "a VMDK disk image; disks come with the SCSI adapter"),
    (b"\x55\xaa", 0, "an option ROM, which a BIOS would call"),
    (b"\x1f\x8b", 0, "compressed twice"),
    (b"BZh", 0, "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", 0, "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed with zstd; unpack it first"),
)
_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\n\r\f\x1b") | frozenset(range(0x80, 0x100))


def unknown(view: ImageView) -> ImageError:
    """The error (not raised) for an image of no known format."""
    what = next((name for magic, at, name in _KNOWN if view.starts_with(magic, at)), None)
    if what is None and _TEXT.issuperset(view.data[:4096]):
        what = "a text file"
    if what is None:
        what = f"no known format; it starts with {view.data[:8].hex(' ')}"
    return view.error(f"not a bootable image: {what}", offset=0, remedy=f"bootable are {FORMATS_READ}")
