"""What an image format is to this package: a name, protocols, and two functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmm.errors import UsageError
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.view import ImageView


@dataclass(frozen=True, slots=True)
class Format:
    """One row of the registry in `vmm.loader`.

    `probe` looks at the file and answers at once, without raising; `plan` raises ImageError when the file
    turns out not to keep what its first bytes promised. `protocols` are the ways this format can be entered.
    """

    name: str
    protocols: tuple[str, ...]
    probe: Callable[[ImageView], bool]
    plan: Callable[[ImageView, BootRequest], BootPlan]


def refuse(request: BootRequest, protocol: str, *options: str) -> None:
    """UsageError when the request carries an `append`, `initrd` or `modules` the protocol cannot pass."""
    for option in options:
        if getattr(request, option):
            flag = {"modules": "--module"}.get(option, f"--{option}")
            raise UsageError(f"{flag}: an image booted as '{protocol}' cannot be given one; leave it out")
