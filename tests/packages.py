"""Debian packages the tests boot or check against: fetched once with apt, unpacked without installing.

`python -m tests.packages fetch` downloads every package of `CATALOGUE` that is not unpacked yet; tests ask
for one file with `require`. A test never touches the network itself.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
REMEDY = "run make packages"
MISSING = (pytest.skip.Exception, pytest.fail.Exception)
"""What `require` raises, for programs that are no tests."""


class FetchError(Exception):
    """One line: which package, what apt said, what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """`meta` matches the dependency that has the files, for packages that are only a name for the newest
    version of another. `program` is set for packages whose libraries make an unpacked copy useless: they are
    installed, and only as root."""

    name: str
    meta: str | None = None
    program: str | None = None


CATALOGUE = {
    package.name: package
    for package in (
        Package("linux-image-cloud-amd64", meta=r"linux-image-[0-9].*-cloud-amd64"),
        Package("linux-image-amd64", meta=r"linux-image-[0-9].*-amd64"),
        Package("memtest86+"),
        Package("xen-hypervisor-4.17-amd64"),
        Package("seabios"),
        Package("grub-firmware-qemu"),
        Package("u-boot-qemu"),
        Package("ipxe"),
        Package("ipxe-qemu"),
        Package("busybox-static"),
        Package("acpica-tools"),
        Package("grub-pc-bin"),
        Package("grub-common"),
        Package("isolinux"),
        Package("syslinux-common"),
        Package("libdevmapper1.02.1"),
        Package("e2fsprogs"),
        Package("qemu-system-x86", program="qemu-system-x86_64"),
        Package("tshark", program="tshark"),
        Package("qemu-utils", program="qemu-img"),
        Package("chromium", program="chromium"),
    )
}


def cache_folder() -> Path:
    """Where packages are unpacked: `$VMM_PACKAGES`, else `.cache/packages` under the project."""
    return Path(os.environ.get("VMM_PACKAGES") or ROOT / ".cache" / "packages")


def find(name: str, pattern: str) -> Path | None:
    """First file of package `name` whose path in the package matches glob `pattern`, or None."""
    if name not in CATALOGUE:
        raise KeyError(f"package {name} is not in tests/packages.py: add it to CATALOGUE")
    matches = sorted((cache_folder() / name).glob(pattern))
    return next((path for path in matches if path.is_file()), None)


def require(name: str, pattern: str) -> Path:
    """Like `find`, but a missing file skips the calling test, or fails it where `CI` is set."""
    return find(name, pattern) or missing(f"package {name} missing: {REMEDY} (no file {pattern})")


def require_program(name: str) -> Path:
    """An installed program (`qemu-system-x86_64`); a missing one is handled as in `require`."""
    found = shutil.which(name)
    return Path(found) if found else missing(f"program {name} missing: {REMEDY}, as root")


def missing(message: str) -> NoReturn:
    """Skip the calling test for something this machine lacks, or fail it where `CI` is set."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


class Apt:
    """apt-get with package lists of its own when the system's are missing or stale, so no root is needed."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._options: list[str] = []

    def download(self, names: Sequence[str], folder: Path) -> list[Path]:
        """Download the newest version of each package into `folder`; refresh the lists once if that fails."""
        self._with_fresh_lists(lambda: self._run(["apt-get", "download", *names], folder))
        return sorted(folder.glob("*.deb"))

    def dependencies(self, name: str) -> list[str]:
        """Names that package `name` depends on, in the order of its control file."""
        text = self._with_fresh_lists(lambda: self._run(["apt-cache", "depends", name], self._state))
        return re.findall(r"^\s*Depends: (\S+)$", text, re.MULTILINE)

    def _with_fresh_lists(self, action: Callable[[], str]) -> str:
        try:
            return action()
        except FetchError:
            if self._options:
                raise
            self._refresh()
            return action()

    def _refresh(self) -> None:
        for folder in ("lists/partial", "archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        self._options = [f"-oDir::State::lists={self._state / 'lists'}", f"-oDir::Cache={self._state}"]
        self._run(["apt-get", "update", "-oAPT::Update::Error-Mode=any"], self._state)

    def _run(self, command: Sequence[str], folder: Path) -> str:
        # As root apt drops to user _apt, which may not write our folder.
        done = _command(
            [command[0], "-qq", "-oAPT::Sandbox::User=root", *self._options, *command[1:]], folder
        )
        if done.returncode:
            raise FetchError(f"{' '.join(command)}: {_last_line(done.stderr)}")
        return done.stdout


def _command(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise FetchError(f"{command[0]}: not found: packages can only be fetched on Debian") from None


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "failed without a message"


def fetch(package: Package, apt: Apt) -> str:
    """Make `package` available; returns what was done. Raises `FetchError`."""
    if package.program:
        return _install(package, package.program)
    target = cache_folder() / package.name
    if target.is_dir():
        return "already unpacked"
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        archives = apt.download(_sources(package, apt), Path(scratch))
        unpacked = Path(scratch) / "tree"
        for archive in archives:
            if (done := _command(["dpkg", "-x", str(archive), str(unpacked)], Path(scratch))).returncode:
                raise FetchError(f"{archive.name}: {_last_line(done.stderr)}")
        # Renamed only when complete: an interrupted fetch leaves no half package behind.
        unpacked.rename(target)
    return "unpacked " + ", ".join(archive.name for archive in archives)


def _sources(package: Package, apt: Apt) -> list[str]:
    if package.meta is None:
        return [package.name]
    names = [name for name in apt.dependencies(package.name) if re.fullmatch(package.meta, name)]
    if not names:
        raise FetchError(f"{package.name}: no dependency matches {package.meta}")
    return names


def _install(package: Package, program: str) -> str:
    if shutil.which(program):
        return "already installed"
    if os.geteuid() != 0:
        return f"not installed: as root, apt-get install {package.name} (used by comparisons only)"
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package.name]
    if (done := _command(command, ROOT)).returncode:
        raise FetchError(f"apt-get install {package.name}: {_last_line(done.stderr)}")
    return "installed"


def fetch_all(names: Iterable[str]) -> int:
    """Fetch packages by name and report one line each; returns the number that failed."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    apt = Apt(cache_folder() / ".apt")
    (cache_folder() / ".apt").mkdir(exist_ok=True)
    failed = 0
    for name in names:
        try:
            print(f"{name}: {fetch(CATALOGUE[name], apt)}", flush=True)
        except FetchError as error:
            failed += 1
            print(
                f"{name}: {error} (offline? set VMM_PACKAGES to a folder of unpacked packages)",
                file=sys.stderr,
            )
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: `fetch [PACKAGE...]`, `list`. Exit code 1 if a package could not be fetched."""
    parser = argparse.ArgumentParser(prog="python -m tests.packages", description=__doc__)
    parser.add_argument("command", choices=("fetch", "list"))
    parser.add_argument("names", nargs="*", metavar="PACKAGE", help="default: every package of the catalogue")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in CATALOGUE]:
        parser.error(f"unknown package {unknown[0]}: one of {', '.join(CATALOGUE)}")
    names = options.names or list(CATALOGUE)
    if options.command == "fetch":
        return 1 if fetch_all(names) else 0
    for name in names:
        print(f"{name}: {'unpacked' if (cache_folder() / name).is_dir() else 'missing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
