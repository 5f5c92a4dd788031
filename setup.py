"""Builds the vmkernel monitor: every C file of csrc/ and Unicorn's static library in one extension, vmm._vmk.

Metadata is in pyproject.toml. What cannot be said there is how to find the two engines among installed packages and the list of
engine functions the linker redirects to ours.
"""

import importlib.util
from pathlib import Path

from setuptools import setup


def package_dir(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"setup.py: package {name!r} is needed to build; pip install {name}")
    return Path(spec.origin).parent


assert package_dir("unicorn") and package_dir("capstone")
setup(cffi_modules=["csrc/build.py:ffibuilder"])
