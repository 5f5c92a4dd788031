"""Proves that input goes in at the hardware's pace, in order, and waits when the inbox is full."""

from __future__ import annotations

from vmm.machine.input import AHEAD_NS, PacedInput
from vmm.machine.keyboard import Keyboard
from vmm.machine.serial import SerialPort
from vmm.monitor.check import InboxFull

BYTE_NS = 86805


class Recorder:
    """Takes messages up to a limit, as an inbox does."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.messages: list[tuple[bytes, int]] = []
        self.woken = 0

    def post(self, data: bytes, when: int) -> None:
        if len(self.messages) >= self.room:
            raise InboxFull("full")
        self.messages.append((data, when))

    def wake(self) -> None:
        self.woken += 1


def test_messages_keep_their_distance() -> None:
    recorder = Recorder()
    paced = PacedInput(recorder.post, recorder.wake)
    paced.add(b"a", 100)
    paced.add(b"b", 100, pause_ns=1000)
    paced.add(b"c", 100)
    paced.pump(50)
    assert recorder.messages == [(b"a", 50), (b"b", 1150), (b"c", 1250)]
    assert recorder.woken == 3


def test_nothing_is_lost_when_the_inbox_is_full() -> None:
    recorder = Recorder(room=1)
    paced = PacedInput(recorder.post, recorder.wake)
    for letter in (b"a", b"b"):
        paced.add(letter, 10)
    paced.pump(0)
    recorder.room = 2
    paced.pump(500)
    assert recorder.messages == [(b"a", 0), (b"b", 500)]


def test_what_is_far_ahead_waits() -> None:
    recorder = Recorder()
    paced = PacedInput(recorder.post, recorder.wake)
    for letter in (b"a", b"b", b"c"):
        paced.add(letter, AHEAD_NS)
    paced.pump(0)
    assert recorder.messages == [(b"a", 0), (b"b", AHEAD_NS)]
    paced.pump(AHEAD_NS)
    assert recorder.messages[2] == (b"c", 2 * AHEAD_NS)


def test_serial_is_a_line_of_115200_baud() -> None:
    recorder = Recorder()
    port = SerialPort(recorder.post, recorder.wake)
    port.send("x" * 64 + "ü")
    port.input.pump(0)
    assert recorder.messages == [(b"x" * 64, 0), ("ü".encode(), 64 * BYTE_NS)]


def test_keyboard_types_and_presses() -> None:
    recorder = Recorder()
    keyboard = Keyboard(recorder.post, recorder.wake)
    keyboard.type("aA")
    keyboard.press("del")
    keyboard.pump(0)
    assert [data.hex(" ") for data, _ in recorder.messages] == ["1e 9e", "2a 1e 9e aa", "e0 53 e0 d3"]
    assert [when for _, when in recorder.messages] == [0, 20_000_000, 40_000_000]


def test_read_gives_only_what_is_new() -> None:
    port = SerialPort(Recorder().post, Recorder().wake)
    port.log.append(b"one\r\ntwo")
    assert (port.read(), port.read()) == ("one\r\ntwo", "")
    port.log.append(b"!")
    assert port.read() == "!"
    assert port.lines == ["one", "two!"]
