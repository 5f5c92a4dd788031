"""What the build needs of the machine before there is a `.venv`: each missing thing is named with its
Debian package, and installed if we are root. Runs on the system's python3 with the standard library
alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

OLDEST = (3, 11)


def _has_header() -> bool:
    return Path(sysconfig.get_paths()["include"], "Python.h").is_file()


def _has_ensurepip() -> bool:
    # Debian leaves venv in python3 and puts the pip that venv copies into python3-venv.
    return importlib.util.find_spec("ensurepip") is not None


# What is needed, whether it is there, which package of Debian 12 has it.
NEEDS: tuple[tuple[str, Callable[[], bool], str], ...] = (
    ("the C compiler gcc", lambda: shutil.which("gcc") is not None, "gcc"),
    ("the C library's headers", lambda: Path("/usr/include/stdlib.h").is_file(), "libc6-dev"),
    ("the tool objcopy", lambda: shutil.which("objcopy") is not None, "binutils"),
    ("Python's module venv", _has_ensurepip, "python3-venv"),
    ("Python's C header Python.h", _has_header, "python3-dev"),
    ("zlib's header zlib.h", lambda: Path("/usr/include/zlib.h").is_file(), "zlib1g-dev"),
)


def missing() -> list[tuple[str, str]]:
    """(need, package) of each need that is not met."""
    return [(what, package) for what, met, package in NEEDS if not met()]


def install(packages: list[str]) -> None:
    """apt-get install as root; a failure shows as the need that is still missing."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing " + " ".join(packages), flush=True)
    for arguments in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *arguments], stdout=subprocess.DEVNULL, check=False)
    importlib.invalidate_caches()


def main() -> int:
    """Exit code 1 with a line for each thing that is missing and stays so."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"{sys.executable} is Python {found}; 3.11 or newer is needed: make PYTHON=…", file=sys.stderr)
        return 1
    if needs := missing():
        install([package for _, package in needs])
    for what, package in (needs := missing()):
        print(f"{what} is missing: as root, apt-get install {package}", file=sys.stderr)
    return 1 if needs else 0


if __name__ == "__main__":
    sys.exit(main())
