"""The keyboard as the user sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vmm.console.keys import Keystroke, press_chord, type_character
from vmm.machine.input import PacedInput

_KEY_NS = 20_000_000
"""50 keys a second: a BIOS keeps only 15 in its buffer, and a burst would overflow it."""


class Keyboard:
    """A US keyboard. Keys sent before the guest has set it up are lost, as they are on a PC."""

    def __init__(self, post: Callable[[bytes, int], None], wake: Callable[[], None]) -> None:
        self._input = PacedInput(post, wake)

    def type(self, text: str) -> None:
        """Type text; `\\n` is Enter. UsageError for a character without a key, before anything is typed."""
        for scancodes in [type_character(char) for char in text]:
            self._input.add(scancodes, _KEY_NS)

    def press(self, *chords: str) -> None:
        """Press and release keys by name, one after the other: `press("f1", "ctrl+alt+del")`."""
        for scancodes in [press_chord(chord) for chord in chords]:
            self._input.add(scancodes, _KEY_NS)

    def play(self, script: Iterable[Keystroke], after: float = 0.0) -> None:
        """Type a script from `vmm.console.keys.parse_script`, `after` seconds from now."""
        for stroke in script:
            self._input.add(stroke.scancodes, _KEY_NS, round((stroke.pause + after) * 1e9))
            after = 0.0

    def pump(self, now: int) -> None:
        """Hand over what is due; see `PacedInput`."""
        self._input.pump(now)
