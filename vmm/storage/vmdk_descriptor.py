"""The descriptor of a VMDK: a small text that says what a disk consists of.

Follows VMware's "Virtual Disk Format 5.0". Lines are `name=value` or `access sectors type "file" offset`;
names are compared without case, and those we do not know are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vmm.errors import ImageError

MAGIC = b"# Disk DescriptorFile"
MAX_BYTES = 1 << 20
NO_PARENT = 0xFFFFFFFF
UNKNOWN_PARENT = 0xFFFFFFFE
"""Parent content ID where the parent's format has none."""

_EXTENT = re.compile(
    r'(?P<access>RW|RDONLY|NOACCESS)\s+(?P<sectors>[0-9]+)\s+(?P<kind>[A-Z]+)(?:\s+"(?P<file>[^"]*)"(?:\s+(?P<at>[0-9]+))?)?\s*',
    re.IGNORECASE,
)
_SETTING = re.compile(r'\s*(?P<name>[A-Za-z_][\w.]*)\s*=\s*"?(?P<value>[^"]*)"?\s*')
_MAX_EXTENTS = 4096


@dataclass(frozen=True, slots=True)
class Extent:
    """A piece of the disk. `offset` is where it starts in a flat file, in sectors."""

    access: str
    sectors: int
    kind: str
    file: str
    offset: int = 0

    def line(self) -> str:
        """As the descriptor has it."""
        at = f" {self.offset}" if self.kind in {"FLAT", "VMFS"} else ""
        return f'{self.access} {self.sectors} {self.kind} "{self.file}"{at}'


@dataclass(frozen=True, slots=True)
class Descriptor:
    """`parent` is the hint where to find the file under this one, "" if there is none."""

    create_type: str
    cid: int
    extents: Sequence[Extent]
    parent: str = ""
    parent_cid: int = NO_PARENT
    ddb: Mapping[str, str] = field(default_factory=dict)

    @property
    def sectors(self) -> int:
        """Size of the disk."""
        return sum(extent.sectors for extent in self.extents)

    def text(self) -> str:
        """As a file."""
        lines = [MAGIC.decode(), "version=1", f"CID={self.cid:08x}", f"parentCID={self.parent_cid:08x}"]
        lines.append(f'createType="{self.create_type}"')
        if self.parent:
            lines.append(f'parentFileNameHint="{self.parent}"')
        lines += ["", "# Extent description", *(extent.line() for extent in self.extents)]
        lines += ["", "# The Disk Data Base", "#DDB", ""]
        lines += [f'{name} = "{value}"' for name, value in self.ddb.items()]
        return "\n".join(lines) + "\n"


def is_descriptor(head: bytes) -> bool:
    """Whether a file that starts like this is a descriptor."""
    return head[: len(MAGIC)].lower() == MAGIC.lower()


def parse(data: bytes, path: Path) -> Descriptor:
    """The descriptor in `data`, which ends at the first zero byte; ImageError for what cannot be."""
    settings: dict[str, str] = {}
    ddb: dict[str, str] = {}
    extents: list[Extent] = []
    for number, line in enumerate(data.partition(b"\0")[0].decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _EXTENT.fullmatch(line):
            extents.append(_extent(match, path, number))
        elif match := _SETTING.fullmatch(line):
            name = match["name"]
            if name.lower().startswith("ddb."):
                ddb[name] = match["value"]
            else:
                settings[name.lower()] = match["value"]
        else:
            raise ImageError(path, f"line {number} of the descriptor is neither a setting nor an extent")
    if not extents or len(extents) > _MAX_EXTENTS:
        raise ImageError(path, f"the descriptor names {len(extents)} extents; a disk has 1 to {_MAX_EXTENTS}")
    return Descriptor(
        create_type=settings.get("createtype", ""),
        cid=_hex(settings, "cid", path, 0),
        extents=extents,
        parent=settings.get("parentfilenamehint", ""),
        parent_cid=_hex(settings, "parentcid", path, NO_PARENT),
        ddb=ddb,
    )


def _extent(match: re.Match[str], path: Path, number: int) -> Extent:
    sectors, offset = match["sectors"], match["at"] or "0"
    if len(sectors) > 18 or len(offset) > 18 or not int(sectors):
        raise ImageError(path, f"line {number} of the descriptor: an extent of impossible size")
    return Extent(
        match["access"].upper(), int(sectors), match["kind"].upper(), match["file"] or "", int(offset)
    )


def _hex(settings: Mapping[str, str], name: str, path: Path, default: int) -> int:
    text = settings.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", text):
        raise ImageError(path, f"the descriptor's {name} '{text[:20]}' is no number of 8 hex digits")
    return int(text, 16)


def edited(data: bytes, settings: Mapping[str, str], sectors: int | None) -> bytes:
    """A descriptor with other values for settings that it has, and another size of its only extent; all else,
    what we do not know too, stays as it is."""
    text = data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    for name, value in settings.items():
        quote = "" if name.endswith("CID") else '"'
        line = f"{name}={quote}{value}{quote}"
        text = re.sub(rf"(?im)^[ \t]*{name}[ \t]*=.*$", lambda _, line=line: line, text)  # type: ignore[misc]
    if sectors is not None:
        text = re.sub(r"(?im)^([ \t]*RW[ \t]+)[0-9]+", rf"\g<1>{sectors}", text)
    return text.encode("utf-8", "surrogateescape")


def cid_place(data: bytes) -> tuple[int, int] | None:
    """Offset and length of the digits of `CID=` in a descriptor, if a new number of 8 digits fits there."""
    match = re.search(rb"(?im)^[ \t]*CID[ \t]*=[ \t]*([0-9a-f]{8})[ \t]*\r?$", data.partition(b"\0")[0])
    return (match.start(1), 8) if match else None
