"""Proves that conftest turns a skip into a failure where `CI` is set, and leaves it a skip elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import ROOT

SKIPPING = "import pytest\n\ndef test_absent():\n    pytest.skip('package x missing')\n"


@pytest.mark.parametrize(("variables", "code"), [({}, 0), ({"CI": "1"}, 1)])
def test_skip(variables: dict[str, str], code: int, tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            "-q",
            str(tmp_path),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("skipped in CI: package x missing" in done.stdout) == bool(code), done.stdout
