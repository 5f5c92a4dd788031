"""Numbers as people write them: sizes (`512M`), ports (`0xf4`), seconds (`2.5`)."""

from __future__ import annotations

import math
import re

from vmm.errors import UsageError

_SIZE = re.compile(r"([0-9]+)\s*([KMGT]?)(i?B)?", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_MAX_DIGITS = 20


def parse_size(text: str) -> int:
    """Bytes of `512M`, `1G`, `64K`, `4096`; units are powers of 1024. UsageError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if not match or len(match[1]) > _MAX_DIGITS:
        raise UsageError(f"'{text}' is not a size; write a whole number with K, M or G, such as 512M")
    return int(match[1]) << _SHIFT[match[2].upper()]


def parse_port(text: str) -> int:
    """An I/O port of 16 bits, decimal or 0x…; UsageError for anything else."""
    try:
        port = int(text, 0) if len(text) <= _MAX_DIGITS else -1
    except ValueError:
        port = -1
    if not 0 < port <= 0xFFFF:
        raise UsageError(f"'{text}' is not an I/O port; write 1 to 65535, such as 0xf4")
    return port


def parse_count(text: str) -> int:
    """A whole number; UsageError for anything else."""
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a whole number") from None


def parse_seconds(text: str) -> float:
    """A number of seconds; UsageError for anything else. `check_seconds` says if it can be waited for."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a number of seconds") from None


def check_seconds(value: float, what: str) -> float:
    """`value` if it is a time span that can be waited for; UsageError naming `what` otherwise."""
    if not (math.isfinite(value) and 0 < value <= 1e9):
        raise UsageError(f"{what} of {value:g} seconds: give more than 0 and at most 1e9")
    return value
