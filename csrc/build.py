"""The cffi build of vmm._vmk: declarations from csrc/include/, sources from csrc/, Unicorn linked statically.

The linker's --wrap sends calls of an engine function f to our __wrap_f and keeps the original as __real_f;
csrc/engine/ defines each of them. Unicorn's archive is linked whole and hidden, so that the copy that
`import unicorn` loads lives beside it.
"""

import importlib.util
import re
from pathlib import Path

from cffi import FFI

CSRC = Path(__file__).resolve().parent
HEADERS = ("vmk_api.h", "vmk_sbe_table.h", "vmk_net.h", "vmk_disk.h")
# What C calls in Python; vmm/monitor/ends.py defines it.
CALLBACKS = """
extern "Python" void vmm_net_frame(uint64_t token, const uint8_t *frame, size_t len, uint64_t now);
"""

# Engine functions replaced or observed; each carries the target's suffix. The file that defines the wrapper
# is named beside it.
_ACCESSES = ("ldub", "lduw", "ldl", "ldq", "stb", "stw", "stl", "stq")
_FORMATS = ("ps", "pd", "ss", "sd")
_INTEGERS = ("cvtps2dq", "cvtpd2dq", "cvtps2pi", "cvtpd2pi", "cvtss2si", "cvtsd2si", "cvtss2sq", "cvtsd2sq")
SSE = [  # engine/sse.c, engine/sse_composite.c
    *(f"{name}{form}" for name in ("add", "sub", "mul", "div", "sqrt", "min", "max") for form in _FORMATS),
    *(f"cmp{test}{form}" for test in ("eq", "lt", "le", "unord") for form in _FORMATS),
    *(f"cmp{test}{form}" for test in ("neq", "nlt", "nle", "ord") for form in _FORMATS),
    *("ucomiss", "comiss", "ucomisd", "comisd"),
    *("cvtps2pd", "cvtpd2ps", "cvtss2sd", "cvtsd2ss", "cvtdq2ps", "cvtdq2pd", "cvtpi2ps", "cvtpi2pd"),
    *("cvtsi2ss", "cvtsi2sd", "cvtsq2ss", "cvtsq2sd"),
    *_INTEGERS,
    *(name.replace("cvt", "cvtt") for name in _INTEGERS),
    *("haddps", "haddpd", "hsubps", "hsubpd", "addsubps", "addsubpd", "dpps_xmm", "dppd_xmm"),
    *(f"round{form}_xmm" for form in _FORMATS),
    *("rcpps", "rcpss", "rsqrtps", "rsqrtss"),
]
WRAPPED = [
    "gen_intermediate_code",  # engine/translate.c
    "tcg_gen_callN",
    "tcg_gen_code",
    "tcg_gen_exit_tb",
    "helper_vmload",  # engine/strings.c
    # engine/access.c
    *(f"cpu_{access}_{kind}_ra" for access in _ACCESSES for kind in ("mmuidx", "data")),
    "memory_region_dispatch_read",  # engine/mmio.c
    "memory_region_dispatch_write",
    "cpu_ldub_code",
    "cpu_lduw_code",
    "cpu_ldl_code",
    "cpu_ldq_code",
    "helper_check_exit_request",  # engine/count.c
    "cpu_restore_state",
    "cpu_loop_exit_noexc",
    "cpu_loop_exit_atomic",  # engine/alone.c
    *(f"helper_atomic_xchg{size}" for size in ("b", "w_le", "l_le", "q_le")),  # engine/exchange.c
    "tb_invalidate_phys_page_fast",  # engine/code_pages.c
    "tlb_reset_dirty_by_vaddr",
    "helper_lookup_tb_ptr",  # engine/jump.c
    "tlb_flush",  # engine/tlb.c
    "tlb_flush_page",
    "helper_inb",  # engine/helpers.c
    "helper_inw",
    "helper_inl",
    "helper_outb",
    "helper_outw",
    "helper_outl",
    "helper_cpuid",
    "helper_rdtsc",
    "helper_rdtscp",
    "helper_rdpmc",
    "helper_rdmsr",
    "helper_wrmsr",
    "helper_rdrand",
    "helper_syscall",
    "helper_sysenter",
    "helper_hlt",
    "helper_pause",
    "helper_mwait",
    "helper_monitor",
    "helper_read_crN",
    "helper_write_crN",
    "helper_iret_protected",
    "helper_set_dr",
    "helper_get_dr",
    "helper_ltr",
    "helper_sysret",
    "helper_sysexit",
    "helper_raise_interrupt",
    "raise_interrupt",
    "helper_single_step",
    "helper_rechecking_single_step",
    "tcg_gen_op3",  # engine/mxcsr.c
    *(
        f"helper_{name}"
        for name in ("ldmxcsr", "fxsave", "fxrstor", "xsave", "xsaveopt", "xrstor", "stgi", "clgi")
    ),
    *(f"helper_{name}" for name in ("f2xm1", "fyl2x", "fyl2xp1", "fptan", "fpatan", "fprem", "fprem1")),
    *(f"helper_{name}" for name in ("fsin", "fcos", "fsincos")),
    *(f"helper_{name}" for name in SSE),
]
WRAPPED_PLAIN = ["qemu_system_reset_request"]  # without the suffix


def package_dir(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the build needs the package {name!r}: pip install {name}")
    return Path(spec.origin).parent


def declarations(header: Path) -> str:
    """What cffi reads of a header: everything but preprocessor lines."""
    return re.sub(r"^#.*\n", "", header.read_text(), flags=re.MULTILINE)


def builder() -> FFI:
    unicorn, capstone = package_dir("unicorn"), package_dir("capstone")
    ffi = FFI()
    for name in HEADERS:
        ffi.cdef(declarations(CSRC / "include" / name))
    ffi.cdef(CALLBACKS)
    wrapped = [f"{name}_x86_64" for name in WRAPPED] + WRAPPED_PLAIN
    wraps = [f"-Wl,--wrap={name}" for name in wrapped]
    headers = [path for suffix in ("h", "def") for path in sorted(CSRC.glob(f"**/*.{suffix}"))]
    root = CSRC.parent
    ffi.set_source(
        "vmm._vmk",
        "".join(f'#include "{name}"\n' for name in HEADERS),
        sources=[str(path.relative_to(root)) for path in sorted(CSRC.glob("*/*.c"))],
        depends=[str(path.relative_to(root)) for path in headers],
        include_dirs=[str(CSRC), str(CSRC / "include"), str(unicorn / "include"), str(capstone / "include")],
        extra_objects=[str(unicorn / "lib" / "libunicorn.a"), str(capstone / "lib" / "libcapstone.so")],
        extra_compile_args=[
            *("-std=gnu11", "-O2", "-g", "-fvisibility=hidden"),
            *("-fno-strict-aliasing", "-fno-math-errno", "-ffp-contract=off"),
            *("-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"),
        ],
        extra_link_args=[
            *(*wraps, "-Wl,--exclude-libs,ALL", "-Wl,-rpath,$ORIGIN/../capstone/lib", "-lpthread"),
            *("-lz", "-lm"),
        ],
    )
    return ffi


ffibuilder = builder()
