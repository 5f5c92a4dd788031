"""One virtual machine as a Python object in this process, and several in one virtual time.

Reading order: `options.py` (what a machine can be), `boot.py` (image to VM), `machine.py` (the object),
`run.py` and `until.py` (how a run ends), `together.py` (several machines), `serial.py`, `keyboard.py`,
`screen.py` (its ports to the world), `diagnosis.py` (how it died).
"""

from __future__ import annotations

from vmm.machine.diagnosis import Diagnosis
from vmm.machine.machine import Machine
from vmm.machine.run import Outcome, RunResult
from vmm.machine.together import run_together

__all__ = ["Diagnosis", "Machine", "Outcome", "RunResult", "run_together"]
