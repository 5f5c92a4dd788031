"""Proves that the monitor's enumerations are those of the C headers, name for name."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from vmm.monitor.enums import (
    Channel,
    CpuMode,
    DiskKind,
    ExitReason,
    NicModel,
    Profile,
    Request,
    ScsiModel,
    Smp,
    SratPurpose,
    TimeMode,
    TraceKind,
)
from vmm.monitor.library import cpu_models, insn_mnemonics, lib, trap_classes

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [
        ("VMK_", Channel),
        ("VMK_REQ_", Request),
        ("VMK_TIME_", TimeMode),
        ("VMK_SMP_", Smp),
        ("VMK_TRACE_", TraceKind),
        ("VMK_SRAT_", SratPurpose),
        ("VMK_MODE_", CpuMode),
        ("VMK_EXIT_", ExitReason),
        ("VMK_SCSI_", ScsiModel),
        ("VMK_DISK_", DiskKind),
        ("VMK_NIC_", NicModel),
    ],
)
def test_enum_is_the_headers(prefix: str, enum: type[IntEnum]) -> None:
    assert {member.name: getattr(lib, prefix + member.name) for member in enum} == {
        member.name: member.value for member in enum
    }


def test_no_member_is_missing() -> None:
    assert len(TraceKind) == lib.VMK_TRACE_KINDS
    assert len(SratPurpose) == lib.VMK_SRAT_PURPOSES
    assert len(Channel) == lib.VMK_CHANNELS
    exits = [name for name in dir(lib) if name.startswith("VMK_EXIT_")]
    assert len(ExitReason) == len(exits)


def test_profiles_are_those_of_the_scanner() -> None:
    header = (ROOT / "csrc" / "include" / "vmk_sbe.h").read_text(encoding="utf-8")
    match = re.search(r"enum sbe_profile \{([^}]*)\}", header)
    assert match is not None
    names = [name.strip().removeprefix("SBE_") for name in match[1].split(",")]
    assert names == [*(profile.name for profile in Profile), "PROFILE_COUNT"]


def test_tables_are_named() -> None:
    assert next(iter(cpu_models())) == "vmm64"
    assert "CPUID" in trap_classes()
    assert "CPUID" in insn_mnemonics()
