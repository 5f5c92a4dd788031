"""Proves that what was flushed is there after the writing process was killed, whatever it was doing.

10 kills of a redo log, 3 of other formats; 200 and 66 with `VMM_FUZZ=long`. The child says through a pipe
what it has flushed; the kill comes when some number of flushes has been heard of, while it goes on writing.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.conftest import Qemu
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.create import create

KILLS = 200 if os.environ.get("VMM_FUZZ") == "long" else 10
SIZE = 24 << 20
SECTORS = SIZE // 512

# Every sector written holds its own number and the number of the write; a line `n` on stdout says that all
# writes up to number n are flushed.
WRITER = (
    f"""
SECTORS = {SECTORS}"""
    + """
import random, struct, sys
from pathlib import Path
from vmm.storage import open_image
disk, seed, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng, number = random.Random(seed), first
image = open_image(disk, write=True)
while True:
    for _ in range(rng.randrange(1, 12)):
        start = rng.randrange(SECTORS)
        count = min(rng.choice((1, 3, 8, 130, 300)), SECTORS - start)
        data = b"".join(struct.pack("<QQ", start + i, number).ljust(512, b"v") for i in range(count))
        image.layer.write(start * 512, data)
        sys.stdout.write(f"w {number} {start} {count}\\n")
        number += 1
    image.layer.flush()
    sys.stdout.write(f"f {number - 1}\\n")
    sys.stdout.flush()
"""
)


def sparse(folder: Path) -> Path:
    create(folder / "disk.vmdk", SIZE, "monolithicSparse")
    return folder / "disk.vmdk"


def redo(folder: Path) -> Path:
    return snapshot.create(sparse(folder), "before")


def split(folder: Path) -> Path:
    create(folder / "disk.vmdk", SIZE, "twoGbMaxExtentSparse")
    return folder / "disk.vmdk"


def raw(folder: Path) -> Path:
    create(folder / "disk.img", SIZE, "raw")
    return folder / "disk.img"


class Ledger:
    """Which write each sector must show at least, and up to which writes may have come after."""

    def __init__(self) -> None:
        self.flushed = [0] * SECTORS
        self.number = 1

    def hear(self, lines: list[str]) -> None:
        """The child's lines up to its last flush that was heard of."""
        pending: list[tuple[int, int, int]] = []
        for line in lines:
            word, *numbers = line.split()
            if word == "w":
                pending.append((int(numbers[0]), int(numbers[1]), int(numbers[2])))
                continue
            for number, start, count in pending:
                self.flushed[start : start + count] = [number] * count
            self.number = max([self.number, *(number + 1 for number, _, _ in pending)])
            pending.clear()

    def losses(self, data: bytes) -> list[str]:
        """Sectors that show less than was flushed, or something nobody wrote."""
        found = []
        for sector, least in enumerate(self.flushed):
            content = data[sector * 512 : (sector + 1) * 512]
            place, number = struct.unpack_from("<QQ", content)
            torn = content != struct.pack("<QQ", sector, number).ljust(512, b"v")
            if (least or number or place) and (number < least or torn):
                found.append(f"sector {sector}: write {number} instead of {least}")
            self.flushed[sector] = number
        return found


def write_and_kill(disk: Path, seed: int, first: int) -> list[str]:
    """The lines a writer said before it was killed."""
    words = [sys.executable, "-c", WRITER, str(disk), str(seed), str(first)]
    flushes = random.Random(seed).randrange(1, 12)
    lines: list[str] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while flushes:
            lines.append(child.stdout.readline())
            assert lines[-1], "the writer failed"
            flushes -= lines[-1].startswith("f")
        child.kill()
        # What it had said of later flushes counts too; a line cut off does not.
        rest = child.stdout.read()
    return lines + [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("make", [sparse, redo, split, raw])
def test_what_was_flushed_survives_a_kill(
    make: Callable[[Path], Path], tmp_path: Path, qemu_img: Qemu
) -> None:
    disk, ledger = make(tmp_path), Ledger()
    for seed in range(KILLS if make is redo else KILLS // 3):
        # Far enough that numbers of writes that were lost are not used again.
        ledger.hear(write_and_kill(disk, seed, ledger.number + 1000 * seed))
        with open_image(disk) as image:
            data = image.layer.read(0, SIZE)
        assert ledger.losses(data) == [], f"kill {seed}"
        assert [report.problems for report in check(disk) if report.problems] == [], f"kill {seed}"
    if disk.suffix == ".vmdk":
        assert "No errors" in qemu_img("check", disk)
        check(disk, repair=True)
        assert [report.notes for report in check(disk) if report.notes] == []


def test_a_kill_leaves_a_note_and_the_next_opening_settles_it(tmp_path: Path) -> None:
    disk = sparse(tmp_path)
    write_and_kill(disk, 1, 1)
    assert "was not closed" in check(disk)[0].notes[0]
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * 512)
    assert check(disk)[0].notes == []
