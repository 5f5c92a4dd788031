"""gzip, with the standard library's zlib."""

from __future__ import annotations

import zlib

from vmm.loader.codecs.errors import Buffer, DecompressError, cut_short


def gzip(data: Buffer, limit: int) -> bytes:
    """RFC 1952; only the first member."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        out = decoder.decompress(data, limit + 1)
    except zlib.error as error:
        raise DecompressError(f"damaged gzip data: {error}") from None
    if not decoder.eof and len(out) <= limit:
        raise cut_short("gzip", data)
    return out
