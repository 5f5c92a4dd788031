"""The project's guests, as tests of machines have them."""

from __future__ import annotations

from tests.machine.conftest import guests

__all__ = ["guests"]
