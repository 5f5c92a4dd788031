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
    """One call of `Machine.run`, or one machine's part in `run_together`."""

    def __init__(self, machine: Machine, sign: Callable[[], str | None], limits: Limits) -> None:
        self._machine = machine
        self._monitor = machine.monitor
        self._sign = sign
        self._limits = limits
        self._horizon = FOREVER
        self._asleep = False
        self._trace_slice = _MIN_TRACE_SLICE
        self._began = self._monitor.instructions(), self._monitor.now(), time.monotonic()
        self._match: str | None = None
        self._end: Exit | None = None
        self.outcome: Outcome | None = None
        # Whether the last `advance` found nothing in the machine that would ever happen by itself.
        self.waits_for_others = False

    def run(self) -> RunResult:
        """Run to the end of it."""
        if not self.look():
            self.advance()
        return self.result()

    def result(self) -> RunResult:
        """What has come of it; `stopped` if nothing has."""
        instructions, now, wall = self._began
        outcome = self.outcome or Outcome.STOPPED
        end = self._end
        return RunResult(
            outcome=outcome,
            match=self._match,
            exit_value=end.value if end and outcome is Outcome.DEBUG_EXIT else None,
            instructions=self._monitor.instructions() - instructions,
            guest_seconds=(self._monitor.now() - now) / 1e9,
            wall_seconds=time.monotonic() - wall,
            diagnosis=diagnose(self._machine, end) if outcome is Outcome.DIED and end else None,
        )

    def look(self) -> bool:
        """Whether the sign is there."""
        self._match = self._sign()
        if self._match is not None:
            self.outcome = Outcome.UNTIL
        return self._match is not None

    def forget_sign(self) -> None:
        """Go on past the sign that ended this."""
        self._sign = lambda: None
        self._match = self.outcome = None

    def advance(self, horizon: int = FOREVER) -> None:
        """Run to VM time `horizon` or until there is an outcome."""
        self._horizon = horizon
        self.waits_for_others = False
        while self.outcome is None and self._monitor.now() < horizon:
            end = self._step()
            if self._only_for_the_trace(end):
                continue
            self._end = end
            self._machine.collect()
            # First the sign: a guest that says it and powers off in one breath has shown it.
            if not self.look():
                self.outcome = self._judge(end)

    def _step(self) -> Exit:
        machine, now = self._machine, self._monitor.now()
        machine.pump(now)
        until = min(self._limits.time, self._horizon)
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
        until = min(self._limits.time, self._horizon)
        if until == FOREVER:
            return Outcome.DIED
        self.waits_for_others = True
        # An empty message keeps the appointment: time jumps to it.
        self._monitor.post_serial(Channel.COM1, b"", until)
        self._asleep = True
        return None
