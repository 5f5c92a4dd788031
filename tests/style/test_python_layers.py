"""Proves that Python imports only go down the layers, and that the rule sees each way of breaking it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.style.python_layers import layer_findings
from tests.style.tree import Source, python_sources


def test_imports_go_down() -> None:
    findings = [
        finding
        for source in python_sources()
        if source.path.parts[0] == "vmm"
        for finding in layer_findings(source)
    ]
    assert findings == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("vmm/loader/elf.py", "from vmm.machine import Machine"),
        ("vmm/loader/elf.py", "import vmm.machine.run"),
        ("vmm/loader/elf.py", "from ..machine import Machine"),
        ("vmm/loader/elf.py", "from vmm import Machine"),
        ("vmm/loader/elf.py", "def f():\n    from vmm.cli import run"),
        ("vmm/loader/elf.py", "from vmm.net import switch"),
        ("vmm/machine/run.py", "from vmm import _vmk"),
        ("vmm/machine/run.py", "from vmm._vmk import lib"),
        ("vmm/host/run.py", "from vmm.monitor import vm"),
        ("vmm/errors.py", "from vmm.monitor import vm"),
        ("vmm/newpackage/run.py", ""),
    ],
)
def test_wrong_import_is_found(path: str, text: str) -> None:
    assert layer_findings(Source(Path(path), text)) != []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("vmm/loader/elf.py", "from vmm.errors import ImageError"),
        (
            "vmm/loader/elf.py",
            "from vmm.loader.plan import BootPlan\nfrom .plan import Blob\nfrom . import plan",
        ),
        ("vmm/monitor/vm.py", "from vmm import _vmk\nfrom vmm._vmk import ffi, lib"),
        ("vmm/machine/run.py", "from vmm.monitor import vm"),
        ("vmm/__init__.py", "from vmm.machine import Machine"),
        ("vmm/cli/run.py", "import os"),
    ],
)
def test_right_import_is_accepted(path: str, text: str) -> None:
    assert layer_findings(Source(Path(path), text)) == []
