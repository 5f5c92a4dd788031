"""Proves the C scanner under ASan and UBSan with tests/c/test_sbe.c: sites, refusals, random code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.sbe.library import ROOT, SOURCES, compiler_flags, linker_flags

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BLOCKS = "300000" if os.environ.get("VMM_FUZZ") == "long" else "3000"


def test_c_unit_tests_pass_under_sanitizers(tmp_path: Path) -> None:
    source = ROOT / "tests" / "c" / "test_sbe.c"
    program = tmp_path / "test_sbe"
    build = [
        "gcc",
        "-g",
        "-O1",
        "-pthread",
        *SANITIZERS,
        *compiler_flags(),
        f"-I{source.parent}",
        "-o",
        str(program),
    ]
    subprocess.run([*build, str(source), *map(str, SOURCES), *linker_flags(tmp_path)], check=True)
    done = subprocess.run([str(program), BLOCKS], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
