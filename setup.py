"""Builds the vmkernel monitor, vmm._vmk: every C file of csrc/ and Unicorn's static library in one extension.

Metadata is in pyproject.toml, what is compiled and linked in csrc/build.py. Here is only how: several files
at a time, and again only those whose sources, headers or flags have changed (setuptools alone compiles all
of them, one by one).
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

# A change in one of these can change every compiler's command line.
RECIPES = ("setup.py", "csrc/build.py", "pyproject.toml")


def is_current(target: Path) -> bool:
    """Whether an object file is newer than all that the compiler read for it, by the .d file beside it."""
    rule = target.with_suffix(".d")
    if not (target.exists() and rule.exists()):
        return False
    sources = re.sub(r"\\\n", " ", rule.read_text()).partition(":")[2].split()
    made = target.stat().st_mtime
    return all(Path(path).exists() and Path(path).stat().st_mtime <= made for path in (*sources, *RECIPES))


class IncrementalBuildExt(build_ext):
    """build_ext with one pool of compilers; its object files stay in build/objects, also for `pip install
    -e`."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.build_temp = "build/objects"

    def build_extension(self, ext) -> None:
        ext.extra_compile_args = [*ext.extra_compile_args, "-MMD"]
        ext.depends = [*ext.depends, *RECIPES]
        self.compiler.compile = partial(self.compile_stale, self.compiler.compile, self.compiler._compile)
        super().build_extension(ext)

    def compile_stale(self, compile_all, compile_one, *arguments, **options):
        """The compiler's own `compile`; its `_compile` calls go to the pool or, for current objects,
        nowhere."""
        jobs = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:

            def submit(target, *rest) -> None:
                if not is_current(Path(target)):
                    jobs.append(pool.submit(compile_one, target, *rest))

            self.compiler._compile = submit
            objects = compile_all(*arguments, **options)
        for job in jobs:
            job.result()
        return objects


setup(cffi_modules=["csrc/build.py:ffibuilder"], cmdclass={"build_ext": IncrementalBuildExt})
