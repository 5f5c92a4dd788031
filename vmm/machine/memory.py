"""Guest memory as the user sees it: guest-physical, by address or slice."""

from __future__ import annotations

from collections.abc import Iterator

from vmm.errors import UsageError
from vmm.loader.memory_map import HIGH_RAM_BASE, LOW_RAM_END, MIB
from vmm.monitor import Monitor

_PAGE = 4096


class Memory:
    """`memory[0x1000]` is a byte, `memory[0x1000:0x1010]` are bytes; both can be assigned."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def read(self, address: int, length: int) -> bytes:
        """Bytes at a guest-physical address; UsageError where not all of it is memory."""
        return self._monitor.ram_read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Write at a guest-physical address; UsageError where not all of it is writable memory."""
        self._monitor.ram_write(address, data)

    def read_linear(self, address: int, length: int, cpu: int = 0) -> bytes:
        """Bytes at a linear address through the CPU's page tables, fewer where they end."""
        return self._monitor.linear_read(cpu, address, length)

    def written(self) -> list[tuple[int, int]]:
        """(address, length) of RAM above 1 MiB that was ever written, neighbouring pages as one."""
        runs: list[tuple[int, int]] = []
        for address in _addresses(self._monitor):
            if runs and sum(runs[-1]) == address:
                runs[-1] = (runs[-1][0], runs[-1][1] + _PAGE)
            else:
                runs.append((address, _PAGE))
        return runs

    def __getitem__(self, where: int | slice) -> bytes | int:
        if isinstance(where, slice):
            start, length = _span(where)
            return self.read(start, length)
        return self.read(where, 1)[0]

    def __setitem__(self, where: int | slice, value: bytes | int) -> None:
        if isinstance(where, slice):
            start, length = _span(where)
            if not isinstance(value, bytes | bytearray) or len(value) != length:
                raise UsageError(
                    f"guest memory of {length} bytes is assigned something else than {length} bytes"
                )
            self.write(start, bytes(value))
        elif isinstance(value, int) and 0 <= value <= 0xFF:
            self.write(where, bytes((value,)))
        else:
            raise UsageError("a byte of guest memory is a number from 0 to 255")


def _addresses(monitor: Monitor) -> Iterator[int]:
    """Addresses of the written pages of RAM above 1 MiB."""
    for page in monitor.written_pages():
        offset = page * _PAGE
        if MIB <= offset < monitor.config.memory:
            yield offset if offset < LOW_RAM_END else offset - LOW_RAM_END + HIGH_RAM_BASE


def _span(where: slice) -> tuple[int, int]:
    if where.start is None or where.stop is None or where.step not in (None, 1) or where.stop < where.start:
        raise UsageError("a slice of guest memory needs a start and an end behind it, and no step")
    return where.start, where.stop - where.start
