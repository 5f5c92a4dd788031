"""Names of the processor's exceptions (Intel SDM volume 3, chapter 6)."""

from __future__ import annotations

NAMES = {
    0: "#DE",
    1: "#DB",
    2: "NMI",
    3: "#BP",
    4: "#OF",
    5: "#BR",
    6: "#UD",
    7: "#NM",
    8: "#DF",
    10: "#TS",
    11: "#NP",
    12: "#SS",
    13: "#GP",
    14: "#PF",
    16: "#MF",
    17: "#AC",
    18: "#MC",
    19: "#XM",
}
INVALID_OPCODE, DOUBLE_FAULT, PAGE_FAULT = 6, 8, 14
_WITH_CODE = frozenset({8, 10, 11, 12, 13, 17})


def vector_name(vector: int) -> str:
    """`#GP` for 13, `vector 32` for one without a name."""
    return NAMES.get(vector, f"vector {vector}")


def exception_text(vector: int, detail: int) -> str:
    """Name and error code; `detail` holds the error code and, for #PF, the low half of CR2 above it."""
    code = detail & 0xFFFFFFFF
    if vector == PAGE_FAULT:
        return f"#PF(code {code:#x}, address …{detail >> 32:08x})"
    return f"{vector_name(vector)}({code:#x})" if vector in _WITH_CODE else vector_name(vector)
