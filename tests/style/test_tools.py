"""Proves that ruff and mypy accept the tree, and that both refuse a bad sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.style.tree import PYTHON_FOLDERS, ROOT

FOLDERS = [folder for folder in PYTHON_FOLDERS if any((ROOT / folder).rglob("*.py"))]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_ruff_accepts_the_tree() -> None:
    done = _run("ruff", "check", *FOLDERS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_refuses_an_unused_import(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n")
    assert _run("ruff", "check", str(bad)).returncode == 1


def test_mypy_accepts_the_tree() -> None:
    done = _run("mypy", *FOLDERS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_refuses_a_missing_annotation(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f(x):\n    return x\n")
    done = _run("mypy", str(bad))
    assert done.returncode == 1, done.stdout
    assert "no-untyped-def" in done.stdout
