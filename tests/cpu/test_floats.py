"""Proves SSE arithmetic done by the host's own instructions: results, flags and exceptions are the
processor's, each care that is taken is needed, and a guest computes what the host computes."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.guests_build import GUESTS, guest
from vmm import Machine

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "csrc" / "engine"
SOURCES = ("sse.c", "sse_composite.c", "sse_range.c", "mxcsr.c")
FUZZER = ROOT / "tests" / "c" / "float"
WORKLOADS = Path(__file__).parent / "floats"
SHARED = (WORKLOADS / "workloads.c", FUZZER / "processor.c", FUZZER / "operands.c")
BUILD = runpy.run_path(str(ROOT / "csrc" / "build.py"))
SETS = 1_000_000 if os.environ.get("VMM_FUZZ") == "long" else 5_000  # of each of 150 operations
MUTANT_SETS = 300_000
WARNINGS = ("-std=gnu11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra")
FREESTANDING = (
    *("-m64", "-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector", "-fcf-protection=none"),
    *("-fno-asynchronous-unwind-tables", "-mno-red-zone", "-Wno-main"),
)
LINKED_BARE = (
    *("-m64", "-nostdlib", "-static", "-no-pie"),
    "-Wl,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-warn-rwx-segments",
)
# What is done otherwise, in which file, and an operation that must then be wrong.
MUTANTS = {
    "elements that MMX has not": ("sse.c", '"cvtps2dq", sse_half', '"cvtps2dq", sse_whole', "cvtps2pi"),
    "flushed though underflow is unmasked": ("mxcsr.c", "if (mxcsr & MXCSR_UE <<", "if (1 <<", "subsd"),
    "result flags beside the operands'": ("mxcsr.c", "flags &= before;", "flags |= 0;", "divps"),
    "exact underflow": ("mxcsr.c", "any_denormal(result, kind))", "false)", "mulsd"),
    "inexact as if masked": ("mxcsr.c", "else if (flags & unmasked & range)", "else if (0)", "mulsd"),
    "narrowed taken for doubles": ("mxcsr.c", "kind & 2 && (kind", "kind & 2 || (kind", "cvtpd2ps"),
    "sum without room": ("sse_range.c", "> 2 * binades", "> UINT64_MAX - 1", "subsd"),
    "denormal taken for one": ("sse_range.c", "fraction && !(fraction & unit)", "0", "mulsd"),
    "differences of the others": (
        "sse_composite.c",
        "sub_##format(_mm_and_si128(lower, a)",
        "sub_##format((a)",
        "addsubps",
    ),
    "products not asked for": (
        "sse_composite.c",
        "_mm_and_si128(sse_whole(d), taken)",
        "sse_whole(d)",
        "dpps_0x31",
    ),
    "ties away": ("sse_composite.c", "(rest == half && odd)", "rest == half", "roundsd_0"),
    "rounded denormal under DAZ": (
        "sse_composite.c",
        "magnitude < unit && mxcsr",
        "magnitude < 1 && mxcsr",
        "roundps_2",
    ),
    "quiet about signalling NaN": ("sse_composite.c", "x & quiet ? 0 : MXCSR_IE", "0", "roundss_0"),
    "inexact nearbyint": (
        "sse_composite.c",
        "flags & ~(unsigned)MXCSR_PE : flags",
        "flags : flags",
        "roundpd_9",
    ),
    "reciprocals of denormals": (
        "sse_composite.c",
        "MXCSR_MASKS | MXCSR_DAZ | MXCSR_FTZ",
        "MXCSR_MASKS",
        "rcpps",
    ),
    "flags of an approximation": ("sse_composite.c", "_mm_setcsr(mode);", "", "rsqrtss"),
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Source file -> its object: what the comparison program is linked from."""
    folder = tmp_path_factory.mktemp("float")
    sources = [*sorted(FUZZER.glob("*.c")), *(ENGINE / name for name in SOURCES)]
    for source in sources:
        compile_fuzzer_part(source, folder / f"{source.stem}.o", "-Werror")
    return {source.name: folder / f"{source.stem}.o" for source in sources}


def compile_fuzzer_part(source: Path, target: Path, *options: str) -> None:
    unicorn = BUILD["package_dir"]("unicorn") / "include"
    includes = (f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'csrc' / 'include'}", f"-I{unicorn}", f"-I{FUZZER}")
    gcc(*WARNINGS, "-fno-strict-aliasing", *options, *includes, "-c", source, "-o", target)


def link_fuzzer(objects: dict[str, Path], folder: Path) -> Path:
    gcc(*objects.values(), "-lm", "-o", folder / "fuzz_float")
    return folder / "fuzz_float"


def gcc(*arguments: str | Path) -> None:
    done = subprocess.run(["gcc", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def differences(program: Path, *arguments: str) -> dict[str, int]:
    """Operation -> how many of its sets differed; and the program's own verdict agrees with the sum."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    line = rf"^(\w+): {arguments[0]} sets, (\d+) differences$"
    counts = {name: int(count) for name, count in re.findall(line, done.stdout, re.MULTILINE)}
    assert done.returncode == bool(sum(counts.values())), done.stdout[-4000:] + done.stderr
    return counts


def test_results_flags_and_exceptions_are_the_processors(objects: dict[str, Path], tmp_path: Path) -> None:
    counts = differences(link_fuzzer(objects, tmp_path), str(SETS))
    assert set(BUILD["SSE"]) == {re.sub(r"^((?:round|dp)\w\w?)_\w+$", r"\1_xmm", name) for name in counts}
    assert counts == dict.fromkeys(counts, 0)


@pytest.mark.parametrize("change", MUTANTS)
def test_each_care_is_needed(change: str, objects: dict[str, Path], tmp_path: Path) -> None:
    name, old, new, operation = MUTANTS[change]
    text = (ENGINE / name).read_text()
    assert text.count(old) == 1
    mutant, built = tmp_path / name, tmp_path / "mutant.o"
    mutant.write_text(text.replace(old, new))
    compile_fuzzer_part(mutant, built, "-w")
    program = link_fuzzer({**objects, name: built}, tmp_path)
    assert differences(program, str(MUTANT_SETS), "1", operation)[operation] > 0


def floats_guest(folder: Path) -> Path:
    """The workloads as a guest kernel, on top of what the other guests start from."""
    library = sorted(guest("64/lib").glob("*.o"))
    assert library
    objects, image = [folder / f"{source.stem}.o" for source in SHARED], folder / "floats.elf"
    for source, target in zip(SHARED, objects, strict=True):
        gcc(*WARNINGS, *FREESTANDING, f"-I{FUZZER}", "-c", source, "-o", target)
    objects.append(folder / "guest.o")
    start = (f"-I{GUESTS / 'lib'}", f"-I{FUZZER}")
    gcc(*WARNINGS, *FREESTANDING, *start, "-c", WORKLOADS / "guest.c", "-o", objects[-1])
    script = ("-T", GUESTS / "lib" / "guest.ld")
    gcc(*LINKED_BARE, *script, *objects, *library, "-o", folder / "floats.elf64")
    # Multiboot loaders want an ELF32 container around 64-bit code.
    subprocess.run(["objcopy", "-O", "elf32-i386", folder / "floats.elf64", image], check=True)
    return image


def on_host(folder: Path) -> Sequence[str]:
    program = folder / "host"
    gcc(*WARNINGS, f"-I{FUZZER}", WORKLOADS / "host.c", *SHARED, "-o", program)
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def test_guest_computes_what_the_host_computes(tmp_path: Path) -> None:
    with Machine(floats_guest(tmp_path), memory="64M") as vm:
        result = vm.run(timeout=10)
        text = vm.serial.text
    assert result.outcome == "poweroff", text
    assert text.split() == on_host(tmp_path)


def test_nothing_else_computes_in_floating_point_while_the_engine_runs() -> None:
    """It would round as the guest does, and its flags would become the guest's."""
    of_the_guest = {"engine/sse.c", "engine/sse_composite.c"}
    after_the_run = {"sbe/sbe.c", "include/vmk_sbe.h", "include/vmk_api.h"}
    found = set()
    for source in sorted((ROOT / "csrc").glob("*/*.[ch]")):
        code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', "", source.read_text(), flags=re.DOTALL)
        if re.search(r"\b(float|double)\b|\b\d+\.\d*|\b\d+[eE]\d", code):
            found.add(source.relative_to(ROOT / "csrc").as_posix())
    assert found == of_the_guest | after_the_run
