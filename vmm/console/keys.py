"""A US keyboard as set-1 scan codes: text to type, keys and chords by name, and the script of `--keys`.

Scan codes follow the IBM PC/AT Technical Reference; keys the PC/AT did not have come with prefix E0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vmm.config.quantity import check_seconds
from vmm.errors import UsageError

_RELEASE = 0x80
_EXTENDED = 0xE0

# Characters by scan code, from code `first` up: without and with shift.
_ROWS = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
_CHARACTERS = {
    char: (first + index, shifted)
    for first, plain, with_shift in _ROWS
    for row, shifted in ((plain, False), (with_shift, True))
    for index, char in enumerate(row)
} | {" ": (0x39, False), "\n": (0x1C, False), "\t": (0x0F, False), "\b": (0x0E, False), "\x1b": (0x01, False)}

_PLAIN = {
    "esc": 0x01,
    "backspace": 0x0E,
    "tab": 0x0F,
    "enter": 0x1C,
    "ctrl": 0x1D,
    "shift": 0x2A,
    "space": 0x39,
    "alt": 0x38,
    "capslock": 0x3A,
    "numlock": 0x45,
    "scrolllock": 0x46,
    "f11": 0x57,
    "f12": 0x58,
    **{f"f{number}": 0x3A + number for number in range(1, 11)},
}
_GREY = {
    "home": 0x47,
    "up": 0x48,
    "pageup": 0x49,
    "left": 0x4B,
    "right": 0x4D,
    "end": 0x4F,
    "down": 0x50,
    "pagedown": 0x51,
    "insert": 0x52,
    "del": 0x53,
    "delete": 0x53,
    "win": 0x5B,
    "menu": 0x5D,
    "rctrl": 0x1D,
    "altgr": 0x38,
}
KEY_NAMES = (*_PLAIN, *_GREY)
MAX_CHORD = 6

_STEP = re.compile(r"\{\{|\{(?P<command>[^{}]*)\}|\\(?P<escape>[ntbe\\])|(?P<char>.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "e": "\x1b", "\\": "\\"}


def type_character(char: str) -> bytes:
    """Press and release of the key that types `char`; UsageError if a US keyboard has none."""
    if char not in _CHARACTERS:
        raise UsageError(f"a US keyboard cannot type {char!r}; give printable ASCII, newline, tab or escape")
    code, shifted = _CHARACTERS[char]
    key = bytes((code, code | _RELEASE))
    return bytes((_PLAIN["shift"],)) + key + bytes((_PLAIN["shift"] | _RELEASE,)) if shifted else key


def press_chord(chord: str) -> bytes:
    """Press of keys joined by `+` in order and their release in the opposite one: `f1`, `ctrl+alt+del`."""
    names = chord.lower().split("+")
    if len(names) > MAX_CHORD:
        raise UsageError(f"'{chord}' holds {len(names)} keys; {MAX_CHORD} is the most at a time")
    codes = [_code_of(name) for name in names]
    released = [code[:-1] + bytes((code[-1] | _RELEASE,)) for code in reversed(codes)]
    return b"".join(codes + released)


def _code_of(name: str) -> bytes:
    if name in _PLAIN:
        return bytes((_PLAIN[name],))
    if name in _GREY:
        return bytes((_EXTENDED, _GREY[name]))
    if name in _CHARACTERS:
        return bytes((_CHARACTERS[name][0],))
    raise UsageError(f"there is no key '{name}'; keys are characters and {', '.join(KEY_NAMES)}")


@dataclass(frozen=True, slots=True)
class Keystroke:
    """Scan codes to send `pause` seconds after the keystroke before."""

    scancodes: bytes
    pause: float


def parse_script(text: str) -> Iterator[Keystroke]:
    """Keystrokes of text with `\\n \\t \\b \\e`, `{f1}`, `{ctrl+alt+del}`, `{wait 2.5}`; `{{` is a brace."""
    pause = 0.0
    for step in _STEP.finditer(text):
        command = step["command"]
        if command is not None and command.startswith("wait "):
            pause += _wait(command)
            continue
        yield Keystroke(_scancodes(step), pause)
        pause = 0.0


def _scancodes(step: re.Match[str]) -> bytes:
    if step["command"] is not None:
        return press_chord(step["command"])
    if step["escape"] is not None:
        return type_character(_ESCAPES[step["escape"]])
    return type_character(step["char"] or "{")


def _wait(command: str) -> float:
    try:
        seconds = float(command.removeprefix("wait "))
    except ValueError:
        raise UsageError(f"'{{{command}}}' in the keys: write seconds, such as {{wait 2.5}}") from None
    return check_seconds(seconds, f"'{{{command}}}' in the keys")
