"""One number for everything a VM is: CPUs, chips, clock and every page of RAM that was ever written."""

from __future__ import annotations

from collections.abc import Iterator

from vmm.errors import UsageError
from vmm.loader.memory_map import HIGH_RAM_BASE, LOW_RAM_END
from vmm.monitor import Monitor

_PAGE = 4096
_RUN_PAGES = 256


def state_sha256(monitor: Monitor) -> str:
    """SHA-256 of the saved state, then of number and content of each written page in ascending order."""
    import hashlib  # noqa: PLC0415 (slow to load, and few runs want it)

    state = hashlib.sha256(monitor.save_state())
    ram_pages = monitor.config.memory // _PAGE
    for first, count in _runs([page for page in monitor.written_pages() if page < ram_pages]):
        content = _read(monitor, first, count)
        for index in range(count):
            state.update((first + index).to_bytes(8, "little"))
            state.update(content[index * _PAGE : (index + 1) * _PAGE])
    return state.hexdigest()


def _runs(pages: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of runs of neighbours that do not cross 3 GiB, at most `_RUN_PAGES` long."""
    at = 0
    while at < len(pages):
        first, count = pages[at], 1
        while (
            count < _RUN_PAGES
            and at + count < len(pages)
            and pages[at + count] == first + count
            and (first + count) * _PAGE != LOW_RAM_END
        ):
            count += 1
        yield first, count
        at += count


def _read(monitor: Monitor, first: int, count: int) -> bytes:
    try:
        return monitor.ram_read(_address(first), count * _PAGE)
    except UsageError:
        # RAM behind the VGA window or a closed shadow segment: what the guest cannot read counts as zero.
        if count == 1:
            return bytes(_PAGE)
        return b"".join(_read(monitor, first + index, 1) for index in range(count))


def _address(page: int) -> int:
    """Guest-physical address of page number `page` of RAM."""
    offset = page * _PAGE
    return offset if offset < LOW_RAM_END else offset - LOW_RAM_END + HIGH_RAM_BASE
