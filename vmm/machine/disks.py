"""The disks of a machine: what was asked for, where each is plugged in, their images while the VM lives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from vmm.config.quantity import parse_count
from vmm.errors import HostError, UsageError, one_line
from vmm.monitor import DiskKind, DiskPlace, DiskStats, Monitor
from vmm.monitor.disk import DiskFile, Patience, sparse_layer
from vmm.storage import tracking
from vmm.storage.chain import open_image
from vmm.storage.create import write_sparse
from vmm.storage.image import Image
from vmm.storage.snapshot import children_of

MAX_DISKS = 60
PER_ADAPTER = 15
ADAPTER_TARGET = 7
FIRST_SCSI_SLOT = 0x10
FIRST_NIC_SLOT = 3
BOOT_WORDS = ("disk", "cdrom", "net")

_FLAGS = frozenset({"readonly", "snapshot"})
_VALUES = frozenset({"format", "id", "werror"})
_WERROR = ("report", "stop")


class DiskSpec(NamedTuple):
    """A disk as asked for. `id` 0 to 59 is its place, None the next that is free; `snapshot`: what is written
    is forgotten at the end; `werror` what a full disk of the host does: `report` an error to the guest, or
    `stop` the VM until there is room."""

    path: Path
    format: str | None = None
    readonly: bool = False
    snapshot: bool = False
    id: int | None = None
    cdrom: bool = False
    werror: str = "report"

    @property
    def place(self) -> DiskPlace:
        """Adapter and target: 15 disks each, target 7 is the adapter's own."""
        number = self.id or 0
        target = number % PER_ADAPTER
        return DiskPlace(number // PER_ADAPTER, target + (target >= ADAPTER_TARGET))


DiskLike = DiskSpec | str | os.PathLike[str]


def disk_specs(disks: Iterable[DiskLike], cdroms: Iterable[DiskLike] = ()) -> tuple[DiskSpec, ...]:
    """Everything a machine is to have, each with a place of its own; UsageError for one too many."""
    asked = [_spec(disk) for disk in disks]
    asked += [_spec(cdrom)._replace(cdrom=True, readonly=True) for cdrom in cdroms]
    if len(asked) > MAX_DISKS:
        raise UsageError(
            one_line(f"disk {MAX_DISKS + 1} ({asked[MAX_DISKS].path}): a machine holds {MAX_DISKS} disks")
        )
    taken: dict[int, DiskSpec] = {}
    for spec in asked:
        if spec.id is not None and spec.id in taken:
            raise UsageError(one_line(f"{spec.path}: id={spec.id} is {taken[spec.id].path}'s"))
        if spec.id is not None:
            taken[spec.id] = spec
    free = (number for number in range(MAX_DISKS) if number not in taken)
    return tuple(spec if spec.id is not None else spec._replace(id=next(free)) for spec in asked)


def _spec(disk: DiskLike) -> DiskSpec:
    if isinstance(disk, DiskSpec):
        return disk
    return parse_disk(disk) if isinstance(disk, str) else DiskSpec(Path(disk))


def parse_disk(text: str) -> DiskSpec:
    """`FILE[,format=F][,readonly][,snapshot][,id=N][,werror=W]`; the file's own name may have commas."""
    parts = text.split(",")
    found: dict[str, str] = {}
    while len(parts) > 1 and not Path(",".join(parts)).exists():
        name, equals, value = parts.pop().partition("=")
        if (name not in _VALUES or not value) if equals else name not in _FLAGS:
            known = "format=, readonly, snapshot, id= and werror= are"
            raise UsageError(one_line(f"{text}: '{name}' is no option of a disk; {known}"))
        found[name] = value
    number = parse_count(found["id"]) if "id" in found else None
    if number is not None and not 0 <= number < MAX_DISKS:
        raise UsageError(one_line(f"{text}: id={number}: places are 0 to {MAX_DISKS - 1}"))
    werror = found.get("werror", _WERROR[0])
    if werror not in _WERROR:
        raise UsageError(one_line(f"{text}: werror={werror}: choose from {', '.join(_WERROR)}"))
    path, flags = Path(",".join(parts)), ("readonly" in found, "snapshot" in found)
    return DiskSpec(path, found.get("format"), *flags, number, werror=werror)


def boot_order(text: str, specs: Sequence[DiskSpec], nics: int) -> bytes:
    """SeaBIOS's file `bootorder`: device paths, the first to be tried first."""
    lines: list[str] = []
    for word in text.split(","):
        if word not in BOOT_WORDS:
            raise UsageError(f"--boot {text}: choose from {', '.join(BOOT_WORDS)}, joined by commas")
        if word == "net":
            found = [f"/pci@i0cf8/ethernet@{FIRST_NIC_SLOT + number:x}" for number in range(nics)]
        else:
            found = [_scsi_path(spec.place) for spec in specs if spec.cdrom == (word == "cdrom")]
        if not found:
            raise UsageError(f"--boot {text}: the machine has no {'NIC' if word == 'net' else word}")
        lines += found
    return "\n".join(lines).encode() + b"\0"


def _scsi_path(place: DiskPlace) -> str:
    slot = FIRST_SCSI_SLOT + place.adapter
    return f"/pci@i0cf8/scsi@{slot:x}/channel@0/disk@{place.target:x},{place.lun:x}"


class Disks:
    """The open images of a machine."""

    def __init__(self, specs: Sequence[DiskSpec]) -> None:
        self._specs = specs
        self._images: list[Image] = []
        self._patience: dict[Path, Patience] = {}
        self._at_end = ExitStack()
        try:
            for spec in specs:
                self._open(spec)
        except BaseException:
            self.close()
            raise

    def _open(self, spec: DiskSpec) -> None:
        write = not (spec.readonly or spec.snapshot)
        if write:
            _check_newest(spec.path)
        image = open_image(spec.path, format=spec.format, write=write)
        self._images.append(image)
        if spec.snapshot:
            _lay_over(image)
        if spec.werror == "stop":
            patience = self._patience[spec.path] = Patience()
            image.layer = patience.layer(image.layer)
        if write and tracking.is_tracked(spec.path):
            table = tracking.begin(spec.path, image)
            self._at_end.callback(tracking.end, spec.path, table)

    def attach(self, monitor: Monitor) -> None:
        """Plug all into a VM, which has them from then on."""
        for spec, image in zip(self._specs, self._images, strict=True):
            kind = DiskKind.CDROM if spec.cdrom else DiskKind.DISK
            monitor.attach_disk(spec.place, image.layer, kind)
            image.close_files()

    @property
    def patient(self) -> bool:
        """Whether a full disk of the host can make the VM wait."""
        return bool(self._patience)

    def waiting(self) -> list[Path]:
        """Disks for which the VM waits now; from any thread."""
        return [path for path, patience in self._patience.items() if patience.waiting]

    def end_waiting(self) -> None:
        """What waits fails, and nothing waits until it is allowed again; from any thread."""
        for patience in self._patience.values():
            patience.end()

    def allow_waiting(self) -> None:
        """Requests that find the host's disk full may wait."""
        for patience in self._patience.values():
            patience.renew()

    def stats(self, monitor: Monitor) -> list[tuple[DiskSpec, DiskStats]]:
        """What each has done."""
        return [(spec, monitor.disk_stats(spec.place)) for spec in self._specs]

    def close(self) -> None:
        """After the VM: close what it did not take, and note that all is closed."""
        for image in self._images:
            image.close()
        self._at_end.close()


def _check_newest(path: Path) -> None:
    children = children_of(path) if path.suffix == ".vmdk" or path.exists() else []
    if children:
        raise UsageError(
            one_line(
                f"{path}: is frozen by a snapshot; the disk is {children[-1]} (vmm disk snapshot {path})"
            )
        )


def _lay_over(image: Image) -> None:
    """A redo log that has no name and ends with the VM."""
    try:
        with tempfile.NamedTemporaryFile(prefix="vmm-", suffix=".redo") as file:
            header = write_sparse(Path(file.name), image.size // 512, None, zero_grains=True)
            label = f"the changes to {image.path.name}"
            image.layer = sparse_layer(DiskFile(file.fileno(), False, label), header.layout(), image.layer)
    except OSError as error:
        where = tempfile.gettempdir()
        raise HostError(one_line(f"{where}: cannot keep the changes to a disk: {error.strerror}")) from None
