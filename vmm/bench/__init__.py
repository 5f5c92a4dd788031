"""Measures what virtual machines cost: trap micro-kernels, their exact figures and their times.

Reading order: `kernel.py` (what a micro-kernel is), `layout.py` and `skeleton.py` (the image around it),
`recipes/` (all of them), `techniques.py` (how the monitor treats one), `exact.py` (figures that are equal in
every run), `timing.py` and `qemu.py` (time), `baseline.py` (what must not rise).

A user's own guest: `image_profile.py` (where its traps come from), `symbols.py` and `kallsyms.py` (names of
its functions), `class_cost.py` (what a trap weighs), `flame.py` (a drawing).
"""
