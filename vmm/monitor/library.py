"""The C extension and what can be asked of it without a virtual machine."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from vmm.errors import HostError


def _preload_capstone() -> None:
    """Load the library that the extension is linked with, which then takes it by its SONAME.

    Not `import capstone`: the binding spends longer on tables for other processors than a small guest runs.
    Where the package is missing, the extension's own error says so.
    """
    spec = importlib.util.find_spec("capstone")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "lib" / "libcapstone.so"
        if path.exists():
            ctypes.CDLL(str(path))


try:
    _preload_capstone()

    from vmm._vmk import ffi as _ffi
    from vmm._vmk import lib as _lib
except (ImportError, OSError) as error:
    raise HostError(f"the monitor cannot be loaded ({error}); run make build or pip install .") from None

ffi: Any = _ffi
lib: Any = _lib


class Library(NamedTuple):
    """A cffi pair, for tables the C library declares and others present (`vmm.sbe.insn_table`)."""

    ffi: Any
    lib: Any


def library() -> Library:
    """The extension itself."""
    return Library(ffi, lib)


def text_of(pointer: Any) -> str:
    """A C string; empty for NULL."""
    return ffi.string(pointer).decode("utf-8", "replace") if pointer else ""


@cache
def cpu_models() -> dict[str, str]:
    """CPU model name -> what it offers, in the order of the monitor's table; the first is the default."""
    models: dict[str, str] = {}
    while name := text_of(lib.vmk_cpu_model(len(models))):
        models[name] = text_of(lib.vmk_cpu_model_text(len(models)))
    return models


@cache
def trap_classes() -> tuple[str, ...]:
    """Names of the statistics classes of trapped instructions, by number."""
    return tuple(text_of(lib.vmk_sbe_class_name(number)) for number in range(lib.vmk_sbe_class_count()))


@cache
def insn_mnemonics() -> tuple[str, ...]:
    """Mnemonics of the rows of the instruction table, by number."""
    info = ffi.new("struct vmk_sbe_insn_info *")
    names = []
    for row in range(lib.vmk_sbe_insn_count()):
        lib.vmk_sbe_insn(row, info)
        names.append(text_of(info.mnemonic))
    return tuple(names)


def host_cycles() -> int:
    """The host's time stamp counter, or 0 where it has none: for measurements."""
    return int(lib.vmk_host_cycles())


def engine_version() -> str:
    """Name and version of the engine the extension is linked with."""
    return text_of(lib.vmk_engine_version())
