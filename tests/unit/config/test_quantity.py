"""Proves that sizes, ports and time spans are read as people write them, and anything else is refused."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.config.quantity import check_seconds, parse_port, parse_size
from vmm.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 << 20),
        ("1G", 1 << 30),
        ("64K", 64 << 10),
        ("4096", 4096),
        ("2g", 2 << 30),
        ("1MiB", 1 << 20),
    ],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "5Q", "1 000", "0x10", "9" * 40, "1M\n1"])
def test_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(("text", "port"), [("0xf4", 0xF4), ("501", 501), ("65535", 65535)])
def test_port(text: str, port: int) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "f4", "", "1" * 5000])
def test_no_port(text: str) -> None:
    with pytest.raises(UsageError, match="is not an I/O port"):
        parse_port(text)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan, 1e10])
def test_no_time_span(value: float) -> None:
    with pytest.raises(UsageError, match="a timeout of"):
        check_seconds(value, "a timeout")
