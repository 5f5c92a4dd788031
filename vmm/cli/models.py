"""`vmm models`: the CPU models."""

from __future__ import annotations

from vmm.cli.streams import STDOUT, write_text
from vmm.monitor import cpu_models


def models() -> int:
    """List the CPU models that --cpu takes, the default first."""
    known = cpu_models()
    width = max(len(name) for name in known)
    write_text(STDOUT, "".join(f"{name:<{width}}  {text}\n" for name, text in known.items()))
    return 0
