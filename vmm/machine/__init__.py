"""One VM as a Python object in this process: what tests, scripts and the command line use.

Reading order: `machine.py` (the object), `options.py` (what can be asked for), `boot.py` (loading),
`run.py` (the loop), `until.py` (signs), `diagnosis.py` (a guest that died).
"""

from __future__ import annotations

from vmm.machine.diagnosis import Diagnosis
from vmm.machine.machine import Machine
from vmm.machine.run import Outcome, RunResult

__all__ = ["Diagnosis", "Machine", "Outcome", "RunResult"]
