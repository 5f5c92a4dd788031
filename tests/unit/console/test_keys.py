"""Proves that text and chords become a US keyboard's scan codes, and that --keys is read as documented."""

from __future__ import annotations

import string

import pytest

from vmm.console.keys import Keystroke, parse_script, press_chord, type_character
from vmm.errors import UsageError


@pytest.mark.parametrize(
    ("char", "codes"),
    [
        ("a", "1e 9e"),
        ("1", "02 82"),
        ("!", "2a 02 82 aa"),
        ("\n", "1c 9c"),
        ("~", "2a 29 a9 aa"),
        (" ", "39 b9"),
    ],
)
def test_character(char: str, codes: str) -> None:
    assert type_character(char).hex(" ") == codes


def test_every_printable_ascii_character_has_its_own_key() -> None:
    printable = [char for char in string.printable if char.isprintable()]
    assert len({type_character(char) for char in printable}) == len(printable) == 95


def test_character_without_a_key() -> None:
    with pytest.raises(UsageError, match="cannot type 'ä'"):
        type_character("ä")


@pytest.mark.parametrize(
    ("chord", "codes"),
    [
        ("f1", "3b bb"),
        ("F12", "58 d8"),
        ("ctrl+alt+del", "1d 38 e0 53 e0 d3 b8 9d"),
        ("shift+a", "2a 1e 9e aa"),
        ("up", "e0 48 e0 c8"),
    ],
)
def test_chord(chord: str, codes: str) -> None:
    assert press_chord(chord).hex(" ") == codes


@pytest.mark.parametrize("chord", ["", "foo", "ctrl+", "a+b+c+d+e+f+g"])
def test_no_chord(chord: str) -> None:
    with pytest.raises(UsageError, match=r"there is no key|is the most"):
        press_chord(chord)


def test_script() -> None:
    assert list(parse_script(r"a{wait 2.5}{f1}\n{{")) == [
        Keystroke(type_character("a"), 0.0),
        Keystroke(press_chord("f1"), 2.5),
        Keystroke(type_character("\n"), 0.0),
        Keystroke(type_character("{"), 0.0),
    ]


@pytest.mark.parametrize("script", ["{wait x}", "{wait -1}", "{nokey}", "{}", "ä"])
def test_no_script(script: str) -> None:
    with pytest.raises(UsageError):
        list(parse_script(script))
