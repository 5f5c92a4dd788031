"""Ends of cables that Python holds: frames that C hands over, by the token of who takes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from vmm.errors import HostError, VmmError
from vmm.monitor.library import ffi

OnFrame = Callable[[bytes, int], None]

_PULLED = 2**64 - 1

# Tokens are never used twice, so that a late frame finds nobody instead of somebody else.
_tokens = itertools.count(1)
_ends: dict[int, OnFrame] = {}
_failures: list[BaseException] = []


def add(on_frame: OnFrame) -> int:
    """The token by which C calls `on_frame`, with a frame and a VM time."""
    token = next(_tokens)
    _ends[token] = on_frame
    return token


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vmm_net_frame(token: int, frame: Any, length: int, now: int) -> None:
    """Called by C; an exception must not be lost there."""
    on_frame = _ends.get(token)
    if not length and now == _PULLED:
        _ends.pop(token, None)
        return
    if on_frame is None:
        return
    try:
        on_frame(bytes(ffi.buffer(frame, length)), now)
    except BaseException as error:
        _failures.append(error)


def raise_failure() -> None:
    """What an end has raised, if one has."""
    if not _failures:
        return
    error = _failures[0]
    _failures.clear()
    if isinstance(error, VmmError) or not isinstance(error, Exception):
        raise error
    raise HostError(f"the far end of a cable failed: {type(error).__name__}: {error}") from error
