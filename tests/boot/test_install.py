"""Proves that what is published works: the sdist is complete, and pip makes of it, in an environment that has
nothing else, a `vmm` command and an `import vmm` that boot a guest."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests import packages
from tests.boot.command import vmm_run
from tests.guests_build import guest
from tests.packages import ROOT

SOURCES = {
    "csrc": {".c", ".h", ".def", ".py"},
    "guests": {".c", ".h", ".S", ".ld", ".md", ".mk"},
    "vmm": {".py"},
}
FILES = ("pyproject.toml", "setup.py", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "guests/Makefile")
IMPORTED = (
    "from vmm import Machine\nwith Machine({path!r}) as vm: print(vm.run(timeout=5).outcome, vm.serial.text)"
)
OFFLINE = (
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Failed to establish a new connection",
)


def _python(*arguments: str | Path, python: Path = Path(sys.executable), cwd: Path = ROOT) -> str:
    """Output of a Python command that must succeed; only what is installed is on its path."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(word) for word in (python, *arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if any(sign in done.stderr for sign in OFFLINE):
        packages.missing(f"no package index: {' '.join(command)}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, made from a copy's clean egg-info."""
    folder = tmp_path_factory.mktemp("sdist")
    _python("setup.py", "-q", "egg_info", "--egg-base", folder, "sdist", "--dist-dir", folder)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _expected() -> set[str]:
    return set(FILES) | {
        str(path.relative_to(ROOT))
        for folder, suffixes in SOURCES.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and "build" not in path.relative_to(ROOT).parts[1:2]
    }


def test_sdist_is_complete_and_clean(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _expected() - names == set()
    assert [
        name for name in names if name.endswith((".so", ".o", ".pyc")) or name.startswith("guests/build/")
    ] == []


def test_installed_command_and_module_boot_a_guest(sdist: Path, tmp_path: Path) -> None:
    _python("-m", "venv", tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    _python("-m", "pip", "install", "--quiet", sdist, python=python, cwd=tmp_path)
    hello = guest("boot/multiboot1.elf")
    end = vmm_run(hello, program=[python.with_name("vmm")], cwd=tmp_path)
    assert (end.code, end.serial.splitlines()[0]) == (0, "hello from multiboot1")
    printed = _python("-c", IMPORTED.format(path=str(hello)), python=python, cwd=tmp_path)
    assert printed.startswith("poweroff hello from multiboot1\n")
    assert (
        "vmm run"
        in subprocess.run(
            [python.with_name("vmm"), "run", "--help"], capture_output=True, text=True, check=True
        ).stdout
    )
