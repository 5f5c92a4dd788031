"""One run from the command line: a machine joined to streams, signals and the console, and its last line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from vmm.cli.options import RunOptions
from vmm.cli.outcome import exit_code
from vmm.cli.streams import STDOUT, byte_sink, check_target, tell
from vmm.console.keys import parse_script
from vmm.console.terminal import Terminal
from vmm.errors import UsageError
from vmm.machine import Machine, Outcome, RunResult
from vmm.machine.screen import check_screen_path
from vmm.machine.trace import event_line
from vmm.machine.until import compile_sign

KEYS_AFTER = 1.0
"""Guest seconds before --keys types: a keyboard that nobody has set up loses its keys."""

_CONSOLE_POLL = 0.1


class Session:
    """A machine made from options, run once inside the context."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.code = 0
        self._signal = 0
        _check_together(options)
        self.machine = Machine(options.image, **options.machine_arguments())

    def run(self) -> RunResult:
        """Run to the end, with everything the options ask for on the way; sets `code`."""
        options, machine = self.options, self.machine
        with ExitStack() as stack:
            machine.serial.log.listeners.append(stack.enter_context(byte_sink(options.serial)))
            if options.trace:
                machine.on_trace = lambda event: tell(event_line(event))
            if options.keys:
                machine.keyboard.play(parse_script(options.keys), after=KEYS_AFTER)
            stack.enter_context(_signals(self._on_signal))
            if machine.waits_on_full_disk:
                # Few runs want it.
                from vmm.cli.room import room_watched  # noqa: PLC0415

                stack.enter_context(room_watched(machine))
            if options.console:
                terminal = stack.enter_context(self._console())
                if terminal.is_terminal:
                    tell("vmm: this terminal is COM1; Ctrl-] leaves")
            result = machine.run(until=options.until, timeout=options.timeout)
        self.code = exit_code(result, sign_asked=options.until is not None, signal_number=self._signal)
        if options.screen is not None:
            machine.screen.save(options.screen)
        return result

    def trace_note(self) -> str:
        """A line about missing events, or nothing."""
        gaps = self.machine.trace_gaps
        return f"vmm: the trace has {gaps} gaps: events came faster than they were taken" if gaps else ""

    def close(self) -> None:
        """Free the machine."""
        self.machine.close()

    def _on_signal(self, number: int) -> None:
        self._signal = number
        self.machine.stop()

    def _console(self) -> Terminal:
        machine = self.machine
        terminal = Terminal(sys.stdin.fileno(), machine.serial.send, machine.stop)
        machine.wait_for_input = lambda: terminal.wait(_CONSOLE_POLL)
        return terminal


def _check_together(options: RunOptions) -> None:
    """Everything that would fail only at the end, and what contradicts itself."""
    if options.console and options.serial not in (None, STDOUT):
        raise UsageError("--console and --serial FILE both want COM1; leave one out")
    if options.until is not None:
        compile_sign(options.until)
    list(parse_script(options.keys))
    if options.screen is not None:
        check_target(check_screen_path(options.screen))
    check_target(options.json)


@contextmanager
def _signals(handle: Callable[[int], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP call `handle` while the context lasts."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        handle(number)

    saved = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def summary(machine: Machine, result: RunResult) -> str:
    """The line a run ends with."""
    stats = machine.stats
    said = f" {result.match!r}" if result.outcome is Outcome.UNTIL and result.match else ""
    value = f" {result.exit_value:#x}" if result.exit_value is not None else ""
    return (
        f"vmm: {result.outcome}{said}{value} after {result.guest_seconds:.3f} guest seconds, "
        f"{result.wall_seconds:.3f} s, {stats.instructions} instructions, "
        f"{sum(stats.traps.values())} traps, {stats.sbe_sites} sites"
    )
