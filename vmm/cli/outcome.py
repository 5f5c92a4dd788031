"""Exit codes of `vmm run`."""

from __future__ import annotations

from vmm.machine.run import Outcome, RunResult

TIMED_OUT, GUEST_DIED = 124, 125

EXIT_CODES = """\
Exit codes:

\b
  0         the sign was seen, or a clean power-off; a reset, when no sign
            was asked for
  (v<<1)|1  value v was written to the --debug-exit port, as QEMU's
            isa-debug-exit does it
  124       --timeout ran out
  125       the guest died, or was reset before it showed the sign
  2         a wrong command line or an image that cannot be booted
  70        a failure of vmm itself
  130, 143  ended by Ctrl-C, by SIGTERM
"""


def exit_code(result: RunResult, *, sign_asked: bool, signal_number: int = 0) -> int:
    """Exit code for a run; `sign_asked` says that --until was given."""
    match result.outcome:
        case Outcome.UNTIL | Outcome.POWEROFF:
            return 0
        case Outcome.RESET:
            return GUEST_DIED if sign_asked else 0
        case Outcome.DEBUG_EXIT:
            # A process can only return 8 bits of it.
            return ((result.exit_value or 0) << 1 | 1) & 0xFF
        case Outcome.TIMEOUT | Outcome.INSTRUCTIONS:
            return TIMED_OUT
        case Outcome.STOPPED:
            return 128 + signal_number if signal_number else 0
        case Outcome.DIED:
            return GUEST_DIED
