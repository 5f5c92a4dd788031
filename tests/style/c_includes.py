"""The layers of the C code: which folder of csrc/ may include what."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.style.tree import Source

_INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Owner:
    """Headers matching `pattern` belong to one folder of csrc/ and are included nowhere else."""

    pattern: str
    folder: str


OWNERS = (
    Owner(r"unicorn/.*|uc_priv\.h|qemu/.*", "engine"),
    Owner(r"(.*/)?private\.h", "engine"),
    Owner(r"capstone/.*", "sbe"),
)
# Folders named here include only these folders; a folder not named is free.
ALLOWED = {
    "dev": frozenset({"dev", "io", "mem", "blk", "net", "core"}),
    "sbe": frozenset({"sbe", "core"}),
    # A compiler of instructions; of the engine it knows the guest's register file.
    "direct": frozenset({"direct", "engine"}),
}


def include_findings(source: Source) -> list[str]:
    """Includes of `source`, a file under csrc/, that cross a border."""
    findings = []
    for match in _INCLUDE.finditer(source.text):
        if (objection := _objection(source, match[1], match[2])) is not None:
            findings.append(source.at(source.text.count("\n", 0, match.start(2)) + 1, objection))
    return findings


def _objection(source: Source, quote: str, header: str) -> str | None:
    own = source.path.parts[1]
    for owner in OWNERS:
        if re.fullmatch(owner.pattern, header) and own != owner.folder:
            return f"only {owner.folder}/ includes {header}"
    if quote == "<" or own not in ALLOWED:
        return None
    target = _folder_of(source, header)
    return None if target in ALLOWED[own] else f"{own}/ does not include {target}/ ({header})"


def _folder_of(source: Source, header: str) -> str:
    """Folder of csrc/ that a quoted header is in: headers are named from csrc/, or stand beside the file, or
    are the public one, which everybody may include."""
    path = PurePosixPath(posixpath.normpath(source.path.parent / header)) if header.startswith(".") else None
    if path is not None:
        return path.parts[1]
    return header.partition("/")[0] if "/" in header else source.path.parts[1]
