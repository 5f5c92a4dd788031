"""Sequential transfers of a SAS disk through Debian's mptsas: ours against QEMU's TCG, in interleaved boots.

`python -m bench.disk [--runs N] [--mib N] [--json FILE]`. The disk is a raw file in the host's page cache.
`buffered` goes through the guest's page cache, `direct` does not; a buffered write ends with fsync.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import rates
from bench.boot import OURS, QEMU

TRANSFERS = {
    "read-buffered": "dd if=/dev/sda of=/dev/null bs=1M",
    "read-direct": "dd if=/dev/sda of=/dev/null bs=1M iflag=direct",
    "write-buffered": "dd if=/dev/zero of=/dev/sda bs=1M conv=fsync",
    "write-direct": "dd if=/dev/zero of=/dev/sda bs=1M oflag=direct",
}
MODULES = ("mptsas", "sd_mod")
QEMU_DISK = "format=raw,if=none,id=d"
# A SAS address of 0, which is QEMU's default, is no disk to the driver.
QEMU_DEVICES = ("-device", "mptsas1068,id=s", "-device", "scsi-hd,drive=d,bus=s.0,wwn=0x5000c29000000001")


def commands(mib: int) -> str:
    """Shell lines that wait for the disk and time each transfer with cold caches."""
    lines = ["n=0; while [ ! -b /dev/sda ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done"]
    for name, command in TRANSFERS.items():
        cold = "echo 3 >/proc/sys/vm/drop_caches"
        lines += [cold, f"/timed {name} {command} count={mib} 2>/dev/null"] * rates.ROUNDS
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails or our runs in virtual time differ."""
    options = rates.parser("bench.disk", __doc__).parse_args(arguments)
    amounts = dict.fromkeys(TRANSFERS, options.mib * rates.MIB)
    image, initrd = rates.kernel(), rates.initrd(MODULES, commands(options.mib))
    with tempfile.TemporaryDirectory() as scratch:
        disk = Path(scratch) / "disk.img"
        disk.write_bytes(b"sequential disk\n" * (options.mib << 16))
        devices: dict[str, Any] = {"disks": [disk], "scsi": ["lsisas1068"]}
        drive = ("-drive", f"file={disk},{QEMU_DISK}", *QEMU_DEVICES)
        contenders = {
            OURS: lambda: rates.rates(OURS, rates.ours(image, initrd, **devices), amounts),
            QEMU: lambda: rates.rates(QEMU, rates.theirs(image, initrd, drive), amounts),
        }
        untouched: dict[str, Any] = {**devices, "disks": [f"{disk},snapshot"]}
        return rates.compare(
            options, contenders, lambda runs: rates.same_figures(image, initrd, runs, **untouched)
        )


if __name__ == "__main__":
    sys.exit(main())
