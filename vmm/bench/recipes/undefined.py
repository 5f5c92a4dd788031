"""Instructions that the CPU models do not have: each is #UD, and that costs something too."""

from __future__ import annotations

from vmm.bench.recipes.parts import GP, UD, faulting

# Row of the table, bytes of one of its forms.
# UMONITOR, UMWAIT and TPAUSE differ in a prefix only, and the engine takes each for a fence.
_UNDEFINED = (
    ("RDPID", "f30fc7f8"),
    ("RDPRU", "0f01fd"),
    ("RDRAND", "0fc7f0"),
    ("RDSEED", "0fc7f8"),
    ("WRMSRNS", "0f01c6"),
    ("MSRLIST", "f20f01c6"),
    ("XSAVES", "0fc72b"),
    ("MOV_CR_UNDEFINED", "0f20c8"),
    ("MOV_TEST_REGISTER", "0f24f0"),
    ("MONITOR", "0f01c8"),
    ("MWAIT", "0f01c9"),
    ("MONITORX", "0f01fa"),
    ("LKGS", "f20f00f0"),
    ("FRED_RETURN", "f30f01ca"),
    ("SMAP", "0f01ca"),
    ("INVPCID", "660f388203"),
    ("INVLPGB", "0f01fe"),
    ("LOCK_BIT_TEST", "f00fa3c0"),
    ("VMX_CONTROL", "0f01c2"),
    ("VMX_POINTER", "0fc733"),
    ("VMX_FIELD", "0f78c0"),
    ("VMX_INVALIDATE", "660f388003"),
    ("SVM", "0f01d8"),
    ("SEV", "f20f01fe"),
    ("TDX", "660f01cc"),
    ("SGX", "0f01cf"),
    ("PCONFIG", "0f01c5"),
    ("HRESET", "f30f3af0c000"),
    ("GETSEC", "0f37"),
    ("RSM", "0faa"),
    ("WRUSS", "660f38f503"),
    ("SHADOW_STACK_BUSY", "f30f01e8"),
)
_WAITS = (("umonitor", "f30faef0"), ("umwait", "f20faef0"), ("tpause", "660faef0"))

_SETUP = "mov rbx, 0x20d000; xor eax, eax; xor ecx, ecx; xor edx, edx"

KERNELS = (
    *(
        faulting(
            f"ud-{row.lower().replace('_', '-')}",
            UD,
            code,
            rows=(row,),
            text="not presented by the CPU model: #UD, skipped",
            setup=_SETUP,
        )
        for row, code in _UNDEFINED
    ),
    *(
        faulting(
            f"ud-{name}",
            UD,
            code,
            rows=("UMWAIT",),
            text=f"{name.upper()}, not presented: #UD, skipped",
            setup=_SETUP,
            native=False,
        )
        for name, code in _WAITS
    ),
    faulting(
        "rdpmc",
        GP,
        "0f33",
        rows=("RDPMC",),
        text="read a performance counter that is not there: #GP",
        setup=_SETUP,
    ),
)
