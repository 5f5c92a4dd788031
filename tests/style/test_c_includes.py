"""Proves that the C folders include only what lies below them, and that the rule sees each wrong include."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.style.c_includes import include_findings
from tests.style.tree import Source, c_sources


def test_includes_respect_the_layers() -> None:
    findings = [
        finding
        for source in c_sources()
        if source.path.parts[0] == "csrc"
        for finding in include_findings(source)
    ]
    assert findings == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("csrc/dev/pic.c", '#include "cpu/trap.h"'),
        ("csrc/dev/pic.c", '#include "../engine/engine.h"'),
        ("csrc/dev/pic.c", '  #  include "sbe/scan.h"'),
        ("csrc/sbe/scan.c", '#include "dev/pic.h"'),
        ("csrc/cpu/trap.c", "#include <unicorn/unicorn.h>"),
        ("csrc/cpu/trap.c", '#include "engine/private.h"'),
        ("csrc/core/vm.c", "#include <capstone/capstone.h>"),
    ],
)
def test_wrong_include_is_found(path: str, text: str) -> None:
    assert include_findings(Source(Path(path), f"\n{text}\n"))[0].startswith(f"{path}:2:")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "csrc/dev/pic.c",
            '#include <stdint.h>\n#include "io/bus.h"\n#include "pic_regs.h"\n#include "vmk_api.h"',
        ),
        (
            "csrc/engine/unicorn.c",
            '#include <unicorn/unicorn.h>\n#include "engine/private.h"\n#include "private.h"',
        ),
        ("csrc/sbe/scan.c", '#include <capstone/capstone.h>\n#include "sbe/sites.h"'),
    ],
)
def test_right_include_is_accepted(path: str, text: str) -> None:
    assert include_findings(Source(Path(path), text)) == []
