"""Proves that each codec inverts its compressor, stops at its limit, and reports damage as one exception."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import sys
import zlib
from collections.abc import Callable

import lz4.block
import lzallright
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vmm.loader.codecs import DecompressError, decompress, find_codec


def lz4_legacy(data: bytes) -> bytes:
    out = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        packed = lz4.block.compress(data[start : start + (8 << 20)], store_size=False)
        out += struct.pack("<I", len(packed)) + packed
    return out


def lzop(data: bytes, flags: int = 0x3) -> bytes:
    """The container as lzop 1.04 writes it, with checksums of plain and packed bytes."""
    compressor = lzallright.LZOCompressor()
    head = struct.pack(">HHHBBIIIIB", 0x1040, 0x20A0, 0x940, 1, 5, flags, 0o100644, 0, 0, 1) + b"k"
    out = b"\x89LZO\x00\r\n\x1a\n" + head + struct.pack(">I", zlib.adler32(head))
    for start in range(0, len(data), 256 << 10):
        plain = data[start : start + (256 << 10)]
        packed = bytes(compressor.compress(plain))
        stored = len(packed) >= len(plain)
        packed = plain if stored else packed
        out += struct.pack(">III", len(plain), len(packed), zlib.adler32(plain))
        out += (b"" if stored else struct.pack(">I", zlib.adler32(packed))) + packed
    return out + bytes(4)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4_legacy,
    "lzo": lzop,
}
TEXT = b"scan before execution " * 5000 + bytes(range(256)) * 4


def unpack(packed: bytes, limit: int) -> bytes:
    codec = find_codec(packed)
    assert codec is not None
    return decompress(codec, packed, limit)[:]


@pytest.mark.parametrize("name", PACKERS)
def test_codec_is_found_by_magic_and_inverts_its_compressor(name: str) -> None:
    packed = PACKERS[name](TEXT)
    codec = find_codec(packed)
    assert codec is not None
    assert codec.name == name
    assert unpack(packed, len(TEXT)) == TEXT


@pytest.mark.parametrize("name", PACKERS)
def test_one_byte_over_the_limit_is_refused(name: str) -> None:
    with pytest.raises(DecompressError, match="more than the"):
        unpack(PACKERS[name](TEXT), len(TEXT) - 1)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "lzma", "xz", "lz4", "lzo"])
def test_stream_cut_short_is_refused(name: str) -> None:
    packed = PACKERS[name](TEXT)
    with pytest.raises(DecompressError):
        unpack(packed[: len(packed) // 2], len(TEXT))


def test_zstd_cut_short_gives_less_for_its_caller_to_notice() -> None:
    packed = PACKERS["zstd"](TEXT)
    try:
        assert len(unpack(packed[: len(packed) // 2], len(TEXT))) < len(TEXT)
    except DecompressError as error:
        assert "zstd" in str(error)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_bytes_behind_the_stream_are_ignored(name: str) -> None:
    assert unpack(PACKERS[name](TEXT) + b"\x01\x02\x03\x04", len(TEXT)) == TEXT


def test_lz4_content_of_several_blocks() -> None:
    content = bytes(9 << 20)
    assert unpack(lz4_legacy(content), len(content)) == content


def test_lzo_without_its_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = lzop(TEXT)
    monkeypatch.setitem(sys.modules, "lzallright", None)
    with pytest.raises(DecompressError, match="pip install lzallright"):
        unpack(packed, len(TEXT))


@pytest.mark.parametrize("name", PACKERS)
@given(position=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_any_flipped_byte_gives_an_answer_or_a_decompress_error(name: str, position: int, value: int) -> None:
    data = TEXT[:3000]
    packed = bytearray(PACKERS[name](data))
    packed[position % len(packed)] = value
    codec = find_codec(PACKERS[name](data))
    assert codec is not None
    try:
        assert len(decompress(codec, bytes(packed), 1 << 16)) <= 1 << 16
    except DecompressError as error:
        assert str(error)
