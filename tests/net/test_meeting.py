"""Proves switches that processes share: who is in the middle, who takes over, that QEMU's format is spoken.

Several parts of a switch live in this one process here; the lock and the sockets do not know the difference.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.net.test_switch import BROADCAST, frame, mac
from tests.net.test_wires import WAIT, framed, read_frames
from vmm.errors import HostError, UsageError
from vmm.monitor.cables import SwitchJack, plug_python
from vmm.net import meeting
from vmm.net.meeting import Meeting


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


class Station:
    """A port of one part of the switch, with what came out of it."""

    def __init__(self, part: Meeting, vlan: int = 0) -> None:
        self.jack = SwitchJack(part.switch, vlan)
        self.frames: list[bytes] = []
        self._came = threading.Condition()
        plug_python(self.jack, self._on_frame)

    def _on_frame(self, data: bytes, _when: int) -> None:
        with self._came:
            self.frames.append(data)
            self._came.notify_all()

    def hears(self, data: bytes, send: Callable[[], None]) -> None:
        """`send` until the frame comes: cables to a new middle are there only after a while."""
        for _ in range(int(WAIT / 0.1)):
            send()
            with self._came:
                if self._came.wait_for(lambda: data in self.frames, 0.1):
                    return
        pytest.fail("the frame never came")


def test_frames_cross_from_any_part_to_any_other() -> None:
    parts = [Meeting("lab") for _ in range(3)]
    stations = [Station(part) for part in parts]
    assert [part.is_middle for part in parts] == [True, False, False]
    for number, sender in enumerate(stations):
        data = frame(BROADCAST, mac(number + 1), bytes([number]))
        for other in stations:
            if other is not sender:
                other.hears(data, lambda sender=sender, data=data: sender.jack.give(data, 0))  # type: ignore[misc]
        assert data not in sender.frames
    for part in parts:
        part.close()


def test_portgroups_reach_into_other_parts() -> None:
    one, other = Meeting("lab"), Meeting("lab")
    here, there, elsewhere = Station(one, 10), Station(other, 10), Station(other, 20)
    data = frame(BROADCAST, mac(1))
    there.hears(data, lambda: here.jack.give(data, 0))
    assert not elsewhere.frames
    other.close()
    one.close()


def test_another_takes_the_middle_when_it_goes() -> None:
    parts = [Meeting("lab") for _ in range(3)]
    stations = [Station(part) for part in parts]
    parts[0].close()
    data = frame(BROADCAST, mac(1))
    stations[2].hears(data, lambda: stations[1].jack.give(data, 0))
    assert sorted(part.is_middle for part in parts[1:]) == [False, True]
    parts[1].close()
    last = Meeting("lab")
    newcomer = Station(last)
    newcomer.hears(data, lambda: stations[2].jack.give(data, 0))
    parts[2].close()
    last.close()


def test_a_process_that_is_killed_in_the_middle_is_replaced() -> None:
    script = (
        "from vmm.net.meeting import Meeting; m = Meeting('lab'); print(m.is_middle, flush=True); input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "True\n"
        parts = [Meeting("lab"), Meeting("lab")]
        assert not any(part.is_middle for part in parts)
        first.kill()
    stations = [Station(part) for part in parts]
    data = frame(BROADCAST, mac(1))
    stations[1].hears(data, lambda: stations[0].jack.give(data, 0))
    assert any(part.is_middle for part in parts)
    for part in parts:
        part.close()


def test_a_stale_socket_is_no_hindrance(runtime: Path) -> None:
    (runtime / "vmm").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(runtime / "vmm" / "lab.sock"))
    part = Meeting("lab")
    assert part.is_middle
    part.close()
    assert not (runtime / "vmm" / "lab.sock").exists()


def test_a_stranger_that_speaks_the_format_is_on_the_switch(runtime: Path) -> None:
    part = Meeting("lab")
    station = Station(part)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(WAIT)
        stranger.connect(str(runtime / "vmm" / "lab.sock"))
        data = frame(BROADCAST, mac(1))
        station.hears(data, lambda: stranger.sendall(framed(data)))
        answer = frame(mac(1), mac(2))
        station.jack.give(answer, 0)
        assert read_frames(stranger, 1) == [answer]
    part.close()


def test_machines_of_one_process_share_its_part() -> None:
    first, leave_first = meeting.join("lab")
    second, leave_second = meeting.join("lab")
    assert first is second
    leave_first()
    assert second.raw()
    leave_second()
    third, leave_third = meeting.join("lab")
    assert third is not first
    leave_third()


def test_folders_that_are_no_meeting_place(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runtime / "vmm").mkdir()
    (runtime / "vmm").chmod(0o777)
    with pytest.raises(HostError, match="not a folder of your own"):
        Meeting("lab")
    long = runtime / ("x" * 100)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(UsageError, match="too long for a socket"):
        Meeting("lab")
