"""Command lines as bytes for the guest."""

from __future__ import annotations

from pathlib import Path

from vmm.errors import UsageError
from vmm.loader.view import ImageView

MAX_COMMAND_LINE = 64 << 10
"""For protocols that set no limit of their own."""


def cstring(view: ImageView, text: str, limit: int = MAX_COMMAND_LINE) -> bytes:
    """`text` in UTF-8 with a closing NUL; errors when it holds one or is longer than `limit` bytes."""
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise UsageError("the command line holds a NUL character, which would end it early; remove it")
    if len(data) > limit:
        raise view.error(
            f"the command line has {len(data)} bytes, this kernel takes {limit}", remedy="shorten --append"
        )
    return data + b"\0"


def with_program_name(path: Path, args: str) -> str:
    """`args` behind the file's name, as Multiboot loaders pass it; kernels drop the first word."""
    name = "_".join(path.name.split()) or "kernel"
    return f"{name} {args}".rstrip()
