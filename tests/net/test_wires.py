"""Proves the frame formats on file descriptors: streams cut anywhere, datagrams, slow and gone readers."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.net.test_switch import BROADCAST, frame, mac
from vmm.monitor.cables import Framing, SwitchHandle, SwitchJack, plug_fd, plug_python

WAIT = 20.0
"""Seconds after which something that should have come has not; never waited for in a passing run."""


class Far:
    """The far end of a switch whose one other port is a socket's."""

    def __init__(self, framing: Framing) -> None:
        kind = socket.SOCK_STREAM if framing is Framing.STREAM else socket.SOCK_DGRAM
        self.socket, ours = socket.socketpair(socket.AF_UNIX, kind)
        self.socket.settimeout(WAIT)
        self.switch = SwitchHandle(0)
        self.jack = SwitchJack(self.switch)
        self.frames: list[bytes] = []
        self._came = threading.Condition()
        plug_python(self.jack, self._on_frame)
        self.port = plug_fd(SwitchJack(self.switch), ours.detach(), framing)

    def _on_frame(self, data: bytes, _when: int) -> None:
        with self._came:
            self.frames.append(data)
            self._came.notify_all()

    def wait(self, count: int) -> list[bytes]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.frames) >= count, WAIT), self.frames
        return self.frames

    def close(self) -> None:
        self.switch.remove(self.port)
        self.switch.close()
        self.socket.close()


@contextmanager
def far(framing: Framing) -> Iterator[Far]:
    end = Far(framing)
    try:
        yield end
    finally:
        end.close()


def framed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def read_frames(stream: socket.socket, count: int) -> list[bytes]:
    with stream.makefile("rb") as file:
        return [file.read(struct.unpack(">I", file.read(4))[0]) for _ in range(count)]


FRAMES = st.lists(st.binary(max_size=300).map(lambda data: frame(BROADCAST, mac(9), data)), max_size=8)


@settings(max_examples=30, deadline=None)
@given(frames=FRAMES, cuts=st.lists(st.integers(0, 2500), max_size=12))
def test_a_stream_may_be_cut_anywhere(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(framed, frames))
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    with far(Framing.STREAM) as end:
        for first, last in itertools.pairwise(places):
            end.socket.sendall(data[first:last])
        assert end.wait(len(frames)) == frames


def test_frames_leave_on_a_stream_with_their_length() -> None:
    frames = [frame(BROADCAST, mac(1), bytes([n]) * n) for n in range(50)]
    with far(Framing.STREAM) as end:
        for data in frames:
            end.jack.give(data, 0)
        assert read_frames(end.socket, len(frames)) == frames


@pytest.mark.parametrize("framing", [Framing.DGRAM, Framing.TAP])
def test_messages_are_frames(framing: Framing) -> None:
    data = frame(BROADCAST, mac(1))
    with far(framing) as end:
        end.jack.give(data, 0)
        assert end.socket.recv(65536) == data
        end.socket.send(data)
        assert end.wait(1) == [data]


def test_frames_too_short_or_too_long_do_not_get_in() -> None:
    good = frame(BROADCAST, mac(1))
    with far(Framing.DGRAM) as end:
        for data in (b"", b"x" * 13, b"x" * 16385, good):
            end.socket.send(data)
        assert end.wait(1) == [good]
    with far(Framing.STREAM) as end:
        end.socket.sendall(framed(b"") + framed(b"x" * 13) + framed(good))
        assert end.wait(1) == [good]


def test_a_stream_of_something_else_is_read_no_further() -> None:
    good = frame(BROADCAST, mac(1))
    with far(Framing.STREAM) as end:
        end.socket.sendall(framed(good) + b"GET / HTTP/1.0\r\n\r\n" + framed(good))
        assert end.wait(1) == [good]
        # Frames out still go: the reader's confusion is its own.
        end.jack.give(good, 0)
        assert read_frames(end.socket, 1) == [good]
        assert end.frames == [good]


def test_a_reader_that_stops_reading_loses_whole_frames_only() -> None:
    frames = [frame(BROADCAST, mac(1), struct.pack(">I", n) + bytes(8000)) for n in range(400)]
    with far(Framing.STREAM) as end:
        for data in frames:
            end.jack.give(data, 0)
        end.switch.remove(end.port)
        with end.socket.makefile("rb") as file:
            got = []
            while len(head := file.read(4)) == 4:
                got.append(file.read(struct.unpack(">I", head)[0]))
        # The last may be cut where the cable was pulled; what came before is the beginning of what was sent.
        assert 8 < len(got) < len(frames)
        assert got[:-1] == frames[: len(got) - 1]
        end.port = plug_fd(SwitchJack(end.switch), socket.socketpair()[0].detach(), Framing.STREAM)


@pytest.mark.parametrize("framing", [Framing.STREAM, Framing.DGRAM])
def test_a_vanished_peer_is_no_accident(framing: Framing) -> None:
    with far(framing) as end:
        end.socket.close()
        for _ in range(100):
            end.jack.give(frame(BROADCAST, mac(1)), 0)


def test_a_descriptor_that_is_none() -> None:
    switch = SwitchHandle(0)
    with pytest.raises(Exception, match="not a usable descriptor"):
        plug_fd(SwitchJack(switch), -1, Framing.STREAM)
