"""The loop around the monitor: runs a machine until a sign, a limit, or its end.

The VM stops for us at each line of output, when it idles, and at every 50 ms of VM time, whatever is waited
for: where it stops must not depend on the sign, or two runs with different signs would differ. A streamed
trace makes it stop more often, and the monitor notices output only where it stops: a sign may then be seen
some thousand instructions earlier, and several CPUs take their turns differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vmm.errors import GuestDied
from vmm.machine.diagnosis import Diagnosis, diagnose
from vmm.monitor import Channel, Exit, ExitReason, Request
from vmm.monitor.vm import FOREVER, TRACE_RING

if TYPE_CHECKING:
    from vmm.machine.machine import Machine

SLICE_NS = 50_000_000
_MIN_TRACE_SLICE, _MAX_TRACE_SLICE = 500, 16_000


class Outcome(StrEnum):
    """How a run ended."""

    UNTIL = "until"
    POWEROFF = "poweroff"
    RESET = "reset"
    DEBUG_EXIT = "debug-exit"
    TIMEOUT = "timeout"
    DIED = "died"
    INSTRUCTIONS = "instructions"
    STOPPED = "stopped"


FINAL = frozenset({Outcome.POWEROFF, Outcome.RESET, Outcome.DEBUG_EXIT, Outcome.DIED})
"""The machine does not run again after these."""

_REQUESTS = {
    Request.POWEROFF: Outcome.POWEROFF,
    Request.RESET: Outcome.RESET,
    Request.DEBUG_EXIT: Outcome.DEBUG_EXIT,
}


@dataclass(frozen=True, slots=True)
class RunResult:
    """`match` is the text that matched the sign; `exit_value` what was written to the debug-exit port;
    `instructions` and the times are of this run; `diagnosis` is there when the guest died."""

    outcome: Outcome
    match: str | None
    exit_value: int | None
    instructions: int
    guest_seconds: float
    wall_seconds: float
    diagnosis: Diagnosis | None

    def require(self, *outcomes: Outcome) -> RunResult:
        """This result if it is one of `outcomes` (`UNTIL` if none is given); otherwise GuestDied with what
        happened instead."""
        if self.outcome in (outcomes or (Outcome.UNTIL,)):
            return self
        cause = f": {self.diagnosis.cause}" if self.diagnosis else ""
        raise GuestDied(
            f"the run ended with {self.outcome} after {self.guest_seconds:.3f} guest seconds{cause}"
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Absolute VM time in ns and instruction count at which a run ends."""

    time: int = FOREVER
    instructions: int = FOREVER


class RunLoop:
    """One call of `Machine.run`."""

    def __init__(self, machine: Machine, sign: Callable[[], str | None], limits: Limits) -> None:
        self._machine = machine
        self._monitor = machine.monitor
        self._sign = sign
        self._limits = limits
        self._asleep = False
        self._trace_slice = _MIN_TRACE_SLICE

    def run(self) -> RunResult:
        """Run to the end of it."""
        instructions, now, wall = self._monitor.instructions(), self._monitor.now(), time.monotonic()
        outcome, match, end = self._loop()
        diagnosis = diagnose(self._machine, end) if outcome is Outcome.DIED and end else None
        return RunResult(
            outcome=outcome,
            match=match,
            exit_value=end.value if end and outcome is Outcome.DEBUG_EXIT else None,
            instructions=self._monitor.instructions() - instructions,
            guest_seconds=(self._monitor.now() - now) / 1e9,
            wall_seconds=time.monotonic() - wall,
            diagnosis=diagnosis,
        )

    def _loop(self) -> tuple[Outcome, str | None, Exit | None]:
        if (match := self._sign()) is not None:
            return Outcome.UNTIL, match, None
        while True:
            end = self._step()
            if self._only_for_the_trace(end):
                continue
            self._machine.collect()
            # First the sign: a guest that says it and powers off in one breath has shown it.
            if (match := self._sign()) is not None:
                return Outcome.UNTIL, match, end
            outcome = self._judge(end)
            if outcome is not None:
                return outcome, None, end

    def _step(self) -> Exit:
        machine, now = self._machine, self._monitor.now()
        machine.pump(now)
        until = self._limits.time
        if not self._asleep:
            until = min(until, (now // SLICE_NS + 1) * SLICE_NS)
        self._asleep = False
        return self._monitor.run(until, self._instruction_limit(), wait_for_input=True)

    def _only_for_the_trace(self, end: Exit) -> bool:
        """A stop that a run without a trace would not have made: nothing may be looked at here."""
        short = end.reason is ExitReason.INSTRUCTIONS
        return short and self._monitor.instructions() < self._limits.instructions

    def _instruction_limit(self) -> int:
        if self._machine.on_trace is None:
            return self._limits.instructions
        self._stream_trace()
        return min(self._limits.instructions, self._monitor.instructions() + self._trace_slice)

    def _stream_trace(self) -> None:
        """Hand over what was recorded, and keep the slices so short that the ring hardly ever overflows."""
        count = self._machine.drain_trace()
        if count > TRACE_RING // 4:
            self._trace_slice = max(self._trace_slice // 4, _MIN_TRACE_SLICE)
        elif count < TRACE_RING // 64:
            self._trace_slice = min(self._trace_slice * 2, _MAX_TRACE_SLICE)

    def _judge(self, end: Exit) -> Outcome | None:
        """The outcome, or None to go on."""
        if end.reason is ExitReason.REQUEST:
            return _REQUESTS[end.request]
        if end.reason in (ExitReason.TRIPLE_FAULT, ExitReason.HALTED):
            return Outcome.DIED
        if end.reason is ExitReason.IDLE:
            return self._idle()
        if end.reason is ExitReason.STOPPED and self._machine.take_stop():
            return Outcome.STOPPED
        return self._limit_reached()

    def _limit_reached(self) -> Outcome | None:
        if self._monitor.now() >= self._limits.time:
            return Outcome.TIMEOUT
        return Outcome.INSTRUCTIONS if self._monitor.instructions() >= self._limits.instructions else None

    def _idle(self) -> Outcome | None:
        """Virtual time, and nothing will ever happen by itself."""
        wait = self._machine.wait_for_input
        if wait is not None and wait():
            return None
        if self._limits.time == FOREVER:
            return Outcome.DIED
        # An empty message keeps the appointment: time jumps to it.
        self._monitor.post_serial(Channel.COM1, b"", self._limits.time)
        self._asleep = True
        return None
