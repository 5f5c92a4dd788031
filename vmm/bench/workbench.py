"""Runs a micro-kernel in a machine, between its markers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from vmm.bench.kernel import Kernel
from vmm.bench.skeleton import EXIT_PORT, EXIT_VALUE, MARK_BEGIN, MARK_END, build
from vmm.bench.techniques import Technique, machine_arguments
from vmm.errors import HostError
from vmm.machine import Machine
from vmm.machine.run import Outcome
from vmm.monitor import Site, Stats, host_cycles

MEMORY = "16M"
GUEST_SECONDS = 3600
_EITHER = f"^{MARK_BEGIN}\n|^X"
_BEGIN, _END = f"{MARK_BEGIN}\n".encode(), f"{MARK_END}\n".encode()


@dataclass(frozen=True, slots=True)
class Measured:
    """Counters and rewritten sites at the two markers, and the host's time between them."""

    before: Stats
    after: Stats
    sites_before: tuple[Site, ...]
    sites_after: tuple[Site, ...]
    ns: int
    cycles: int


class Workbench:
    """Makes images in a folder of its own and runs them."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="vmm-bench-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def image(self, kernel: Kernel, count: int, technique: Technique) -> Path:
        """The file of a kernel's image."""
        paravirtual = technique is Technique.PARAVIRTUAL
        path = Path(self._folder.name) / "kernel.elf"
        path.write_bytes(build(kernel, count, paravirtual=paravirtual))
        return path

    def run(self, kernel: Kernel, count: int, technique: Technique) -> Measured:
        """Measure `count` events; HostError if the kernel does not say at the end that they happened."""
        image = self.image(kernel, count, technique)
        arguments = machine_arguments(technique)
        with Machine(image, memory=MEMORY, debug_exit=EXIT_PORT, **arguments) as machine:
            begin = machine.run(until=_EITHER, timeout=GUEST_SECONDS)
            if begin.outcome is not Outcome.UNTIL or machine.debugcon.log.data != _BEGIN:
                raise HostError(f"micro-kernel {kernel.name} ({technique}) did not begin: {begin.outcome}")
            before, sites = machine.stats, tuple(machine.sites)
            ns, cycles = time.perf_counter_ns(), host_cycles()
            end = machine.run(timeout=GUEST_SECONDS)
            ns, cycles = time.perf_counter_ns() - ns, host_cycles() - cycles
            said = bytes(machine.debugcon.log.data)[len(_BEGIN) :]
            if end.exit_value != EXIT_VALUE or said != _END:
                raise HostError(_complaint(kernel, technique, said, str(end.outcome)))
            return Measured(before, machine.stats, sites, tuple(machine.sites), ns, cycles)


def _complaint(kernel: Kernel, technique: Technique, said: bytes, outcome: str) -> str:
    reasons = {b"E": f"its events did not happen {kernel.faults} times each", b"X": "it took an exception"}
    reason = reasons.get(said[:1], f"it ended with {outcome} and said {said!r}")
    return f"micro-kernel {kernel.name} ({technique}): {reason}"
