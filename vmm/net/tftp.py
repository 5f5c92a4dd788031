"""A TFTP server that is read from (RFC 1350) with the options blksize, tsize and timeout (RFC 2347 to 2349).

One transfer per client port. The client repeats what it missed, so there is no timer here: an acknowledgement
of the block before is answered with the block again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

RRQ, WRQ, DATA, ACK, ERROR, OACK = 1, 2, 3, 4, 5, 6
NOT_FOUND, ACCESS, ILLEGAL, UNKNOWN_TRANSFER = 1, 2, 4, 5
PORT = 69

_BLOCK = 512
_MAX_BLOCK = 1428  # with IP and UDP headers one unfragmented frame, as RFC 2348 advises
_MAX_TIMEOUT = 255

ReadFile = Callable[[str], bytes | None]


class Transfer:
    """One file on its way to one client: packets in, the packet to send out."""

    def __init__(self, request: bytes, read_file: ReadFile) -> None:
        self.done = False
        self._data = b""
        self._block_size = _BLOCK
        self._sent = 0
        self.first = self._begin(request, read_file)

    def _begin(self, request: bytes, read_file: ReadFile) -> bytes:
        fields = request[2:].split(b"\0")
        if len(fields) < 3 or fields[1].lower() not in (b"octet", b"netascii"):
            return self._fail(ILLEGAL, "not a read request")
        if request[:2] != struct.pack(">H", RRQ):
            return self._fail(ACCESS, "files are only read here")
        data = read_file(fields[0].decode("utf-8", "replace"))
        if data is None:
            return self._fail(NOT_FOUND, "no such file")
        self._data = data
        accepted = self._accept(fields[2:-1])
        if accepted:
            return struct.pack(">H", OACK) + accepted
        return self._block(1)

    def _accept(self, fields: list[bytes]) -> bytes:
        accepted = b""
        for name, text in zip(fields[::2], fields[1::2], strict=False):
            value = self._option(name.lower(), int(text) if text.isdigit() and len(text) < 10 else -1)
            if value is not None:
                accepted += name + b"\0" + str(value).encode() + b"\0"
        return accepted

    def _option(self, name: bytes, value: int) -> int | None:
        if name == b"tsize" and value >= 0:
            return len(self._data)
        if name == b"timeout" and 1 <= value <= _MAX_TIMEOUT:
            return value
        if name == b"blksize" and value >= 8:
            self._block_size = min(value, _MAX_BLOCK)
            return self._block_size
        return None

    def _fail(self, code: int, text: str) -> bytes:
        self.done = True
        return error(code, text)

    def _block(self, number: int) -> bytes:
        """Block `number`, counted from 1."""
        self._sent = number
        start = (number - 1) * self._block_size
        return struct.pack(">HH", DATA, number & 0xFFFF) + self._data[start : start + self._block_size]

    def take(self, packet: bytes) -> bytes | None:
        """The answer to a packet from the client, if there is one."""
        if self.done or len(packet) < 4:
            return None
        code, number = struct.unpack_from(">HH", packet)
        if code == ERROR:
            self.done = True
            return None
        return self._acknowledged(number) if code == ACK else self._fail(ILLEGAL, "not an acknowledgement")

    def _acknowledged(self, number: int) -> bytes | None:
        if number == self._sent & 0xFFFF:
            # A block that is not full was the last one.
            self.done = self._sent > 0 and self._sent * self._block_size > len(self._data)
            return None if self.done else self._block(self._sent + 1)
        return self._block(self._sent) if self._sent and number == (self._sent - 1) & 0xFFFF else None


def error(code: int, text: str) -> bytes:
    """An ERROR packet."""
    return struct.pack(">HH", ERROR, code) + text.encode() + b"\0"
