"""Proves the fork/wait benchmark inside Linux: its exact figures are equal in two runs, and traps cost more
monitor entries than native instructions."""

from __future__ import annotations

from bench import forks

COUNT = 5


def test_forks_are_counted_exactly() -> None:
    kernel, initrd = forks.boot_files(COUNT)
    first, again, trap = (forks.ours(kernel, initrd, name)[0] for name in ("adaptive", "adaptive", "trap"))
    assert first == again
    assert first["exceptions"] >= COUNT
    assert trap["instructions"] == first["instructions"]
    assert trap["monitor_entries"] > 2 * first["monitor_entries"]
    assert trap["site_hits"] > first["site_hits"]
