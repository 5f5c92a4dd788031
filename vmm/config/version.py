"""The version of the project; pyproject.toml says the same (tests/unit/config/test_version.py)."""

from __future__ import annotations

VERSION = "0.1.0"
