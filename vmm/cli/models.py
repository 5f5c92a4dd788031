"""`vmm models`: the CPU models."""

from __future__ import annotations

from vmm.monitor import cpu_models


def models() -> int:
    """List the CPU models that --cpu takes, the default first."""
    known = cpu_models()
    width = max(len(name) for name in known)
    for name, text in known.items():
        print(f"{name:<{width}}  {text}")
    return 0
