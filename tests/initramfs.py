"""Initramfs images for Linux guests: busybox, an /init script, optional files and kernel modules.

Images are deterministic and cached under .cache by the hash of what goes into them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from tests import cpio, packages

MARKER = "MARKER: done"
After = Literal["poweroff", "shell"]

_MOUNTS = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
"""
_AFTER: Mapping[After, str] = {
    "poweroff": "poweroff -f\n",
    # cttyhack gives the shell a controlling terminal, so that Ctrl-C and job control work on the console.
    "shell": "exec setsid cttyhack sh\n",
}


def marker_initramfs(
    then: After = "poweroff",
    *,
    commands: str = "",
    files: Mapping[str, bytes] | None = None,
    modules: Sequence[Path] = (),
) -> Path:
    """Gzipped initramfs that mounts proc, sys and dev, inserts `modules` in order, runs the shell `commands`,
    prints `MARKER` on ttyS0 and then powers off or becomes a shell. `files` are added by path."""
    insert = "".join(f"insmod /lib/modules/{module.name}\n" for module in modules)
    script = f"{_MOUNTS}{insert}{commands}\necho '{MARKER}'\n{_AFTER[then]}"
    extra = {f"lib/modules/{module.name}": module.read_bytes() for module in modules}
    return build(script, {**extra, **(files or {})})


def build(init: str, files: Mapping[str, bytes] | None = None) -> Path:
    """Gzipped initramfs with busybox, its applets, `init` as /init, and `files` by path, all executable."""
    tree = {
        "init": cpio.file(init.encode(), 0o755),
        # The kernel opens /dev/console for /init before anything could mount devtmpfs.
        "dev/console": cpio.character_device(5, 1),
        **_busybox(),
        **{path: cpio.directory() for path in ("proc", "sys", "tmp", "root")},
        **{path.lstrip("/"): cpio.file(data, 0o755) for path, data in (files or {}).items()},
    }
    return _cached(cpio.archive(tree))


def applets() -> list[str]:
    """Names of busybox's commands."""
    return [path.rpartition("/")[2] for path in _applet_paths()]


def _applet_paths() -> list[str]:
    binary = packages.require("busybox-static", "bin/busybox")
    return subprocess.run([binary, "--list-full"], capture_output=True, text=True, check=True).stdout.split()


def _busybox() -> dict[str, cpio.Entry]:
    binary = packages.require("busybox-static", "bin/busybox")
    links = {path: cpio.symlink("/bin/busybox") for path in _applet_paths()}
    return {**links, "bin/busybox": cpio.file(binary.read_bytes(), 0o755)}


def _cached(archive: bytes) -> Path:
    name = hashlib.sha256(archive).hexdigest()[:16]
    path = packages.ROOT / ".cache" / "initramfs" / f"{name}.cpio.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Tests run in several processes, each of which may be building the same image.
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_bytes(gzip.compress(archive, compresslevel=6, mtime=0))
        scratch.rename(path)
    return path
