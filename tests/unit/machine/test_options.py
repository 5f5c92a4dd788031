"""Proves that every impossible machine is refused in one line that names the way out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vmm.errors import UsageError
from vmm.loader import Module
from vmm.machine.options import check_options
from vmm.monitor import Profile, Smp, TimeMode, TraceKind


def test_defaults() -> None:
    options = check_options("kernel")
    assert (options.memory, options.cpus, options.cpu) == (512 << 20, 1, "vmm64")
    assert (options.time, options.sbe, options.debug_exit) == (TimeMode.VIRTUAL, Profile.ADAPTIVE, None)
    assert options.rtc == datetime(2000, 1, 1, tzinfo=UTC).timestamp()


def test_everything_given() -> None:
    options = check_options(
        "kernel",
        memory=64 << 20,
        cpus=64,
        modules=["a", ("b", "args"), Module(Path("c"))],
        cpu="x86-64-v2",
        time="real",
        smp="threads",
        sbe="full",
        debug_exit=0xF4,
        msr="zero",
        trace="traps, msr",
        rtc=datetime(2020, 2, 2),
    )
    assert options.modules == (Module(Path("a")), Module(Path("b"), "args"), Module(Path("c")))
    config = options.config()
    assert (config.cpus, config.cpu_model, config.time, config.profile) == (
        64,
        2,
        TimeMode.REAL,
        Profile.FULL,
    )
    assert config.smp is Smp.THREADS
    assert (config.debug_exit_port, config.msr_ignore) == (0xF4, True)
    assert config.trace == {TraceKind.TRAP, TraceKind.MSR}
    assert config.rtc_epoch == datetime(2020, 2, 2, tzinfo=UTC).timestamp()


def test_real_time_shows_the_hosts_date() -> None:
    assert check_options("kernel", time="real").rtc > datetime(2024, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"cpus": 65}, "65 CPUs: a machine has 1 to 64"),
        ({"cpus": 0}, "0 CPUs"),
        ({"memory": "lots"}, "'lots' is not a size"),
        ({"memory": "512K"}, "out of range"),
        ({"memory": (1 << 20) + 1}, "no multiple of 4096"),
        ({"cpu": "pentium"}, "unknown CPU model 'pentium'; known are vmm64, "),
        ({"time": "lunch"}, "unknown time 'lunch'; choose from virtual, real"),
        ({"smp": "both"}, "unknown way to run several CPUs 'both'; choose from turns, threads"),
        ({"smp": "threads"}, "a thread per CPU needs real time"),
        ({"sbe": "most"}, "unknown SBE profile 'most'; choose from full, adaptive, off"),
        ({"msr": "guess"}, "unknown policy for MSRs 'guess'"),
        ({"trace": "all,dust"}, "cannot trace 'dust'; choose from traps, "),
        ({"debug_exit": 65536}, "debug-exit port 65536"),
        ({"rtc": datetime(1969, 12, 31, tzinfo=UTC)}, "the RTC cannot show 1969-12-31"),
    ],
)
def test_impossible_machine(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_options("kernel", **arguments)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
