"""Several machines in one virtual time: they take turns on one thread, and their frames meet reproducibly.

A frame on a switch arrives its latency after it was sent. So nothing that one machine does in the next
latency can reach another before the end of it, and each may run that far on its own: the step. Machines that
sleep send nothing either: a step reaches to the latency after the first of them wakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from vmm.errors import UsageError
from vmm.machine.machine import Machine, Until
from vmm.machine.run import Outcome, RunLoop, RunResult
from vmm.monitor import TimeMode
from vmm.monitor.vm import FOREVER

LONGEST_STEP = 10_000_000
"""ns; for machines that no switch joins, and so that signs are looked for."""


def run_together(
    machines: Sequence[Machine],
    until: Until | Sequence[Until | None] | None = None,
    timeout: float | None = None,
) -> list[RunResult]:
    """Run machines by turns in virtual time, until each has shown its sign or ended.

    `until` is a sign for all, or a list with one per machine: a machine with None runs as long as the others
    need it. A machine that has shown its sign runs on with the others, too. `timeout` counts guest seconds.
    Results are in the order of the machines, `stopped` for one that was still running without a sign. Two
    runs of equal machines are equal to the instruction, unless something outside this process sends.
    """
    signs = _signs(machines, until)
    step = _step(machines)
    with ExitStack() as stack:
        loops = [
            stack.enter_context(machine.running(sign, timeout))
            for machine, sign in zip(machines, signs, strict=True)
        ]
        parts = [
            _Part(machine, loop, sign is not None)
            for machine, loop, sign in zip(machines, loops, signs, strict=True)
        ]
        _run(parts, step)
        return [part.result or part.loop.result() for part in parts]


class _Part:
    """One machine among the others."""

    def __init__(self, machine: Machine, loop: RunLoop, has_sign: bool) -> None:
        self.machine, self.loop, self.has_sign = machine, loop, has_sign
        self.result: RunResult | None = None
        loop.look()
        self._settle()

    def advance(self, horizon: int) -> None:
        """Run to `horizon`, past a sign."""
        while not self.has_ended and self.machine.monitor.now() < horizon:
            self.loop.advance(horizon)
            self._settle()

    def _settle(self) -> None:
        """Keep the first result, and go on if it was only a sign."""
        if self.loop.outcome is None:
            return
        self.result = self.result or self.loop.result()
        if self.loop.outcome is Outcome.UNTIL:
            self.loop.forget_sign()

    @property
    def has_ended(self) -> bool:
        """Whether this machine takes no more turns."""
        return self.loop.outcome is not None

    @property
    def is_awaited(self) -> bool:
        """Whether the run goes on for this machine's sake."""
        return not self.has_ended and self.result is None and self.has_sign


def _run(parts: Sequence[_Part], step: int) -> None:
    waited_for_each_other = False
    signs = any(part.has_sign for part in parts)
    while running := [part for part in parts if not part.has_ended]:
        if signs and not any(part.is_awaited for part in parts):
            return
        if any(part.loop.outcome in (Outcome.TIMEOUT, Outcome.STOPPED) for part in parts):
            return
        now = max(part.machine.monitor.now() for part in running)
        wakes = max(min(part.machine.monitor.next_event() for part in running), now)
        # Nobody will wake anybody, as far as the machines know: then only a limit ends this, or nothing.
        horizon = FOREVER if waited_for_each_other else min(wakes, now + LONGEST_STEP) + step
        for part in running:
            part.advance(horizon)
        waited_for_each_other = all(part.loop.waits_for_others for part in running) and wakes == FOREVER


def _signs(machines: Sequence[Machine], until: Until | Sequence[Until | None] | None) -> list[Until | None]:
    if not machines:
        raise UsageError("no machines to run together")
    if until is None or isinstance(until, bytes | str) or not isinstance(until, Sequence):
        return [until] * len(machines)
    if len(until) != len(machines):
        raise UsageError(f"{len(until)} signs for {len(machines)} machines")
    return [*until]


def _step(machines: Sequence[Machine]) -> int:
    step = LONGEST_STEP
    for machine in machines:
        if machine.options.time is not TimeMode.VIRTUAL:
            raise UsageError("machines that run together need virtual time: leave out time='real'")
        for spec in machine.options.nics:
            if spec.switch is None:
                continue
            if not spec.switch.latency_ns:
                raise UsageError(f"switch {spec.switch.name} has latency 0: give it one, such as 100e-6")
            step = min(step, spec.switch.latency_ns)
    return step
