"""csrc/sbe/ built alone, without engine or monitor, and opened through cffi: what these tests use."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import capstone
import cffi

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "csrc" / "sbe").glob("*.c"))
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
MODES = {"16": 0, "32": 1, "64": 2, "vm86": 3}
PROFILES = {"full": 0, "adaptive": 1, "off": 2}
POLICIES = {"native": 0, "trap": 1, "inline": 2}


def capstone_folder() -> Path:
    """Where the wheel keeps its headers (`include/`) and its shared library (`lib/`)."""
    return Path(str(capstone.__file__)).parent


def compiler_flags() -> list[str]:
    """Include paths and warnings of the real build."""
    system = capstone_folder() / "include"
    return [*WARNINGS, f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'csrc' / 'include'}", "-isystem", str(system)]


def linker_flags(folder: Path) -> list[str]:
    """Capstone from the wheel, and a link in `folder` by the SONAME that the loader looks for."""
    library = capstone_folder() / "lib" / "libcapstone.so"
    (folder / "libcapstone.so.5").symlink_to(library)
    return [str(library), f"-Wl,-rpath,{folder}"]


def _declarations(header: str, first: str) -> str:
    """The header without what it includes: cffi reads plain declarations only."""
    path = ROOT / "csrc" / "include" / header
    command = ["gcc", "-E", "-P", *compiler_flags(), str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return text[text.index(first) :]


@lru_cache(maxsize=1)
def load() -> tuple[Any, Any]:
    """(ffi, library). Built once per test process, with the library and its symbols as C has them."""
    ffi = cffi.FFI()
    ffi.cdef(_declarations("vmk_sbe.h", "enum sbe_mode {"))
    ffi.cdef(_declarations("vmk_sbe_table.h", "struct vmk_sbe_insn_info {"))
    with TemporaryDirectory(prefix="sbe-") as folder:
        target = Path(folder) / "libsbe.so"
        command = [
            "gcc",
            "-O2",
            "-g",
            "-fPIC",
            "-shared",
            *compiler_flags(),
            "-o",
            str(target),
            *map(str, SOURCES),
        ]
        subprocess.run([*command, *linker_flags(Path(folder))], check=True)
        return ffi, ffi.dlopen(str(target))


def insn_numbers() -> dict[str, int]:
    """Row number by SBE_INSN_ name."""
    ffi, lib = load()
    info = ffi.new("struct vmk_sbe_insn_info *")
    return {text(info.id): n for n in range(lib.vmk_sbe_insn_count()) if lib.vmk_sbe_insn(n, info) == 0}


def text(pointer: Any) -> str:
    """A static C string."""
    ffi, _ = load()
    return str(ffi.string(pointer).decode())


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement as the engine gets it."""

    pc: int
    site: int
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """What one or more calls of the scanner settled."""

    end: int
    resume: int
    truncated: bool
    undecodable: bool
    insns: int
    patches: tuple[Patch, ...]


class Scanner:
    """One `struct sbe`, for one test."""

    def __init__(self, profile: str, *, max_sites: int = 0, prefilter: bool = True) -> None:
        self.ffi, self.lib = load()
        config = self.ffi.new("struct sbe_config *", [PROFILES[profile], max_sites, not prefilter])
        self.handle = self.lib.sbe_create(config)
        assert self.handle != self.ffi.NULL
        self._out = self.ffi.new("struct sbe_scan *")

    def close(self) -> None:
        self.lib.sbe_destroy(self.handle)

    def error(self) -> str:
        return text(self.lib.sbe_error(self.handle))

    def scan(self, mode: str, pc: int, code: bytes, *, cpl: int = 0, adaptive: bool = False) -> Scan:
        """One call for a new block; raises AssertionError with the scanner's own line on failure."""
        self._out.adaptive = adaptive
        result = self.lib.sbe_scan(self.handle, MODES[mode], cpl, pc, code, len(code), self._out)
        assert result == 0, self.error()
        return self._snapshot()

    def more(self, code: bytes) -> Scan:
        """Go on with the bytes from the last `resume` on."""
        result = self.lib.sbe_scan_more(self.handle, code, len(code), self._out)
        assert result == 0, self.error()
        return self._snapshot()

    def block(self, mode: str, code: bytes, until: int, *, pc: int = 0x1000, cpl: int = 0) -> Scan:
        """Scan as an engine does that fetches byte after byte up to offset `until` of `code`."""
        scan = self.scan(mode, pc, code, cpl=cpl)
        while scan.end < pc + until and not scan.truncated:
            scan = self.more(code[scan.resume - pc :])
        return scan

    def identify(self, mode: str, code: bytes) -> tuple[int, int] | None:
        """(row, length) of the sensitive instruction `code` starts with."""
        length = self.ffi.new("unsigned *")
        row = self.lib.sbe_identify(self.handle, MODES[mode], code, len(code), length)
        return None if row == self.lib.SBE_INSN_COUNT else (row, length[0])

    def site(self, number: int) -> Any:
        """`struct sbe_site`; raises AssertionError if there is none."""
        site = self.lib.sbe_site(self.handle, number)
        assert site != self.ffi.NULL
        return site

    def stats(self) -> Any:
        out = self.ffi.new("struct sbe_stats *")
        self.lib.sbe_stats(self.handle, out)
        return out

    def _snapshot(self) -> Scan:
        out = self._out
        patches = tuple(Patch(p.pc, p.site, bytes(p.bytes)[: p.len]) for p in out.patch[0 : out.n])
        return Scan(out.end, out.resume, out.truncated, out.undecodable, out.insns, patches)


@contextmanager
def scanner(profile: str, *, max_sites: int = 0, prefilter: bool = True) -> Iterator[Scanner]:
    """A scanner that is destroyed at the end."""
    one = Scanner(profile, max_sites=max_sites, prefilter=prefilter)
    try:
        yield one
    finally:
        one.close()


def parse_hex(code: str) -> bytes:
    """Bytes from hex digits with spaces and nothing else."""
    assert re.fullmatch(r"[0-9a-f ]*", code)
    return bytes.fromhex(code)
