"""A Linux guest that writes and syncs without end and says what is synced; processes that run it on two
disks, to be killed.

The guest is booted once, without disks. Each victim is a fork of the booted VM's process, made before the VM
has a thread, which then opens images of its own, plugs them in as the command line's `--disk` does, and runs
on.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import initramfs, kernel_modules, packages
from vmm import Machine
from vmm.machine.disks import Disks, disk_specs

DISKS = ("a", "b")
KEPT = 12
SLOTS = 16
SLOT = 4096
_PATIENCE = 100
_BOOT_SECONDS = 60

# Each round writes a new file, rewrites one slot of a file that stays, removes an old file, and syncs both.
_LOAD = f"""\
#!/bin/sh
work() {{
    n=0
    while :; do
        n=$((n + 1))
        yes "$1 $2 $n" | head -c $(((n * 7919 + $2 * 104729) % 150000 + 1)) > /$1/f$n
        yes "$n" | head -c {SLOT} | dd of=/$1/slots bs={SLOT} seek=$((n % {SLOTS})) conv=notrunc 2>/dev/null
        [ $n -gt {KEPT} ] && rm /$1/f$((n - {KEPT}))
        sync /$1/f$n && sync /$1/slots && echo "synced $1 $n."
    done
}}
for scan in /sys/class/scsi_host/host*/scan; do echo '- - -' > $scan; done
while [ ! -b /dev/sda ] || [ ! -b /dev/sdb ]; do sleep 0.01; done
mkdir /a /b
mount -t ext4 /dev/sda /a && mount -t ext4 -o discard /dev/sdb /b || echo NO FILE SYSTEM
work a $1 & work b $1
"""
_SYNCED = re.compile(rb"^synced (\w) (\d+)\.\r?$", re.MULTILINE)


def contents(disk: str, seed: int, number: int) -> bytes:
    """What the guest writes to a file."""
    return _repeated(f"{disk} {seed} {number}\n", (number * 7919 + seed * 104729) % 150000 + 1)


def slot(number: int) -> bytes:
    """What the guest writes to slot `number % SLOTS`."""
    return _repeated(f"{number}\n", SLOT)


def _repeated(line: str, size: int) -> bytes:
    return (line.encode() * (size // len(line) + 1))[:size]


@contextmanager
def booted() -> Iterator[Machine]:
    """The guest with its drivers loaded, at a shell, without disks."""
    files, insert = kernel_modules.insertion(["mptspi", "sd_mod", "ext4"])
    initrd = initramfs.marker_initramfs("shell", commands=insert, files={**files, "load": _LOAD.encode()})
    kernel = packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*")
    append = "console=ttyS0 panic=-1 loglevel=0"
    with Machine(kernel, initrd=initrd, append=append, memory="256M", scsi=["lsilogic"]) as vm:
        for sign in (initramfs.MARKER, "# "):
            vm.run(until=sign, timeout=_BOOT_SECONDS).require()
        yield vm


class Victim:
    """A process that runs the guest on `disks`; `said` is its serial console. It ends by SIGKILL; `status` is
    then the negative signal, or its own if it had ended before."""

    def __init__(self, vm: Machine, disks: Sequence[Path], seed: int) -> None:
        self.said, self.status = b"", 0
        self._pipe, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _run(vm, disks, seed, theirs)
        os.close(theirs)

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        while self._hear(_PATIENCE):
            pass
        os.close(self._pipe)

    def reports(self) -> list[tuple[str, int]]:
        """(disk, number) of what the guest has said to be synced, in order."""
        return [(disk.decode(), int(number)) for disk, number in _SYNCED.findall(self.said)]

    def listen(self, count: int, further: float) -> None:
        """Hear `count` reports, and then go on for so many seconds."""
        give_up = time.monotonic() + _PATIENCE
        while len(self.reports()) < count:
            assert time.monotonic() < give_up and self._hear(1), self.said[-2000:]
        end = time.monotonic() + further
        while (left := end - time.monotonic()) > 0:
            assert self._hear(left), self.said[-2000:]

    def _hear(self, seconds: float) -> bool:
        """Wait for some output; False when there will be no more."""
        if not select.select([self._pipe], [], [], seconds)[0]:
            return True
        more = os.read(self._pipe, 65536)
        self.said += more
        return bool(more)


def _run(vm: Machine, disks: Sequence[Path], seed: int, pipe: int) -> None:
    """The child: it never returns."""
    try:
        # Nothing of the parent's is to be ended or printed by this process.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        vm.serial.read()
        vm.serial.send(f"sh /load {seed}\n")
        Disks(disk_specs([f"{disk},format=raw" if disk.suffix == ".img" else disk for disk in disks])).attach(
            vm.monitor
        )

        def relay(vm: Machine) -> bool:
            os.write(pipe, vm.serial.read().encode())
            return False

        vm.run(until=relay)
    except BaseException as error:
        os.write(pipe, repr(error).encode())
    finally:
        os._exit(1)
