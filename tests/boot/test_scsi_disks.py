"""Proves the LSI adapters with drivers others wrote: Debian's mptspi and mptsas, SeaBIOS, GRUB."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

import pytest

from tests import initramfs, iso_image, kernel_modules, packages
from tests.boot import linux_disk
from vmm import Machine, Outcome
from vmm.errors import UsageError
from vmm.machine.run import RunResult
from vmm.monitor import DiskKind, DiskPlace, ram_backend

ADAPTERS = {"mptspi": "lsilogic", "mptsas": "lsisas1068"}
GUEST_SECONDS = 60
MIB = 1 << 20
EXT2_MAGIC = b"\x53\xef"

FILL = """\
mke2fs -q /dev/sda && mount -t ext4 /dev/sda /mnt || echo NO FILE SYSTEM
seq 1 150000 > /mnt/numbers
for n in 1 2 3; do cp /mnt/numbers /mnt/copy$n; done
sync
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 /dev/sda /mnt
md5sum /mnt/copy3
dmesg | grep -c -i 'error\\|fault'
umount /mnt
"""


def linux(
    driver: str,
    commands: str,
    *,
    time: str = "virtual",
    parameters: dict[str, str] | None = None,
    adapters: int = 1,
    cpus: int = 1,
    append: str = "",
) -> Machine:
    """Debian's kernel with `driver`, disks and ext4; stops at the initramfs' marker."""
    names = [driver, "sd_mod", "sr_mod", "isofs", "ext4"]
    files, insert = kernel_modules.insertion(names, parameters)
    prepare = "mkdir -p /mnt /cd\n"
    initrd = initramfs.marker_initramfs(commands=insert + prepare + commands, files=files)
    kernel = packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*")
    append = f"console=ttyS0 panic=-1 {append}"
    scsi = [ADAPTERS[driver]] * adapters
    return Machine(kernel, initrd=initrd, append=append, memory="512M", time=time, scsi=scsi, cpus=cpus)


def plug(vm: Machine, disk: bytearray | int, target: int = 0, lun: int = 0, adapter: int = 0) -> None:
    vm.monitor.attach_disk(DiskPlace(adapter, target, lun), ram_backend(disk), DiskKind.DISK)


def run(vm: Machine, until: str = initramfs.MARKER) -> RunResult:
    result = vm.run(until=until, timeout=GUEST_SECONDS)
    assert result.outcome == Outcome.UNTIL, f"{result}\n{vm.serial.text[-3000:]}\n{vm.screen.text}"
    return result


def numbers_md5() -> str:
    text = "".join(f"{number}\n" for number in range(1, 150001))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("driver", ADAPTERS)
def test_file_system_keeps_what_was_written(driver: str) -> None:
    disk = bytearray(48 * MIB)
    with linux(driver, FILL) as vm:
        plug(vm, disk)
        run(vm)
        assert f"{numbers_md5()}  /mnt/copy3" in vm.serial.text, vm.serial.text[-2000:]
        assert "NO FILE SYSTEM" not in vm.serial.text
        assert vm.monitor.disk_stats(DiskPlace()).written_bytes > 3 * MIB
        if driver == "mptspi":
            assert "Ending Domain Validation" in vm.serial.text
            assert "FAST-160 WIDE SCSI 320.0 MB/s DT IU QAS (6.25 ns, offset 127)" in vm.serial.text
    assert disk[1024 + 56 : 1024 + 58] == EXT2_MAGIC
    assert b"\n149999\n150000\n" in disk


def test_large_and_parallel_transfers_on_four_cpus() -> None:
    size, quarter = 32 * MIB, 8 * MIB
    disk = bytearray(random.Random(1).randbytes(size))
    before = bytes(disk)
    commands = """\
echo 4096 > /sys/block/sda/queue/max_sectors_kb
dd if=/dev/sda bs=4M iflag=direct 2>/dev/null | md5sum
for i in 0 1 2 3; do dd if=/dev/sda bs=64k iflag=direct skip=$((i*128)) count=128 2>/dev/null | md5sum & done
wait
for i in 0 1 2 3; do
    dd if=/dev/zero of=/dev/sda bs=4k oflag=direct seek=$((i*2048)) count=50 2>/dev/null &
done
wait
"""
    with linux("mptspi", commands, cpus=4) as vm:
        plug(vm, disk)
        run(vm)
        wanted = [before, *(before[start : start + quarter] for start in range(0, size, quarter))]
        for part in wanted:
            assert hashlib.md5(part, usedforsecurity=False).hexdigest() in vm.serial.text, vm.serial.text[
                -2000:
            ]
    expected = bytearray(before)
    for start in range(0, size, quarter):
        expected[start : start + 50 * 4096] = bytes(50 * 4096)
    assert disk == expected


def test_two_runs_are_equal() -> None:
    hashes = []
    for _ in range(2):
        disk = bytearray(48 * MIB)
        with linux("mptspi", FILL) as vm:
            plug(vm, disk)
            result = run(vm)
            hashes.append((result.instructions, vm.state_sha256, hashlib.sha256(disk).hexdigest()))
    assert hashes[0] == hashes[1]


def test_real_time() -> None:
    disk = bytearray(48 * MIB)
    with linux("mptspi", FILL, time="real") as vm:
        plug(vm, disk)
        run(vm)
        assert f"{numbers_md5()}  /mnt/copy3" in vm.serial.text, vm.serial.text[-2000:]


@pytest.mark.parametrize(("driver", "parameter"), [("mptspi", "spi"), ("mptsas", "sas")])
def test_message_signalled_interrupts(driver: str, parameter: str) -> None:
    commands = "dd if=/dev/sda bs=64k count=16 2>/dev/null | md5sum\ngrep ioc0 /proc/interrupts\n"
    with linux(driver, commands, parameters={"mptbase": f"mpt_msi_enable_{parameter}=1"}) as vm:
        disk = bytearray(MIB)
        disk[-1] = 1
        plug(vm, disk)
        run(vm)
        assert hashlib.md5(disk, usedforsecurity=False).hexdigest() in vm.serial.text
        assert "PCI-MSI" in vm.serial.text


def test_sixty_disks_over_four_adapters() -> None:
    with linux("mptspi", "ls /sys/block | grep -c sd\ncat /sys/block/sdbh/size\n", adapters=4) as vm:
        for number in range(60):
            target = number % 15
            plug(vm, MIB * (2 if number == 59 else 1), target + (target >= 7), adapter=number // 15)
        run(vm)
        assert "\n60\r\n4096\r\n" in vm.serial.text, vm.serial.text[-2000:]


@pytest.mark.parametrize("driver", ADAPTERS)
def test_linux_recovers_from_a_fault(driver: str) -> None:
    """Somebody writes nonsense into the request queue: the driver finds the fault and resets the adapter."""
    commands = """\
bar=$(sed -n 2p /sys/bus/pci/devices/0000:00:10.0/resource | cut -d' ' -f1)
devmem $((bar + 0x40)) 32 0xfffffff0
devmem $((bar)) 32
dd if=/dev/sda bs=4k count=1 iflag=direct 2>/dev/null | md5sum
devmem $((bar)) 32
"""
    disk = bytearray(b"\x5a" * MIB)
    with linux(driver, commands, append="iomem=relaxed") as vm:
        plug(vm, disk)
        result = vm.run(until=initramfs.MARKER, timeout=300)
        assert result.outcome == Outcome.UNTIL, vm.serial.text[-3000:]
        states = re.findall(r"0x([0-9A-F])[0-9A-F]{7}\r", vm.serial.text)
        assert states == ["4", "2"], vm.serial.text[-3000:]  # fault, operational
        assert hashlib.md5(disk[:4096], usedforsecurity=False).hexdigest() in vm.serial.text


def test_blocks_that_are_discarded() -> None:
    commands = """\
cat /sys/block/sda/queue/discard_max_bytes
blkdiscard -o 65536 -l 65536 /dev/sda
dd if=/dev/sda bs=64k count=3 2>/dev/null | md5sum
"""
    disk = bytearray(b"\xaa" * MIB)
    with linux("mptspi", commands) as vm:
        plug(vm, disk)
        run(vm)
        assert "2147483648" in vm.serial.text, vm.serial.text[-2000:]
        expected = b"\xaa" * 65536 + bytes(65536) + b"\xaa" * 65536
        assert hashlib.md5(expected, usedforsecurity=False).hexdigest() in vm.serial.text
        assert vm.monitor.disk_stats(DiskPlace()).discards > 0


def test_places_that_are_not_free_are_named() -> None:
    with linux("mptspi", "") as vm:
        plug(vm, MIB, 3)
        for place, reason in (
            (DiskPlace(0, 3, 0), "the place is taken"),
            (DiskPlace(0, 7, 0), "target 7 is the adapter itself"),
            (DiskPlace(0, 16, 0), "targets are 0 to 15"),
            (DiskPlace(0, 0, 8), "LUNs 0 to 7"),
            (DiskPlace(1, 0, 0), "there is no SCSI adapter 1"),
        ):
            backend = ram_backend(MIB)
            with pytest.raises(UsageError, match=reason):
                vm.monitor.attach_disk(place, backend, DiskKind.DISK)
            backend.close()


def test_lun_without_lun_0() -> None:
    with linux("mptspi", "ls /sys/class/scsi_device\n") as vm:
        plug(vm, MIB, 2, lun=3)
        plug(vm, MIB, 2, lun=5)
        run(vm)
        assert "0:0:2:3" in vm.serial.text
        assert "0:0:2:5" in vm.serial.text


@pytest.mark.parametrize("driver", ADAPTERS)
def test_hot_plug(driver: str) -> None:
    commands = """\
echo READY; read line
[ -b /dev/sdb ] || for f in /sys/class/scsi_host/host*/scan; do echo '- - -' > $f; done
n=0; while [ ! -b /dev/sdb ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
dd if=/dev/sdb bs=512 count=1 2>/dev/null | md5sum
echo PULL; read line
dd if=/dev/sdb bs=512 count=1 skip=7 iflag=direct 2>&1 | tail -1
dd if=/dev/sda bs=512 count=1 2>/dev/null | md5sum
"""
    new = bytearray(b"hot".ljust(512, b"!") + bytes(MIB - 512))
    with linux(driver, commands) as vm:
        plug(vm, MIB)
        run(vm, "READY")
        plug(vm, new, 1)
        vm.serial.send("\n")
        run(vm, "PULL")
        assert hashlib.md5(new[:512], usedforsecurity=False).hexdigest() in vm.serial.text
        vm.monitor.detach_disk(DiskPlace(0, 1, 0))
        vm.serial.send("\n")
        run(vm)
        assert hashlib.md5(bytes(512), usedforsecurity=False).hexdigest() in vm.serial.text
        after = vm.serial.text.partition("PULL")[2]
        assert "dd: " in after, after  # an I/O error, or the device file is gone already


def test_cd_in_linux() -> None:
    files = {"HELLO.TXT": b"from the CD\n", "DATA.BIN": bytes(range(256)) * 100}
    commands = """\
mount -t iso9660 -o ro /dev/sr0 /cd
cat /cd/hello.txt
md5sum /cd/data.bin
umount /cd
eject /dev/sr0
"""
    with linux("mptspi", commands) as vm:
        image = ram_backend(bytearray(iso_image.build(files)), readonly=True)
        vm.monitor.attach_disk(DiskPlace(0, 4, 0), image, DiskKind.CDROM)
        run(vm)
        assert "from the CD" in vm.serial.text, vm.serial.text[-2000:]
        assert hashlib.md5(files["DATA.BIN"], usedforsecurity=False).hexdigest() in vm.serial.text


# A boot sector that says something on COM1 and halts.
HELLO = (
    bytes.fromhex("31c08ed8fcbe177cac84c07406baf803eeebf5f4ebfd") + b"\x90" + b"hello from the boot sector\0"
)


def firmware(model: str = "lsilogic") -> Machine:
    rom = packages.require("seabios", "usr/share/seabios/bios-256k.bin")
    return Machine(rom, memory="512M", scsi=[model])


@pytest.mark.parametrize("model", ADAPTERS.values())
def test_seabios_boots_a_disk(model: str) -> None:
    disk = bytearray(MIB)
    disk[: len(HELLO)] = HELLO
    disk[510:512] = b"\x55\xaa"
    with firmware(model) as vm:
        plug(vm, disk, 2)
        run(vm, "hello from the boot sector")


def test_seabios_boots_a_cd() -> None:
    with firmware() as vm:
        image = ram_backend(bytearray(iso_image.build({}, boot=HELLO)), readonly=True)
        vm.monitor.attach_disk(DiskPlace(0, 1, 0), image, DiskKind.CDROM)
        run(vm, "hello from the boot sector")


def test_grub_starts_linux_on_a_disk(tmp_path: Path) -> None:
    disk = bytearray(linux_disk.build(tmp_path).read_bytes())
    with firmware() as vm:
        plug(vm, disk)
        run(vm, linux_disk.PROMPT)
        assert "GRUB loads Linux" in vm.serial.text
        vm.serial.send("grep ' / ' /proc/mounts; echo kept over the end > /root/note; sync\n")
        run(vm, linux_disk.PROMPT)
        assert "/dev/sda1 / ext4 rw" in vm.serial.text
        vm.serial.send("poweroff -f\n")
        assert vm.run(timeout=GUEST_SECONDS).outcome == Outcome.POWEROFF
    assert b"kept over the end\n" in disk
