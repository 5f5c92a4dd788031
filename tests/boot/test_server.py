"""Proves disk and network together in one Linux, as on a server: Debian's generic kernel with its own drivers
downloads while it fills a file system, and reads back what it wrote all over its disks.

VMM_FUZZ=long: 64 MiB of download, a large disk, and a minute of random I/O in real time."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from tests import initramfs, kernel_modules, packages
from tests.disk_images import run, tool
from tests.net import linux
from tests.net.test_guests import http_server
from vmm import Machine, Outcome

LONG = os.environ.get("VMM_FUZZ") == "long"
MIB = 1 << 20
DOWNLOAD = (64 if LONG else 1) * MIB
DISK = (256 if LONG else 8) * MIB
SCATTERED = (64 if LONG else 2) * MIB
SECONDS = 60 if LONG else 0.05
WORKERS = 4
TIME = "real" if LONG else "virtual"
TIMEOUT = 600.0
ADAPTERS = {"mptspi": "lsilogic", "mptsas": "lsisas1068"}
SHORT = ([("mptspi", 1), ("mptsas", 8)], ["mptspi"])
SCATTERS, FILLS = (list(product(ADAPTERS, (1, 8))), list(ADAPTERS)) if LONG else SHORT
UUID = "5e7f1e1d-0000-4000-8000-00000000da7a"
"""Without one mke2fs waits seconds for the guest's random numbers."""

SERVE = """\
mkdir -p /mnt
ping -c 3 -i 0.2 10.0.2.2
(wget -q -O - http://10.0.2.2:{port}/ | sha256sum >/tmp/download) &
/sbin/mke2fs -q -t ext4 -U {uuid} -E hash_seed={uuid} /dev/sda
mount -t ext4 /dev/sda /mnt || echo NO FILE SYSTEM
n=0; while cp /bin/busybox /mnt/$n 2>/dev/null; do n=$((n+1)); done
rm /mnt/$n
echo "$n copies, $(df -m /mnt | tail -1 | awk '{{print $4}}') MiB free"
umount /mnt
/sbin/e2fsck -f -n /dev/sda && echo CLEAN INSIDE
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 -o ro /dev/sda /mnt
sha256sum /bin/busybox /mnt/* | cut -c 1-64 | uniq -c
umount /mnt
wait
echo "download $(cat /tmp/download)"
dmesg | grep -i -E 'i/o error|ext4-fs error|tx unit hang|task abort' || echo NO ERRORS
"""


def machine(driver: str, disks: list[Path], commands: str, files: Mapping[str, bytes], nic: str) -> Machine:
    """Debian's kernel with `driver`, e1000 and ext4, that runs `commands` and powers off."""
    modules, insert = kernel_modules.insertion((driver, "sd_mod", "ext4", "e1000"))
    added = {**modules, **files, "etc/lease": linux.LEASE}
    initrd = initramfs.marker_initramfs(commands=insert + commands, files=added)
    kernel = packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*")
    return Machine(
        kernel,
        initrd=initrd,
        append="console=ttyS0 panic=-1",
        memory="512M",
        time=TIME,
        disks=disks,
        scsi=[ADAPTERS[driver]],
        nics=[nic],
    )


def with_libraries(*programs: Path) -> dict[str, bytes]:
    """Programs and the system's libraries that they need, for an initramfs."""
    files = {f"sbin/{program.name}": program.read_bytes() for program in programs}
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        files |= {path.lstrip("/"): Path(path).read_bytes() for path in re.findall(r"(/\S+) \(", listed)}
    return files


def empty(path: Path, size: int) -> Path:
    """A disk of zeros."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def finish(vm: Machine) -> str:
    """Run to the power-off; what the guest said."""
    vm.run(timeout=TIMEOUT).require(Outcome.POWEROFF)
    assert [stats.errors for _, stats in vm.disks] == [0] * len(vm.disks)
    return vm.serial.text.replace("\r", "")


def check_capture(capture: Path) -> None:
    """No frame that tshark calls malformed, or whose checksum is wrong."""
    wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0"
    sums = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "tcp", "udp")]
    command = [str(packages.require_program("tshark")), "-r", str(capture), *sums, "-Y"]
    for expression, expected in ((wrong, 0), ("dhcp", 4), ("icmp", 6)):
        done = subprocess.run([*command, expression], capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == expected, done.stdout[:1000]


@pytest.mark.parametrize("driver", FILLS)
def test_a_download_while_a_disk_is_filled(driver: str, tmp_path: Path) -> None:
    data = hashlib.shake_128(b"download").digest(DOWNLOAD)
    disk, capture = empty(tmp_path / "disk.img", DISK), tmp_path / "net.pcapng"
    files = with_libraries(tool("e2fsprogs", "sbin/mke2fs"), tool("e2fsprogs", "sbin/e2fsck"))
    with http_server(data) as port:
        commands = linux.DHCP + SERVE.format(port=port, uuid=UUID)
        with machine(driver, [disk], commands, files, f"user,pcap={capture}") as vm:
            said = finish(vm)
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in said
    assert "3 packets transmitted, 3 packets received" in said
    assert ("Ending Domain Validation" in said) == (driver == "mptspi")
    copies = re.search(r"^(\d+) copies, [01] MiB free", said, re.MULTILINE)
    assert copies, said[-3000:]
    assert int(copies[1]) > 2
    print(f"{driver}: {copies[0]}, {len(data)} bytes downloaded, capture of {capture.stat().st_size} bytes")
    assert "CLEAN INSIDE" in said, said[-3000:]
    assert re.search(rf"^ +{int(copies[1]) + 1} [0-9a-f]{{64}}$", said, re.MULTILINE), said[-2000:]
    assert f"download {hashlib.sha256(data).hexdigest()}" in said, said[-2000:]
    assert "NO ERRORS" in said, said[-2000:]
    run([tool("e2fsprogs", "sbin/e2fsck"), "-f", "-n", disk])
    check_capture(capture)


@cache
def scatter() -> bytes:
    """The program that writes and compares, for the guest."""
    source = Path(__file__).with_name("scatter.c")
    out = packages.ROOT / ".cache" / f"scatter.{os.getpid()}"
    out.parent.mkdir(exist_ok=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", out, source], check=True)
    program = out.read_bytes()
    out.unlink()
    return program


@pytest.mark.parametrize(("driver", "count"), SCATTERS)
def test_random_blocks_come_back(driver: str, count: int, tmp_path: Path) -> None:
    disks = [empty(tmp_path / f"disk{number}.img", SCATTERED) for number in range(count)]
    names = " ".join(f"/dev/sd{letter}" for letter in "abcdefgh"[:count])
    commands = f"/scatter {SECONDS} {WORKERS} {names} || echo FAILED\nsha256sum {names}\n"
    with machine(driver, disks, commands, {"scatter": scatter()}, "none") as vm:
        said = finish(vm)
    assert "FAILED" not in said, said[-2000:]
    lines = re.findall(r"SCATTER \S+ writes (\d+) reads (\d+) sectors (\d+) wrong (\d+)", said)
    assert len(lines) == count, said[-2000:]
    totals = dict.fromkeys(("writes", "reads", "sectors read"), 0)
    for line in lines:
        writes, reads, sectors, wrong = map(int, line)
        assert wrong == 0, said[-2000:]
        assert writes > 0
        assert reads > SCATTERED // 512 // 128
        assert sectors >= SCATTERED // 512
        for name, number in zip(totals, (writes, reads, sectors), strict=True):
            totals[name] += number
    print(f"{driver}, {count} disks: {totals}")
    for disk in disks:
        assert hashlib.sha256(disk.read_bytes()).hexdigest() in said, disk
