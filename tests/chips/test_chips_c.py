"""Proves the chips without a CPU: every C test program of tests/c passes under ASan and UBSan, and random
accesses break none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

C_TESTS = Path(__file__).parent.parent / "c"
BUILD = C_TESTS.parent.parent / ".cache" / "c-tests"
NOT_CHIPS = {"test_sbe"}
PROGRAMS = sorted(p.stem for p in C_TESTS.glob("test_*.c") if p.stem not in NOT_CHIPS)
LONG = os.environ.get("VMM_FUZZ") == "long"
FUZZ_ACCESSES = 1_000_000 if LONG else 20_000
RING_STEPS = 10_000_000 if LONG else 100_000
HOSTILE_STEPS = 10_000_000 if LONG else 30_000
IMAGE_ROUNDS = 100_000 if LONG else 500
POWER_ROUNDS = 2_000 if LONG else 20


@pytest.fixture(scope="session")
def programs() -> Path:
    """Builds every program once; a compiler's complaint fails each test with its text."""
    done = subprocess.run(
        ["make", "-s", "-j2", "-C", str(C_TESTS), f"OUT={BUILD}", "all"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"make -C tests/c: {done.stderr[-4000:]}", pytrace=False)
    return BUILD


def run(program: Path, *arguments: str) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("name", PROGRAMS)
def test_chip(programs: Path, name: str) -> None:
    run(programs / name)


def test_random_accesses(programs: Path) -> None:
    run(programs / "fuzz_chips", str(FUZZ_ACCESSES))


def test_hostile_scsi_drivers(programs: Path) -> None:
    run(programs / "fuzz_lsi", str(HOSTILE_STEPS))


def test_hostile_rings(programs: Path) -> None:
    run(programs / "fuzz_e1000", str(RING_STEPS))


def test_disk_images_of_chance(programs: Path) -> None:
    run(programs / "fuzz_images", str(IMAGE_ROUNDS))


def test_power_lost_while_a_redo_log_is_written(programs: Path) -> None:
    run(programs / "fuzz_image_power", str(POWER_ROUNDS))
