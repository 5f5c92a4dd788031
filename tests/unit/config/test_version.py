"""Proves that the package and pyproject.toml name the same version."""

from __future__ import annotations

import tomllib
from pathlib import Path

import vmm
from vmm.config.version import VERSION

ROOT = Path(__file__).resolve().parents[3]


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION == vmm.__version__
