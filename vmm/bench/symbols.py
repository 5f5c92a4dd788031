"""Which function an address of the guest is in, from whatever names the guest or the user has.

In this order: the file the user gives, the image's own symbols, the kernel's kallsyms in guest memory. A
kernel that moved itself at boot runs elsewhere than a file says; where kallsyms is in memory, it tells how
far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmm.bench import kallsyms
from vmm.bench.kallsyms import Kallsyms
from vmm.loader import SymbolTable
from vmm.loader.symbols import from_system_map
from vmm.machine import Machine
from vmm.monitor import Site

USER = "[user space]"
UNKNOWN = "[unknown]"

# Tables may lie across the end of a window, so windows overlap by more than tables take.
_WINDOW, _OVERLAP = 64 << 20, 16 << 20
_MARKS = ("_stext", "_text", "startup_64", "start_kernel")


@dataclass(frozen=True, slots=True)
class Names:
    """Names for addresses. `source` says where they are from, `slide` how far the kernel moved."""

    table: SymbolTable | None = None
    source: str = "none"
    slide: int = 0

    def function(self, address: int) -> tuple[str, int] | None:
        """Name and offset of the function at a guest address, or None."""
        if self.table is None:
            return None
        name = self.table.name(address - self.slide)
        if not name:
            return None
        function, _, offset = name.rpartition("+0x")
        return (function, int(offset, 16)) if function else (name, 0)

    def of_site(self, site: Site) -> tuple[str, int]:
        """Function and offset of a site; user space and what has no name go by a common one."""
        if site.cpl == 3:
            return USER, 0
        return self.function(site.pc) or (UNKNOWN, 0)


NO_NAMES = Names()


def names_in_file(file: Path | None) -> Names:
    """Names of a System.map, or none without a file. ImageError if it is none."""
    return Names() if file is None else Names(from_system_map(file), str(file))


def guest_names(machine: Machine, given: Names = NO_NAMES) -> Names:
    """Names for a machine that has run: those given, moved to where the kernel is, or what is found."""
    table = machine.symbols if given.table is None else given.table
    if table is None:
        found = guest_kallsyms(machine)
        return Names(SymbolTable(found.text()), "kallsyms in guest memory") if found else Names()
    source = "the image's symbols" if given.table is None else given.source
    return Names(table, source, _slide(machine, table))


def _slide(machine: Machine, given: SymbolTable) -> int:
    found = guest_kallsyms(machine)
    if found is None:
        return 0
    running = {one.name: one.address for one in found.symbols if one.name in _MARKS}
    return next((running[mark] - given[mark] for mark in _MARKS if mark in running and mark in given), 0)


def guest_kallsyms(machine: Machine) -> Kallsyms | None:
    """The tables in the guest's memory that name most of what ran there."""
    sites = [site.pc for site in machine.sites if site.cpl != 3]
    return kallsyms.in_memory(
        windows(machine.memory.written()), machine.memory.read, lambda k: _named(k, sites)
    )


def windows(runs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Parts of runs, of bounded length, that overlap."""
    for address, length in runs:
        for at in range(0, length, _WINDOW - _OVERLAP):
            yield address + at, min(_WINDOW, length - at)
            if at + _WINDOW >= length:
                break


def _named(tables: Kallsyms, sites: Sequence[int]) -> int:
    addresses = [address for _, address in tables.text()]
    return sum(addresses[0] <= pc < addresses[-1] for pc in sites) if addresses else 0
