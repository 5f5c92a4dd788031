"""The compressed vmlinux inside a bzImage: where it is, which codec, and what comes out.

The build appends the uncompressed size to every payload as a little-endian u32 (for gzip it is the stream's
own last field). It bounds the decompression and proves it complete.
"""

from __future__ import annotations

from mmap import mmap

from vmm.loader.bzimage_header import BzHeader
from vmm.loader.codecs import CODECS, Codec, DecompressError, decompress, find_codec
from vmm.loader.view import MAX_IMAGE, ImageView

SIZE_FIELD = 4


def unpack_payload(view: ImageView, header: BzHeader) -> ImageView:
    """The vmlinux as an image of its own; ImageError when there is none or it is damaged."""
    if not header.payload_size:
        raise view.error(
            "the kernel carries no payload to decompress", offset=0x24C, remedy="boot it as linux32"
        )
    data = view.window(header.payload_offset, header.payload_size, "the compressed kernel")
    codec = find_codec(data)
    if codec is None:
        names = ", ".join(codec.name for codec in CODECS)
        raise view.error(
            f"the compressed kernel starts with {data[:6].hex(' ')}, none of {names}",
            offset=header.payload_offset,
            remedy="boot it as linux64 or linux32",
        )
    return ImageView(view.path, _unpack(view, header, codec, data), f"the decompressed {codec.name} payload")


def has_known_payload(view: ImageView, header: BzHeader) -> bool:
    """Whether there is a payload in a format that can be decompressed here."""
    start = view.data[header.payload_offset : header.payload_offset + 16]
    return bool(header.payload_size) and find_codec(start) is not None


def _unpack(view: ImageView, header: BzHeader, codec: Codec, data: memoryview) -> bytes | mmap:
    size = int.from_bytes(data[-SIZE_FIELD:], "little")
    end = header.payload_offset + len(data)
    if not 0 < size <= MAX_IMAGE:
        raise view.error(
            f"the kernel's uncompressed size is given as {size} bytes; 1 GiB is the limit",
            offset=end - SIZE_FIELD,
        )
    try:
        # A gzip stream ends with the field itself; the other decoders stop before it, or must (LZ4).
        out = decompress(codec, data if codec.name == "gzip" else data[:-SIZE_FIELD], size)
    except DecompressError as error:
        raise view.error(
            str(error),
            offset=header.payload_offset + error.offset,
            remedy="is the file truncated or damaged?",
        ) from None
    if len(out) != size:
        raise view.error(
            f"the {codec.name} payload decompressed to {len(out)} bytes, its size field says {size}",
            offset=end - SIZE_FIELD,
            remedy="is the file truncated or damaged?",
        )
    return out
