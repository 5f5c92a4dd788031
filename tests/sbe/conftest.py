"""Fixtures of this folder: one scanner per profile and test, and the instruction table as Python sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sbe.library import Scanner, load, scanner
from vmm.sbe.insn_table import InsnTable


@pytest.fixture(scope="session")
def table() -> InsnTable:
    return InsnTable(*load())


@pytest.fixture
def full() -> Iterator[Scanner]:
    with scanner("full") as one:
        yield one


@pytest.fixture
def adaptive() -> Iterator[Scanner]:
    with scanner("adaptive") as one:
        yield one
