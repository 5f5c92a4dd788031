"""Where control goes after an instruction, from Capstone's mnemonic and operand text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

_TRANSFERS = frozenset({"jmp", "call", "loop", "loope", "loopne", "jcxz", "jecxz", "jrcxz"})
_FAR = frozenset({"ljmp", "lcall"})
_LOADS = frozenset({"mov", "movabs", "push"})
# 16-bit code loads numbers of every value, and none of them is a linear address.
_LOWEST_TAKEN = 0x10000
# INT3 pads functions, UD2 follows what never returns: code behind them is reached from elsewhere.
_DEAD_ENDS = frozenset(
    {"ret", "retf", "retfq", "iret", "iretd", "iretq", "sysret", "sysretq", "sysexit", "sysexitq"}
    | {"rsm", "int3", "ud0", "ud1", "ud2"}
)


class Target(Enum):
    """What is known of the place an instruction transfers control to."""

    NONE = auto()
    DIRECT = auto()
    INDIRECT = auto()
    FAR = auto()


@dataclass(frozen=True, slots=True)
class Flow:
    """`falls_through`: the next instruction may be reached; `address` is set for direct targets."""

    falls_through: bool
    target: Target = Target.NONE
    address: int = 0


STRAIGHT = Flow(falls_through=True)
_STOP = Flow(falls_through=False)


def address_taken(mnemonic: str, operands: str) -> int | None:
    """The number that an instruction loads, if it may be the address of code to be jumped to later."""
    if mnemonic not in _LOADS:
        return None
    last = operands.rpartition(" ")[2]
    if not last.startswith("0x") or last.endswith("]"):
        return None
    number = int(last, 16)
    return number if number >= _LOWEST_TAKEN else None


def flow_of(mnemonic: str, operands: str) -> Flow:
    """Flow of one instruction as Capstone prints it; prefixes in the mnemonic (`bnd jmp`) are ignored."""
    name = mnemonic.rpartition(" ")[2]
    if name in _DEAD_ENDS:
        return _STOP
    if name in _FAR:
        return Flow(falls_through=name == "lcall", target=Target.FAR)
    if name not in _TRANSFERS and not name.startswith("j"):
        return STRAIGHT
    falls_through = name != "jmp"
    if operands.startswith("0x") or operands.isdecimal():
        return Flow(falls_through, Target.DIRECT, int(operands, 0))
    return Flow(falls_through, Target.INDIRECT)
