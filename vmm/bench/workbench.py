"""Runs a micro-kernel in a machine, from mark to mark."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from vmm.bench.kernel import Kernel
from vmm.bench.skeleton import DIFFERS, EXIT_PORT, EXIT_VALUE, MARKS, UNEXPECTED, VERIFIED, build
from vmm.bench.techniques import Technique, machine_arguments
from vmm.errors import HostError
from vmm.machine import Machine
from vmm.monitor import Site, Stats, host_cycles

MEMORY = "16M"
GUEST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Mark:
    """What was counted, rewritten and passed on the host when the kernel said where it is."""

    stats: Stats
    sites: tuple[Site, ...]
    ns: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A run at its three marks: the empty loop is between the first two, the event's between the last."""

    begin: Mark
    middle: Mark
    end: Mark

    @property
    def ns(self) -> tuple[int, int]:
        """Host ns of the empty loop and of the event's."""
        return self.middle.ns - self.begin.ns, self.end.ns - self.middle.ns

    @property
    def cycles(self) -> tuple[int, int]:
        """Host cycles of the empty loop and of the event's."""
        return self.middle.cycles - self.begin.cycles, self.end.cycles - self.middle.cycles


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
        with self.machine(kernel, count, technique) as machine:
            marks = [reach(machine, kernel, mark) for mark in MARKS]
            verify(machine, kernel)
        return Measured(*marks)

    def machine(self, kernel: Kernel, count: int, technique: Technique) -> Machine:
        """A machine with a kernel's image, not yet started."""
        image = self.image(kernel, count, technique)
        return Machine(image, memory=MEMORY, debug_exit=EXIT_PORT, **machine_arguments(technique))


def reach(machine: Machine, kernel: Kernel, mark: str) -> Mark:
    """Run to a mark; HostError if the kernel says something else."""
    machine.run(until=f"^({mark}|{DIFFERS}|{UNEXPECTED})\n", timeout=GUEST_SECONDS)
    ns, cycles = time.perf_counter_ns(), host_cycles()
    _check(machine, kernel, mark)
    return Mark(machine.stats, tuple(machine.sites), ns, cycles)


def verify(machine: Machine, kernel: Kernel) -> None:
    """Run to the end; HostError if the events did not happen as often as the kernel says."""
    end = machine.run(timeout=GUEST_SECONDS)
    _check(machine, kernel, VERIFIED)
    if end.exit_value != EXIT_VALUE:
        raise HostError(f"micro-kernel {kernel.name} ended with {end.outcome}")


def _check(machine: Machine, kernel: Kernel, wanted: str) -> None:
    lines = machine.debugcon.log.data.decode("latin-1").splitlines()
    said = lines[-1] if lines else ""
    if said == wanted:
        return
    reasons = {
        DIFFERS: f"its events did not happen {kernel.faults} times each",
        UNEXPECTED: "it took an exception",
    }
    reason = reasons.get(said, f"it stopped behind {said!r} and did not reach {wanted!r}")
    raise HostError(f"micro-kernel {kernel.name}: {reason}")
