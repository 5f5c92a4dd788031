"""Proves that machines on a switch talk, and do so reproducibly: two Linux guests move a file over TCP, twice
with the same instructions and state."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.machine.program import IDLE, SPIN, program, say
from tests.net import linux
from vmm import Machine, Outcome, Switch, run_together
from vmm.errors import UsageError

BYTES = 256 << 10
# busybox's nc leaves at the end of its input: here there is none.
SERVER = linux.static(1) + "mkfifo /tmp/open; nc -l -p 7000 <>/tmp/open >/tmp/got; sha256sum /tmp/got\n"
CLIENT = (
    linux.static(2)
    + f"yes 0123456 | head -c {BYTES} >/tmp/file; sha256sum /tmp/file\n"
    + "until nc 10.0.0.1 7000 </tmp/file; do sleep 1; done\n"
)


def transfer(tmp_path: Path, name: str) -> list[Any]:
    """What two runs have in common: instructions, time, state, serial output, capture."""
    pcap = tmp_path / name
    with (
        Switch("lab") as lab,
        Machine(**linux.guest(SERVER), nics=[lab.nic(pcap=pcap)]) as server,
        Machine(**linux.guest(CLIENT), nics=[lab.nic()]) as client,
    ):
        ends = run_together([server, client], timeout=60)
        digest = hashlib.sha256((b"0123456\n" * BYTES)[:BYTES]).hexdigest()
        for end, machine in zip(ends, (server, client), strict=True):
            assert end.outcome is Outcome.POWEROFF, machine.serial.text
            assert digest in machine.serial.text
        common = [
            (machine.stats.instructions, machine.stats.vm_ns, machine.state_sha256, machine.serial.log.sha256)
            for machine in (server, client)
        ]
    return [*common, pcap.read_bytes()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def first(folder: Path) -> list[Any]:
    return transfer(folder, "first")


def test_two_guests_talk_tcp_and_two_runs_are_equal(first: list[Any], folder: Path) -> None:
    assert len(first[-1]) > BYTES
    assert transfer(folder, "second") == first


def test_tshark_reads_the_capture(first: list[Any], folder: Path) -> None:
    names = ("frame.time_epoch", "ip.src", "tcp.len", "tcp.checksum.status", "tcp.analysis.lost_segment")
    fields = [word for name in names for word in ("-e", name)]
    tshark = packages.require_program("tshark")
    options = ("-Y", "tcp", "-T", "fields", "-o", "tcp.check_checksum:TRUE", *fields)
    done = subprocess.run(
        [tshark, "-r", folder / "first", *options], capture_output=True, text=True, check=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert sum(int(row[2]) for row in rows if row[1] == "10.0.0.2") == BYTES
    assert {row[3] for row in rows} == {"1"}
    assert not any(row[4] for row in rows)
    times = [float(row[0]) for row in rows]
    assert times == sorted(times)
    assert times[-1] < first[0][1] / 1e9


def flat(tmp_path: Path, text: str, **options: Any) -> Machine:
    folder = tmp_path / hashlib.sha256(text.encode()).hexdigest()[:8]
    folder.mkdir(exist_ok=True)
    return Machine(program(folder, text), protocol="flat", memory="16M", **options)


def test_machines_stay_together_and_signs_are_waited_for(tmp_path: Path) -> None:
    late = "mov ecx, 3000000; again: dec ecx; jnz again;" + say("late") + SPIN
    with flat(tmp_path, say("early") + SPIN) as one, flat(tmp_path, late) as other:
        ends = run_together([one, other], until=["early", "late"])
        assert [end.match for end in ends] == ["early", "late"]
        assert abs(one.guest_seconds - other.guest_seconds) <= 0.011
        assert one.guest_seconds >= 0.006


def test_a_machine_without_a_sign_is_stopped_at_the_end(tmp_path: Path) -> None:
    with flat(tmp_path, SPIN) as one, flat(tmp_path, say("done") + SPIN) as other:
        ends = run_together([one, other], until=[None, "done"])
        assert [end.outcome for end in ends] == [Outcome.STOPPED, Outcome.UNTIL]
        assert one.run(timeout=0.01).outcome is Outcome.TIMEOUT


def test_timeout(tmp_path: Path) -> None:
    with flat(tmp_path, SPIN) as one, flat(tmp_path, IDLE) as other:
        ends = run_together([one, other], until="never", timeout=0.05)
        assert [end.outcome for end in ends] == [Outcome.TIMEOUT] * 2
        assert all(end.guest_seconds == pytest.approx(0.05, abs=1e-3) for end in ends)


def test_machines_that_wait_for_nobody(tmp_path: Path) -> None:
    with flat(tmp_path, IDLE) as one, flat(tmp_path, IDLE) as other:
        assert [end.outcome for end in run_together([one, other])] == [Outcome.DIED] * 2
    with flat(tmp_path, IDLE) as one, flat(tmp_path, IDLE) as other:
        ends = run_together([one, other], timeout=3600)
        assert [end.outcome for end in ends] == [Outcome.TIMEOUT] * 2


def test_what_cannot_run_together(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no machines"):
        run_together([])
    with flat(tmp_path, SPIN, time="real") as one, pytest.raises(UsageError, match="virtual time"):
        run_together([one])
    with flat(tmp_path, SPIN) as one, pytest.raises(UsageError, match="2 signs for 1"):
        run_together([one], until=["a", "b"])
    with (
        Switch(latency=0) as switch,
        flat(tmp_path, SPIN, nics=[switch.nic()]) as one,
        pytest.raises(UsageError, match="latency 0"),
    ):
        run_together([one])
