"""The one place where codes of the C side become exceptions."""

from __future__ import annotations

from vmm.errors import EngineMismatch, HostError, UsageError, VmmError, one_line
from vmm.monitor.library import lib


class InboxFull(HostError):  # noqa: N818 (the state it reports)
    """The VM's inbox took nothing; the sender tries again when the VM has run on."""


class MonitorBug(HostError):  # noqa: N818
    """A broken invariant of the monitor itself; the VM is stopped."""


_EXCEPTIONS: dict[int, type[VmmError]] = {
    lib.VMK_EINVAL: UsageError,
    lib.VMK_ENOMEM: HostError,
    lib.VMK_ERANGE: UsageError,
    lib.VMK_EBUSY: InboxFull,
    lib.VMK_EENGINE: HostError,
    lib.VMK_ESTATE: HostError,
    lib.VMK_EBUG: MonitorBug,
}


def failure(code: int, text: str, doing: str) -> VmmError:
    """The exception for negative `code`; `doing` says what was asked, `text` is the C side's line."""
    kind = _EXCEPTIONS.get(code, MonitorBug)
    reason = text or f"the monitor answered {code} without a reason"
    return kind(one_line(f"{doing}: {reason}"))


def creation_failure(text: str) -> VmmError:
    """The exception for a VM that could not be made; the C side gives only its line."""
    mismatch = text.startswith(("Unicorn", "this build is for Unicorn"))
    kind = EngineMismatch if mismatch else HostError
    return kind(one_line(f"cannot create a VM: {text or 'no reason given'}"))
