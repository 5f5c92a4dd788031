"""Proves that kernels and firmware others wrote boot unmodified to their sign of life, with every sensitive
instruction trapped (`full`) and with only those that must be (`adaptive`)."""

from __future__ import annotations

import pytest

from tests import guest_images
from vmm import Machine, Outcome

GUEST_SECONDS = 120
"""Guest time each is given; memtest86+ needs most, 18 s."""

# Debian's cloud kernel also without rewriting: what `off` is compared by.
RUNS = [(name, sbe) for name in guest_images.NAMES for sbe in ("adaptive", "full")] + [("linux-cloud", "off")]


@pytest.mark.parametrize(("name", "sbe"), RUNS, ids=["-".join(run) for run in RUNS])
def test_reaches_its_sign(name: str, sbe: str) -> None:
    image = guest_images.find(name)
    with Machine(image.path, sbe=sbe, **image.kwargs) as vm:
        result = vm.run(until=image.until, timeout=GUEST_SECONDS)
        said = f"{result}\n{vm.serial.text[-2000:]}\n{vm.screen.text}"
        assert result.outcome == Outcome.UNTIL, said
        if name == "memtest86+ all tests":
            assert _errors(vm.screen.text) == 0, said


def _errors(screen: str) -> int:
    """The number behind `Errors:` on memtest86+'s screen."""
    return int(screen.rpartition("Errors:")[2].split()[0])
