"""Modules of Debian's generic kernel, with what they need, in the order in which they are inserted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests import packages

PACKAGE = "linux-image-amd64"
# Not named as dependencies: asked for by name when a file system or a disk is used.
SOFT = {"ext4": ("crc32c_generic",), "sd_mod": ("t10_pi",)}


def with_dependencies(names: Iterable[str]) -> list[Path]:
    """Files of the modules called `names` and of all that they need, dependencies first."""
    ordered: dict[str, Path] = {}
    for name in names:
        _add(name.replace("-", "_"), ordered)
    return list(ordered.values())


def insertion(
    names: Iterable[str], parameters: Mapping[str, str] | None = None
) -> tuple[dict[str, bytes], str]:
    """(files, shell commands) that put modules with what they need into an initramfs and insert them;
    `parameters` by module."""
    modules = with_dependencies(names)
    given = parameters or {}
    lines = [f"insmod /lib/modules/{m.name} {given.get(m.stem, '')}".rstrip() for m in modules]
    return {f"lib/modules/{m.name}": m.read_bytes() for m in modules}, "\n".join(lines) + "\n"


def _add(name: str, ordered: dict[str, Path]) -> None:
    if name in ordered or name not in _files():
        return
    path = _files()[name]
    for needed in (*_depends(path), *SOFT.get(name, ())):
        _add(needed, ordered)
    ordered[name] = path


@cache
def _files() -> dict[str, Path]:
    root = packages.require(PACKAGE, "lib/modules/*/kernel/drivers/message/fusion/mptspi.ko").parents[4]
    return {path.stem.replace("-", "_"): path for path in root.rglob("*.ko")}


def _depends(path: Path) -> list[str]:
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".modinfo")
        entries = section.data().split(b"\0") if section is not None else []
    for entry in entries:
        if entry.startswith(b"depends="):
            return [name.replace("-", "_") for name in entry[8:].decode().split(",") if name]
    return []
