"""VMware ESX rebuilt: a virtual machine monitor that scans guest code before it runs.

    from vmm import Machine

The layers, top first; each imports only from those below it:

    cli        the `vmm` command
    machine    one VM as a Python object
    loader     images in, boot plans out
    net        switches, user network, boot server
    console    screens, keys, terminals
    sbe        the table of sensitive instructions, the static walk
    monitor    the only importer of the C extension `vmm._vmk` (csrc/)
    errors config
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmm.config.version import VERSION

if TYPE_CHECKING:
    from vmm.machine import Diagnosis, Machine, Outcome, RunResult, run_together
    from vmm.net.switch import Switch

__version__ = VERSION

__all__ = ["Diagnosis", "Machine", "Outcome", "RunResult", "Switch", "__version__", "run_together"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `import vmm.loader` must not need the extension.
    if name in ("Diagnosis", "Machine", "Outcome", "RunResult", "run_together"):
        return getattr(importlib.import_module("vmm.machine"), name)
    if name == "Switch":
        return importlib.import_module("vmm.net.switch").Switch
    raise AttributeError(f"module 'vmm' has no attribute {name!r}")
