"""Every way a command can fail, as one line on stderr and an exit code; no traceback unless asked for."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from vmm.cli.streams import ReaderGone
from vmm.config.version import VERSION
from vmm.errors import VmmError, one_line

INTERRUPTED = 130
BROKEN_PIPE = 141
OUR_FAILURE = 70


def guarded(command: Callable[[], int]) -> int:
    """Exit code of `command`, or of what it raised."""
    try:
        return command()
    except VmmError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except ReaderGone:
        # Whoever read our output has gone; Python must not fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except MemoryError:
        return _say("out of memory on this host; give the guest less with --memory", OUR_FAILURE)
    except Exception as error:
        if os.environ.get("VMM_DEBUG"):
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        advice = "please report it (VMM_DEBUG=1 shows where)"
        return _say(f"internal error in vmm {VERSION}: {what}; {advice}", OUR_FAILURE)


def _say(line: str, code: int) -> int:
    print(f"vmm: {one_line(line)}", file=sys.stderr)
    return code
