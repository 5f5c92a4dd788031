"""Where things go in guest RAM: every byte a plan writes is placed, and checked, here.

Kernels dictate some addresses (`fixed`); the rest is ours to choose in what is left over. Nothing may
overlap and everything must lie in RAM, so a hostile header ends as an error here and never as a write.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import replace

from vmm.errors import ImageError
from vmm.loader.memory_map import HIGH_RAM_BASE, LOW_RAM_END, MIB
from vmm.loader.plan import Blob, BootRequest, Region, RegionKind
from vmm.loader.view import Buffer, ImageView

PAGE = 4096

HANDOFF_LOW = 0x9000
"""Hand-off structures start here: below are the vectors and the BIOS data area, and 0x8000 is where small
kernels like to put the code that starts their other processors."""

HANDOFF_END = 0x9F000


class Layout:
    """Guest RAM being filled for one plan."""

    def __init__(self, view: ImageView, request: BootRequest) -> None:
        self._view = view
        self._request = request
        # RAM from 4 GiB up is left alone: no protocol here can address it at the entry.
        self._ram = [r for r in request.memory_map if r.kind is RegionKind.RAM and r.base < HIGH_RAM_BASE]
        self._taken: list[tuple[int, int, str]] = []
        self._blobs: list[Blob] = []

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything placed so far, in the order it was placed."""
        return tuple(self._blobs)

    def claim(self, address: int, size: int, what: str, offset: int | None = None) -> None:
        """Reserve a range without writing it; ImageError when it is not free RAM.

        `offset` is where in the image the address was read, for the message.
        """
        end = address + size
        if not self._in_ram(address, end):
            raise self._not_ram(address, end, what, offset)
        clash = self._clash(address, end)
        if clash:
            raise self._view.error(
                f"{what} at {address:#x}..{end:#x} overlaps {clash}",
                offset=offset,
                remedy="link the image so that its parts do not overlap",
            )
        if size:
            insort(self._taken, (address, end, what))

    def fixed(
        self, address: int, data: Buffer, what: str, *, size: int = 0, offset: int | None = None
    ) -> None:
        """Place `data` at an address the image dictates, zero-filled up to `size`."""
        size = max(size, len(data))
        self.claim(address, size, what, offset)
        self._blobs.append(Blob(address, data, size, what))

    def fill(self, address: int, data: bytes) -> None:
        """Give the content of the blob placed empty at `address`: it holds its own address, or others'."""
        index = next(index for index, blob in enumerate(self._blobs) if blob.address == address)
        blob = self._blobs[index]
        if len(data) > blob.size:
            raise ValueError(f"{len(data)} bytes do not fit {blob.what} of {blob.size}")
        self._blobs[index] = replace(blob, data=data)

    def up(
        self, data: Buffer, what: str, *, low: int, align: int = 16, size: int = 0, high: int = HIGH_RAM_BASE
    ) -> int:
        """Place `data` at the lowest free aligned address in [low, high); return the address."""
        size = max(size, len(data))
        address = self._lowest(size, low, high, align)
        if address is None:
            raise self._no_room(size, what, low, high)
        self.fixed(address, data, what, size=size)
        return address

    def down(self, data: Buffer, what: str, *, low: int, high: int, align: int = PAGE) -> int:
        """Place `data` at the highest free aligned address in [low, high); return the address."""
        for start, end in reversed(list(self._gaps(low, high))):
            address = (end - len(data)) // align * align
            if address >= start:
                self.fixed(address, data, what)
                return address
        raise self._no_room(len(data), what, low, high)

    def handoff(
        self, data: Buffer, what: str, *, align: int = 16, size: int = 0, prefer: int = HANDOFF_LOW
    ) -> int:
        """Place a hand-off structure in conventional memory, from `prefer` up if there is room."""
        size = max(size, len(data))
        address = self._lowest(size, prefer, HANDOFF_END, align)
        low = HANDOFF_LOW if address is None else address
        return self.up(data, what, low=low, high=HANDOFF_END, align=align, size=size)

    def is_free(self, address: int, size: int) -> bool:
        """Whether the whole range is RAM that nothing has been placed in."""
        end = address + size
        return self._in_ram(address, end) and not self._clash(address, end)

    def _in_ram(self, address: int, end: int) -> bool:
        return any(region.base <= address and end <= region.end for region in self._ram)

    def _lowest(self, size: int, low: int, high: int, align: int) -> int | None:
        for start, end in self._gaps(low, high):
            address = -(-start // align) * align
            if address + size <= end:
                return address
        return None

    def _gaps(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        for region in self._ram:
            at = max(region.base, low)
            limit = min(region.end, high)
            for start, end, _ in self._taken:
                if start >= limit:
                    break
                if end > at:
                    if start > at:
                        yield at, start
                    at = end
            if at < limit:
                yield at, limit

    def _clash(self, address: int, end: int) -> str:
        index = bisect_left(self._taken, (address,))
        for start, stop, what in self._taken[max(index - 1, 0) : index + 1]:
            if start < end and address < stop:
                return f"{what} at {start:#x}..{stop:#x}"
        return ""

    def _not_ram(self, address: int, end: int, what: str, offset: int | None) -> ImageError:
        where = f"{what} wants {address:#x}..{end:#x}"
        if address >= MIB and self._request.memory < end <= LOW_RAM_END:
            return self._view.error(
                f"{where}, outside the guest's {_mib(self._request.memory)} of RAM",
                offset=offset,
                remedy=f"give the guest at least {-(-end // MIB)} MiB (--memory {-(-end // MIB)}M)",
            )
        holes = [region for region in self._request.memory_map if _touches(region, address, end)]
        if holes and end <= HIGH_RAM_BASE:
            return self._view.error(
                f"{where}, which is not RAM but {holes[0].kind.name.lower()}", offset=offset
            )
        return self._view.error(f"{where}, where no image can be loaded", offset=offset)

    def _no_room(self, size: int, what: str, low: int, high: int) -> ImageError:
        return self._view.error(
            f"no {size} free bytes for {what} in {low:#x}..{high:#x} of the guest's "
            f"{_mib(self._request.memory)} of RAM",
            remedy="give the guest more memory (--memory)",
        )


def _touches(region: Region, address: int, end: int) -> bool:
    return region.kind is not RegionKind.RAM and region.base < end and address < region.end


def _mib(size: int) -> str:
    return f"{size / MIB:g} MiB"
