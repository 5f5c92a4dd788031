"""Random loops run with and without direct execution: registers, flags, memory, counts, faults and the places
where interrupts came must be equal."""

from __future__ import annotations

import os
import random

import pytest

from tests.direct import blocks, guest
from vmm.monitor import Direct

LONG = os.environ.get("VMM_FUZZ") == "long"
BATCHES = 2000 if LONG else 20
LOOPS = 24
ROUNDS = 40


def batch(seed: int, branches: int) -> guest.Batch:
    """Loops of up to 24 instructions with up to `branches` jumps inside each."""
    rng = random.Random(seed)
    loops = []
    for index in range(LOOPS):
        writer = blocks.Writer(rng, at=guest.LOOPS + index * guest.PAGE)
        loops.append(writer.loop(rng.randrange(1, 24), branches=rng.randrange(branches + 1)))
    return guest.Batch(
        loops=loops,
        general=blocks.registers(rng, ROUNDS),
        data=rng.randbytes(guest.DATA_PAGES * guest.PAGE),
        flags=rng.getrandbits(12) & 0xCD5,
        tick=rng.randrange(150, 2500),
    )


@pytest.mark.parametrize("branches", [0, 3])
@pytest.mark.parametrize("seed", range(BATCHES))
def test_random_loops_are_equal(seed: int, branches: int) -> None:
    loops = batch(seed, branches)
    plain, _ = guest.run_loops(loops, Direct.OFF)
    direct, stats = guest.run_loops(loops, Direct.EAGER)
    assert stats.direct_loops >= LOOPS // 3
    assert plain.differences(direct) == []
