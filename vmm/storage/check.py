"""Whether an image is sound: every table and every pointer looked at, nothing but metadata read.

`problems` mean wrong or missing contents. `leaked` is space that nothing points at: harmless, and what a
crash leaves behind. `notes` say what the next opening for writing puts right by itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from vmm.errors import ImageError
from vmm.storage import qcow2, vmdk_header, vmdk_tables
from vmm.storage.chain import backing_name, detect, open_image
from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.vmdk import Vmdk

_MAX_PROBLEMS = 20


@dataclass(slots=True)
class Report:
    """What was found in one image file. `used` and `leaked` are bytes of it."""

    path: Path
    format: str
    used: int = 0
    leaked: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Add one; after a number of them only that there are more."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)
        elif len(self.problems) == _MAX_PROBLEMS:
            self.problems.append("and more of that")


def check(path: Path, *, repair: bool = False) -> list[Report]:
    """A report for each file of the chain, the top first. Only the top is repaired."""
    reports = _check_files(path, repair=repair)
    if not any(report.problems for report in reports):
        try:
            open_image(path).close()
        except ImageError as error:
            reports[0].problem(error.reason)
    return reports


def _check_files(path: Path, *, repair: bool) -> list[Report]:
    reports: list[Report] = []
    while len(reports) < 64 and path not in [report.path for report in reports]:
        file = ImageFile(path, write=repair and not reports)
        try:
            reports += _check_image(file, repair=repair and not reports)
            name = backing_name(path)
        except ImageError as error:
            reports.append(Report(path, "unknown", problems=[error.reason]))
            break
        finally:
            file.close()
        if not name:
            break
        path = path.parent / name.removeprefix("file:")
        if not path.exists():
            break
    return reports


def _check_image(file: ImageFile, *, repair: bool) -> list[Report]:
    found = detect(file)
    report = Report(file.path, found)
    if found == "raw":
        report.used = file.size
        return [report]
    if found == "qcow2":
        _check_qcow2(file, report)
        return [report]
    vmdk = Vmdk(file)
    if vmdk.header:
        _check_sparse(file, vmdk.header, report, repair=repair)
        return [report]
    report.used = file.size
    parts = []
    for extent in vmdk.descriptor.extents:
        if extent.kind == "SPARSE":
            part = ImageFile(file.path.parent / Path(extent.file).name, write=repair)
            parts.append(Report(part.path, "vmdk extent"))
            try:
                _check_sparse(part, vmdk_header.read_header(part), parts[-1], repair=repair)
            finally:
                part.close()
    return [report, *parts]


class _Map:
    """Which sectors of a file are taken, by grains: a grain taken twice is a problem."""

    def __init__(self, file: ImageFile, report: Report) -> None:
        self._sectors = file.size // SECTOR + bool(file.size % SECTOR)
        self._starts: dict[int, str] = {}
        self._report = report
        self.end = 0
        self.total = 0

    def take(self, sector: int, length: int, what: str) -> None:
        if sector >= self._sectors:
            self._report.problem(f"{what} is at sector {sector}, the file has {self._sectors}")
            return
        if sector in self._starts:
            self._report.problem(f"{what} is where {self._starts[sector]} is, at sector {sector}")
            return
        self._starts[sector] = what
        self.end = max(self.end, sector + length)
        self.total += length

    def check_overlaps(self, lengths: dict[int, int]) -> None:
        last, last_end = "", 0
        for sector in sorted(self._starts):
            if sector < last_end:
                self._report.problem(f"{self._starts[sector]} overlaps {last}, at sector {sector}")
            last, last_end = self._starts[sector], max(last_end, sector + lengths[sector])


def _check_sparse(file: ImageFile, header: vmdk_header.Header, report: Report, *, repair: bool) -> None:
    taken = _Map(file, report)
    lengths: dict[int, int] = {}

    def take(sector: int, length: int, what: str) -> None:
        taken.take(sector, length, what)
        lengths[sector] = max(length, lengths.get(sector, 0))

    take(0, 1, "the header")
    if header.descriptor_size:
        take(header.descriptor_offset, header.descriptor_size, "the descriptor")
    redundant = header.layout().rgd_offset // SECTOR
    size = -(-header.tables * 4 // SECTOR)
    step = -(-header.gt_entries * 4 // SECTOR)
    for first in filter(None, (redundant, header.gd_offset)):
        take(first, size, "a grain directory")
        for index, sector in enumerate(vmdk_tables.directory(file, header, first)):
            if sector:
                take(sector, step, f"grain table {index}")
    grain = 0
    for entries in vmdk_tables.tables(file, header):
        for entry in entries:
            if entry > 1 or (entry == 1 and not header.flags & vmdk_header.FLAG_ZERO_GRAINS):
                take(entry, _grain_length(file, header, entry), f"grain {grain}")
            grain += 1
    taken.check_overlaps(lengths)
    report.used = taken.total * SECTOR
    if header.compressed:
        return
    report.leaked = max(0, file.size // SECTOR - max(taken.end, header.overhead)) * SECTOR
    inside = max(0, taken.end - header.overhead) - _data(taken, lengths, header)
    report.leaked += max(0, inside) * SECTOR
    _settle(file, header, report, taken.end, repair=repair)


def _data(taken: _Map, lengths: dict[int, int], header: vmdk_header.Header) -> int:
    return sum(length for sector, length in lengths.items() if sector >= header.overhead)


def _grain_length(file: ImageFile, header: vmdk_header.Header, sector: int) -> int:
    if not header.compressed or sector * SECTOR + 12 > file.size:
        return header.grain
    (length,) = file.unpack("<8xI", sector * SECTOR, "a marker")
    return -(-(12 + int(length)) // SECTOR)


def _settle(file: ImageFile, header: vmdk_header.Header, report: Report, end: int, *, repair: bool) -> None:
    differing = sum(1 for _ in vmdk_tables.differing(file, header))
    if repair and (differing or header.unclean) and not report.problems:
        vmdk_tables.settle(file, header)
        report.repaired.append(f"closed; {differing} redundant grain tables made equal")
    elif differing and not header.unclean:
        report.problem(f"{differing} redundant grain tables differ from the first ones")
    elif header.unclean:
        report.notes.append(f"was not closed; {differing} redundant grain tables lag behind")
    if repair and report.leaked and not report.problems and end >= header.overhead:
        keep = max(end, header.overhead) * SECTOR
        if file.size > keep:
            file.truncate(keep)
            report.repaired.append(f"{report.leaked} bytes at the end given back")
            report.leaked = 0


def _check_qcow2(file: ImageFile, report: Report) -> None:
    header = qcow2.read_header(file)
    Qcow2Check(file, header, report).run()


class Qcow2Check:
    """Every cluster that the active tables use lies in the file, and is counted as used."""

    def __init__(self, file: ImageFile, header: qcow2.Header, report: Report) -> None:
        self._file, self._header, self._report = file, header, report
        self._cluster = 1 << header.cluster_bits
        self._counts: dict[int, int] = {}

    def run(self) -> None:
        """Fill the report."""
        entries = self._header.l1_entries
        if self._header.incompatible & qcow2.DIRTY:
            self._report.notes.append("was not closed; its refcounts may lag behind")
        for number, entry in enumerate(self._numbers(self._header.l1_offset, entries, "the L1 table")):
            table = entry & 0x00FFFFFFFFFFFE00
            if not table:
                continue
            if self._use(table, f"L2 table {number}"):
                self._check_table(table)
        self._check_counts()

    def _check_table(self, at: int) -> None:
        for entry in self._numbers(at, self._cluster // 8, "an L2 table"):
            if entry & 1 << 62:
                shift = 62 - (self._header.cluster_bits - 8)
                self._inside(entry & (1 << shift) - 1, "a compressed cluster")
            elif place := entry & 0x00FFFFFFFFFFFE00:
                self._use(place, "a cluster")

    def _numbers(self, offset: int, count: int, what: str) -> tuple[int, ...]:
        return struct.unpack(f">{count}Q", self._file.read(offset, count * 8, what))

    def _inside(self, at: int, what: str) -> bool:
        if at < self._file.size:
            return True
        self._report.problem(f"{what} is at {at:#x}, the file has {self._file.size:#x} bytes")
        return False

    def _use(self, at: int, what: str) -> bool:
        if at % self._cluster:
            self._report.problem(f"{what} at {at:#x} is not at the start of a cluster")
            return False
        if not self._inside(at, what):
            return False
        index = at // self._cluster
        self._counts[index] = self._counts.get(index, 0) + 1
        if self._counts[index] == 2 and not self._header.snapshots:
            self._report.problem(f"{what} at {at:#x} is used twice")
        self._report.used += self._cluster
        return True

    def _check_counts(self) -> None:
        bits = 1 << self._header.refcount_order
        per_block = self._cluster * 8 // bits
        count = self._header.refcount_clusters * self._cluster // 8
        blocks = self._numbers(self._header.refcount_offset, min(count, 1 << 22), "the refcount table")
        for index in sorted(self._counts):
            block = blocks[index // per_block] & ~511 if index // per_block < len(blocks) else 0
            if not block or not self._refcount(block, index % per_block, bits):
                self._report.problem(
                    f"the cluster at {index * self._cluster:#x} is used, but counted as free"
                )

    def _refcount(self, block: int, index: int, bits: int) -> int:
        if bits >= 8:
            size = bits // 8
            return int.from_bytes(self._file.read(block + index * size, size, "a refcount"), "big")
        byte = self._file.read(block + index * bits // 8, 1, "a refcount")[0]
        return byte >> (index * bits % 8) & ((1 << bits) - 1)
