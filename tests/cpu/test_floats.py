"""Proves SSE arithmetic on the host's FPU: bit-equal to the engine's own and to the processor's, each
condition of the fast path is needed, and a guest computes what the host computes."""

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
SOURCE = ROOT / "csrc" / "engine" / "softfloat.c"
FUZZER = ROOT / "tests" / "c" / "float"
WORKLOADS = Path(__file__).parent / "floats"
BUILD = runpy.run_path(str(ROOT / "csrc" / "build.py"))
WRAPPED = [name for name in BUILD["WRAPPED"] if re.match(r"(float|int)\d", name)]
SETS = 100_000_000 if os.environ.get("VMM_FUZZ") == "long" else 1_000_000
MUTANT_SETS = 30_000
DENORMALS = "LIKELY(exponent_##bits(a)) || is_zero_##bits(a)"
ORDERED = "LIKELY(!__builtin_isunordered(value_##bits(a), value_##bits(b)))"
WARNINGS = ("-std=gnu11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
FREESTANDING = (
    *("-m64", "-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector", "-fcf-protection=none"),
    *("-fno-asynchronous-unwind-tables", "-mno-red-zone", "-Wno-main"),
)
LINKED_BARE = (
    *("-m64", "-nostdlib", "-static", "-no-pie"),
    "-Wl,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-warn-rwx-segments",
)
# What is taken out of softfloat.c, and an operation that must then be wrong.
MUTANTS = {
    "overflow taken": (")) - 3);", ")) - 2);", "float64_mul"),
    "NaN taken": (")) - 3);", ")) - 1);", "float32_div"),
    "underflow taken": ("exponent_##bits(r) - 2u <", "exponent_##bits(r) <", "float64_mul"),
    "smallest normal number taken": ("exponent_##bits(r) - 2u <", "exponent_##bits(r) - 1u <", "float64_div"),
    "inexact not yet set": (" && s->flags & FLOAT_INEXACT", "", "float32_add"),
    "any rounding mode": ("s->rounding == ROUND_NEAREST && s->flags", "s->flags", "float64_sqrt"),
    "any mode to integer": ("nearest, s->rounding == ROUND_NEAREST", "nearest, true", "float64_to_int64"),
    "denormal operands": (DENORMALS, "a || true", "float64_sub"),
    "denormals compared under DAZ": (DENORMALS, "a || true", "float32_lt"),
    "product that underflows to zero": ("is_zero_##bits(a) || is_zero_##bits(b)", "true", "float32_mul"),
    "quotient that underflows to zero": ("div, /, is_zero_##bits(a)", "div, /, true", "float64_div"),
    "float32 that underflows to zero": ("_32(r) || is_zero_64(a)", "_32(r) || !r", "float64_to_float32"),
    "one bit too many": ("<= 2 * limit", "<= 4 * limit", "int64_to_float64"),
    "out of range": (" && i == (int##size##_t)i && i != INT64_MIN", " && i != INT64_MIN", "float64_to_int32"),
    "out of 64 bits": (" && i != INT64_MIN", "", "float32_to_int64"),
    "lost inexact": ("if (whole_##bits(i) != value_##bits(a))", "if (0)", "float64_to_int32_round_to_zero"),
    "sign of zero": ("(float##bits)1 << (bits - 1)", "(float##bits)0", "float64_round_to_int"),
    "floor as truncation": ("i - (whole_##bits(i) > value_##bits(a))", "i", "float32_round_to_int"),
    "NaN compared": (ORDERED, "true", "float64_le"),
}


def compile_fuzzer(source: Path, folder: Path) -> Path:
    """The comparison program, with `source` in the place of csrc/engine/softfloat.c."""
    unicorn = BUILD["package_dir"]("unicorn") / "lib" / "libunicorn.a"
    program = folder / "fuzz_float"
    gcc(
        *WARNINGS, "-fno-strict-aliasing", "-fno-math-errno", f"-I{ROOT / 'csrc'}", f"-I{FUZZER}",
        *sorted(FUZZER.glob("*.c")), source, unicorn, *(f"-Wl,--wrap={name}_x86_64" for name in WRAPPED),
        "-lpthread", "-lm", "-o", program,
    )  # fmt: skip
    return program


def gcc(*arguments: str | Path) -> None:
    done = subprocess.run(["gcc", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def differences(program: Path, sets: int) -> dict[str, int]:
    """Operation -> how many of its sets differed; and the program's own verdict agrees with the sum."""
    done = subprocess.run([program, str(sets)], capture_output=True, text=True, check=False)
    line = rf"^(\w+): {sets} sets, [1-9]\d* also on the processor, (\d+) differences$"
    counts = {name: int(count) for name, count in re.findall(line, done.stdout, re.MULTILINE)}
    assert done.returncode == bool(sum(counts.values())), done.stdout[-4000:] + done.stderr
    return counts


def test_value_and_status_are_the_engines_and_the_processors(tmp_path: Path) -> None:
    counts = differences(compile_fuzzer(SOURCE, tmp_path), SETS)
    assert counts == dict.fromkeys(WRAPPED, 0)


@pytest.mark.parametrize("change", MUTANTS)
def test_each_condition_is_needed(change: str, tmp_path: Path) -> None:
    old, new, operation = MUTANTS[change]
    text = SOURCE.read_text()
    assert text.count(old) == 1
    mutant = tmp_path / "softfloat.c"
    mutant.write_text(text.replace(old, new))
    assert differences(compile_fuzzer(mutant, tmp_path), MUTANT_SETS)[operation] > 0


def floats_guest(folder: Path) -> Path:
    """The workloads as a guest kernel, on top of what the other guests start from."""
    library = sorted(guest("64/lib").glob("*.o"))
    assert library
    vector, plain, image = folder / "workloads.o", folder / "guest.o", folder / "floats.elf"
    gcc(*WARNINGS, *FREESTANDING, "-c", WORKLOADS / "workloads.c", "-o", vector)
    start = ("-mgeneral-regs-only", f"-I{GUESTS / 'lib'}")
    gcc(*WARNINGS, *FREESTANDING, *start, "-c", WORKLOADS / "guest.c", "-o", plain)
    script = ("-T", GUESTS / "lib" / "guest.ld")
    gcc(*LINKED_BARE, *script, plain, vector, *library, "-o", folder / "floats.elf64")
    # Multiboot loaders want an ELF32 container around 64-bit code.
    subprocess.run(["objcopy", "-O", "elf32-i386", folder / "floats.elf64", image], check=True)
    return image


def on_host(folder: Path) -> Sequence[str]:
    program = folder / "host"
    gcc(*WARNINGS, WORKLOADS / "host.c", WORKLOADS / "workloads.c", "-o", program)
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def test_guest_computes_what_the_host_computes(tmp_path: Path) -> None:
    with Machine(floats_guest(tmp_path), memory="64M") as vm:
        result = vm.run(timeout=10)
        text = vm.serial.text
    assert result.outcome == "poweroff", text
    assert text.split() == on_host(tmp_path)
