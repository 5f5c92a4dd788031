"""Proves the handle's calls for disks: who owns a backend, what is refused, and by which words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vmm.errors import HostError, UsageError
from vmm.monitor import Config, DiskKind, DiskPlace, Monitor, ScsiModel, ram_backend

MIB = 1 << 20


@pytest.fixture
def vm() -> Iterator[Monitor]:
    with Monitor(Config(memory=16 * MIB, scsi=(ScsiModel.LSI53C1030, ScsiModel.SAS1068))) as monitor:
        yield monitor


def test_attached_backend_belongs_to_the_vm(vm: Monitor) -> None:
    backend = ram_backend(MIB)
    assert backend.size == MIB
    vm.attach_disk(DiskPlace(), backend, DiskKind.DISK, serial="A1", product="Disk")
    with pytest.raises(HostError, match="attached or closed"):
        _ = backend.size
    backend.close()
    assert vm.disk_stats(DiskPlace()) == (0, 0, 0, 0, 0, 0, 0, "")
    vm.detach_disk(DiskPlace())
    with pytest.raises(UsageError, match="there is no disk"):
        vm.disk_stats(DiskPlace())


def test_refused_backend_stays_with_the_caller(vm: Monitor) -> None:
    backend = ram_backend(MIB)
    with pytest.raises(UsageError, match="target 7 is the adapter itself"):
        vm.attach_disk(DiskPlace(0, 7), backend, DiskKind.DISK)
    vm.attach_disk(DiskPlace(1, 7), backend, DiskKind.DISK)  # the SAS adapter has no such target


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"serial": "x" * 37}, "36 characters"),
        ({"serial": "\N{SNOWMAN}"}, "ASCII"),
        ({"product": "x" * 17}, "16"),
        ({"product": "line\nline"}, "ASCII"),
    ],
)
def test_texts_are_checked(vm: Monitor, texts: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        vm.attach_disk(DiskPlace(), ram_backend(MIB), DiskKind.DISK, **texts)


def test_disk_needs_a_backend_and_a_drive_does_not(vm: Monitor) -> None:
    with pytest.raises(UsageError, match="needs a backend"):
        vm.attach_disk(DiskPlace(), None, DiskKind.DISK)
    vm.attach_disk(DiskPlace(), None, DiskKind.CDROM)
    vm.insert_disk(DiskPlace(), ram_backend(MIB, readonly=True))
    vm.insert_disk(DiskPlace(), None)
    vm.attach_disk(DiskPlace(0, 1), ram_backend(MIB), DiskKind.DISK)
    with pytest.raises(UsageError, match="there is no CD drive"):
        vm.insert_disk(DiskPlace(0, 1), None)


@pytest.mark.parametrize("size", [0, 511, 1000, 2**50])
def test_sizes_are_checked(size: int) -> None:
    with pytest.raises(UsageError, match="multiple of 512 up to 1 TiB"):
        ram_backend(size)


def test_memory_of_the_caller_is_the_disk(vm: Monitor) -> None:
    with pytest.raises((BufferError, TypeError, ValueError)):
        ram_backend(bytes(512))  # not writable
    vm.attach_disk(DiskPlace(), ram_backend(bytes(512), readonly=True), DiskKind.DISK)


def test_adapters_are_limited() -> None:
    with pytest.raises(UsageError, match="5 SCSI adapters: a VM has at most 4"):
        Monitor(Config(memory=MIB, scsi=(ScsiModel.LSI53C1030,) * 5))
    with Monitor(Config(memory=MIB)) as vm, pytest.raises(UsageError, match="no SCSI adapter 0"):
        vm.detach_disk(DiskPlace())


def test_state_is_saved_with_disks(vm: Monitor) -> None:
    before = vm.save_state()
    vm.attach_disk(DiskPlace(), ram_backend(MIB), DiskKind.DISK)
    vm.quiesce_disks()
    assert len(vm.save_state()) == len(before)
