"""Proves that ACPICA's own disassembler and compiler take our tables, and give back the same bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import packages
from vmm.loader import acpi

HEADER = 36
DATA_TABLES = ("FADT", "MADT", "HPET", "RSDT", "XSDT", "FACS")
COMPLAINTS = ("warning", "error", "invalid", "unknown", "remark", "could not")


def iasl(*arguments: str, folder: Path) -> str:
    program = packages.require("acpica-tools", "usr/bin/iasl")
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def disassemble(cpus: int, name: str, folder: Path) -> tuple[bytes, str]:
    (data,) = [data for _, data, blob in acpi.build(cpus).blobs if blob == f"ACPI {name}"]
    (folder / "table.aml").write_bytes(data)
    messages = iasl("-d", "table.aml", folder=folder)
    source = (folder / "table.dsl").read_text()
    for complaint in COMPLAINTS:
        assert complaint not in messages.lower(), messages
        assert complaint not in source.lower(), source
    return data, source


@pytest.mark.parametrize("cpus", [1, 64])
def test_dsdt_disassembles_and_compiles_to_itself(cpus: int, tmp_path: Path) -> None:
    data, _ = disassemble(cpus, "DSDT", tmp_path)
    report = iasl("-oa", "-p", "again", "table.dsl", folder=tmp_path)
    assert "0 Errors, 0 Warnings, 0 Remarks" in report, report
    assert (tmp_path / "again.aml").read_bytes()[HEADER:] == data[HEADER:]


@pytest.mark.parametrize("name", DATA_TABLES)
def test_data_table_compiles_to_itself(name: str, tmp_path: Path) -> None:
    data, _ = disassemble(2, name, tmp_path)
    report = iasl("-p", "again", "table.dsl", folder=tmp_path)
    assert "0 Errors, 0 Warnings" in report, report
    again = (tmp_path / "again.aml").read_bytes()
    assert again[HEADER:] == data[HEADER:]


def test_a_broken_table_is_noticed(tmp_path: Path) -> None:
    data = bytearray(acpi.build(1).blobs[4][1])
    data[9] ^= 1
    (tmp_path / "table.aml").write_bytes(data)
    assert "incorrect checksum" in iasl("-d", "table.aml", folder=tmp_path).lower()
