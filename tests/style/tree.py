"""The project's own source files, and what every rule returns: findings as `path:line: what is wrong`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON_FOLDERS = ("vmm", "tests", "bench", "guests")
C_FOLDERS = ("csrc", "guests", "tests")
_C_SUFFIXES = (".c", ".h", ".def")
_BUILT = frozenset({"build", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Source:
    """One source file; `path` is relative to the project."""

    path: Path
    text: str

    def at(self, line: int, what: str) -> str:
        """A finding at `line`, counted from 1."""
        return f"{self.path}:{line}: {what}"


def python_sources() -> list[Source]:
    """Every Python file of the project, setup.py included."""
    return [*_sources(PYTHON_FOLDERS, (".py",)), *map(_read, sorted(ROOT.glob("*.py")))]


def c_sources() -> list[Source]:
    """Every C file, header and X-macro table of the project."""
    return list(_sources(C_FOLDERS, _C_SUFFIXES))


def assembly_sources() -> list[Source]:
    """Every assembler file of the project."""
    return list(_sources(C_FOLDERS, (".S",)))


def _sources(folders: tuple[str, ...], suffixes: tuple[str, ...]) -> Iterator[Source]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and _BUILT.isdisjoint(path.relative_to(ROOT).parts):
                yield _read(path)


def _read(path: Path) -> Source:
    return Source(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
