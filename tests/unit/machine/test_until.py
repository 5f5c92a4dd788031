"""Proves what counts as a sign: over pieces, lines, earlier matches, dropped output and on the screen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.errors import UsageError
from vmm.machine import output
from vmm.machine.output import OutputLog
from vmm.machine.until import OVERLAP, ScreenSearch, Search, compile_sign, screen_text


def fed(log: OutputLog, search: Search, *pieces: bytes) -> list[str | None]:
    seen = []
    for piece in pieces:
        log.append(piece)
        seen.append(search.seen())
    return seen


def cells(text: str) -> bytes:
    return b"".join(bytes((ord(char), 7)) for char in text)


def test_sign_in_pieces() -> None:
    log = OutputLog()
    assert fed(log, Search(compile_sign("login:"), log), b"lo", b"gin", b": ") == [None, None, "login:"]


def test_caret_is_a_line_start_and_not_where_the_search_begins() -> None:
    log = OutputLog()
    search = Search(compile_sign("^done"), log)
    assert fed(log, search, b"not ", b"done\n", b"done") == [None, None, "done"]


def test_next_wait_begins_behind_the_match() -> None:
    log = OutputLog()
    pattern = compile_sign("# ")
    assert fed(log, Search(pattern, log), b"# ls\n# ") == ["# "]
    assert Search(pattern, log).seen() == "# "
    assert Search(pattern, log).seen() is None


def test_sign_already_there_is_seen() -> None:
    log = OutputLog()
    log.append(b"hello")
    assert Search(compile_sign("hello"), log).seen() == "hello"


def test_expressions_of_every_kind() -> None:
    assert compile_sign("ä").search("ä".encode())
    assert compile_sign(b"\xff").search(b"\xff")
    assert compile_sign(re.compile("A", re.IGNORECASE)).search(b"a")
    assert compile_sign(re.compile(b"A")).search(b"A")


@pytest.mark.parametrize("pattern", ["(", "[", "*", "x*", "", "(?P<n", "a{9999999999}"])
def test_no_sign(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"is not a regular expression|matches the empty text"):
        compile_sign(pattern)


@given(st.lists(st.binary(max_size=20)))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    pattern = compile_sign(rb"a.?b|\x00\x01")
    log = OutputLog()
    found = [match for match in fed(log, Search(pattern, log), *pieces) if match is not None]
    assert bool(found) == (pattern.search(b"".join(pieces)) is not None)


def test_long_output_keeps_a_window_and_the_whole_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "WINDOW", 4 * OVERLAP)
    log, whole = OutputLog(), OutputLog()
    search = Search(compile_sign("needle"), log)
    filler = b"." * OVERLAP
    assert set(fed(log, search, *[filler] * 40)) == {None}
    assert len(log.data) <= 8 * OVERLAP
    assert log.length == 40 * OVERLAP
    assert fed(log, search, b"nee", b"dle") == [None, "needle"]
    whole.append(filler * 40 + b"needle")
    assert log.sha256 == whole.sha256
    assert log.since(log.length - 3) == b"dle"


def test_screen_counts_once_until_it_changes() -> None:
    pattern = compile_sign("ready")
    first = ScreenSearch(pattern, b"")
    assert first.seen(cells("ready  "), 7) == "ready"
    second = ScreenSearch(pattern, cells("ready  "))
    assert second.seen(cells("ready  "), 7) is None
    assert second.seen(cells("ready >"), 7) == "ready"


def test_screen_in_a_graphics_mode_shows_nothing() -> None:
    assert ScreenSearch(compile_sign("a"), b"").seen(b"", 0) is None


def test_screen_text_drops_blanks_at_line_ends() -> None:
    assert screen_text(cells("ab  c   "), 4) == "ab\nc"
