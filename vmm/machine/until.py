"""Signs that end a run: a regular expression on what the guest says or shows, or any condition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmm.errors import UsageError

if TYPE_CHECKING:
    from vmm.machine.output import OutputLog

OVERLAP = 16 << 10
"""Bytes searched again when more arrive: no match is longer than this."""

Pattern = str | bytes | re.Pattern[str] | re.Pattern[bytes]


def compile_sign(until: Pattern) -> re.Pattern[bytes]:
    """The expression over bytes; `^` and `$` match at lines. UsageError if it is none, or matches nothing."""
    try:
        compiled = _compile(until)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{until!r} is not a regular expression: {error}") from None
    if compiled.match(b""):
        raise UsageError(f"the sign {compiled.pattern.decode('utf-8', 'replace')!r} matches the empty text")
    return compiled


def _compile(until: Pattern) -> re.Pattern[bytes]:
    if isinstance(until, re.Pattern):
        flags = until.flags & ~re.UNICODE
        source = until.pattern
    else:
        flags, source = re.MULTILINE, until
    return re.compile(source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source, flags)


class Search:
    """One expression looked for in one log, from where the last match in that log ended."""

    def __init__(self, pattern: re.Pattern[bytes], log: OutputLog) -> None:
        self._pattern = pattern
        self._log = log
        self._start = log.matched
        self._done = log.matched

    def seen(self) -> str | None:
        """The matched text, or None."""
        if self._log.length == self._done:
            return None
        kept, first = self._log.window()
        start = max(self._start, self._done - OVERLAP) - first
        # Searched in place: with a position, not a slice, `^` and look-behind see what came before.
        match = self._pattern.search(kept, max(start, 0))
        self._done = self._log.length
        if match is None:
            return None
        self._log.matched = first + match.end()
        return match[0].decode("utf-8", "replace")


class ScreenSearch:
    """One expression looked for on the screen; a screen that satisfied the last wait does not count again."""

    def __init__(self, pattern: re.Pattern[bytes], ignore: bytes) -> None:
        self._pattern = pattern
        self._last = ignore

    def seen(self, cells: bytes, columns: int) -> str | None:
        """The matched text, or None. `cells` are character and attribute bytes."""
        if cells == self._last or not columns:
            return None
        self._last = cells
        match = self._pattern.search(screen_text(cells, columns).encode("utf-8"))
        return match[0].decode("utf-8", "replace") if match else None


def screen_text(cells: bytes, columns: int) -> str:
    """The characters of a screen, one line a row, without blanks at line ends."""
    # Here, not above: it brings Pillow, and most runs never look at a screen that shows something.
    from vmm.console.font import CP437  # noqa: PLC0415

    text = "".join([CP437[char] for char in cells[::2]])
    return "\n".join(text[at : at + columns].rstrip() for at in range(0, len(text), columns))
