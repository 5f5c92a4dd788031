"""What scan-before-execution does with single instructions, where the user wants something else than the
profile's choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from vmm.errors import UsageError
from vmm.monitor import Monitor, Policy, library

if TYPE_CHECKING:
    from vmm.sbe.insn_table import Insn


class Choice(NamedTuple):
    """`policy` for the instructions of row `insn`."""

    insn: Insn
    policy: Policy


def check_policies(policies: Mapping[str, str]) -> tuple[Choice, ...]:
    """Choices from names of rows and of policies; UsageError for a row that there is not, or that does not
    allow the policy."""
    if not policies:
        return ()
    from vmm.sbe.insn_table import InsnTable  # noqa: PLC0415 (few runs want one)

    rows = InsnTable(*library()).by_id
    return tuple(_choice(rows, name, policy) for name, policy in policies.items())


def _choice(rows: Mapping[str, Insn], name: str, policy: str) -> Choice:
    row = rows.get(name.upper())
    if row is None:
        raise UsageError(f"there is no instruction '{name}'; vmm insns lists their names")
    if policy not in row.allowed:
        allowed = " or ".join(row.allowed)
        raise UsageError(f"{row.id} cannot be '{policy}': its row in the table allows {allowed}")
    return Choice(row, Policy[policy.upper()])


def set_policies(monitor: Monitor, choices: Iterable[Choice]) -> None:
    """Tell a VM that has not run yet; inline forms are assembled on the way."""
    for insn, policy in choices:
        if policy is Policy.INLINE:
            from vmm.sbe.inline import forms_of  # noqa: PLC0415 (it brings Keystone)

            for form in forms_of(insn):
                monitor.set_inline(insn.number, form.bits, form.code)
        monitor.set_policy(insn.number, policy)
