"""A serial port as the user sees it: text that came, text to send."""

from __future__ import annotations

from collections.abc import Callable

from vmm.machine.input import PacedInput
from vmm.machine.output import OutputLog

_CHUNK = 64
_BITS_PER_BYTE = 10
_BAUD = 115200
_BYTE_NS = _BITS_PER_BYTE * 1_000_000_000 // _BAUD


class OutputChannel:
    """Output of a guest that nothing can be sent to: the debug console."""

    def __init__(self) -> None:
        self.log = OutputLog()
        self._read = 0

    @property
    def text(self) -> str:
        """Everything kept, as UTF-8."""
        return self.log.data.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """`text` by lines, without line ends."""
        return [line.rstrip("\r") for line in self.text.split("\n")]

    def read(self) -> str:
        """What has come since the last `read`."""
        data, self._read = self.log.since(self._read), self.log.length
        return data.decode("utf-8", "replace")


class SerialPort(OutputChannel):
    """A port with someone at the other end of a line of 115200 baud."""

    def __init__(self, post: Callable[[bytes, int], None], wake: Callable[[], None]) -> None:
        super().__init__()
        self.input = PacedInput(post, wake)

    def send(self, data: str | bytes) -> None:
        """Send text (as UTF-8) or bytes; from any thread. The guest gets it as it runs on."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)
        for at in range(0, len(raw), _CHUNK):
            chunk = raw[at : at + _CHUNK]
            self.input.add(chunk, len(chunk) * _BYTE_NS)
