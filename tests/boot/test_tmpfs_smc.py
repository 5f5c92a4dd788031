"""Proves that code rewritten inside a Linux guest runs new, in each SBE profile: a program in tmpfs
overwritten in place and run again 1000 times, and a just-in-time compiler that writes through the page it
runs and through another mapping of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import guest_images, initramfs
from tests.boot import tiny_elf
from vmm import Machine

ROUNDS = 1000
JIT_ROUNDS = 50_000
TMPFS = "mount -t tmpfs tmpfs /tmp\n"
AT_ONCE = 3


def _octal(data: bytes) -> str:
    """`data` as printf's escapes."""
    return "".join(f"\\{byte:03o}" for byte in data)


def _rewrite_and_run(name: str = "program", rounds: int = ROUNDS, jit_rounds: int = JIT_ROUNDS) -> str:
    """A shell script; `1<>` opens without truncating: each round writes over the pages the last one ran
    from."""
    program = tiny_elf.exits_with(0)
    head, tail = _octal(program[: tiny_elf.CODE_BYTE]), _octal(program[tiny_elf.CODE_BYTE + 1 :])
    return rf"""
touch /tmp/{name}; chmod 755 /tmp/{name}
new=0; round=0
while [ $round -lt {rounds} ]; do
    code=$((round * 7 % 256))
    printf '{head}'"\\$((code / 64))$((code / 8 % 8))$((code % 8))"'{tail}' 1<>/tmp/{name}
    /tmp/{name}
    [ $? = $code ] && new=$((new + 1))
    round=$((round + 1))
done
echo tmpfs: $new of {rounds} rounds ran new code
/root/jit inplace {jit_rounds}
/root/jit dual {jit_rounds}
"""


@pytest.fixture(scope="module")
def jit(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """tests/boot/jit.c as a static program."""
    program = tmp_path_factory.mktemp("jit") / "jit"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    flags = ["-std=gnu11", "-O1", *warnings, "-ffreestanding", "-nostdlib", "-static", "-fno-stack-protector"]
    subprocess.run(["gcc", *flags, "-o", program, Path(__file__).with_name("jit.c")], check=True)
    return program.read_bytes()


@pytest.mark.parametrize("sbe", ["adaptive", "full", "off"])
def test_new_code_runs(sbe: str, jit: bytes) -> None:
    image = guest_images.find("linux-cloud")
    initrd = initramfs.marker_initramfs(commands=TMPFS + _rewrite_and_run(), files={"root/jit": jit})
    with Machine(image.path, sbe=sbe, **{**image.kwargs, "initrd": initrd}) as vm:
        vm.run(until=image.until, timeout=120).require()
        lines = vm.serial.lines
    assert f"tmpfs: {ROUNDS} of {ROUNDS} rounds ran new code" in lines, lines[-5:]
    for mode in ("inplace", "dual"):
        assert f"jit {mode}: {JIT_ROUNDS} of {JIT_ROUNDS} rounds ran new code" in lines, lines[-5:]


def test_new_code_runs_on_cpus_with_threads(jit: bytes) -> None:
    """More programs than CPUs, so that each is moved from one CPU to another now and then."""
    image = guest_images.find("linux-cloud")
    rounds, jit_rounds = ROUNDS // 5, JIT_ROUNDS // 5
    scripts = [_rewrite_and_run(f"program{number}", rounds, jit_rounds) for number in range(AT_ONCE)]
    programs = "".join(f"({script}) &\n" for script in scripts)
    initrd = initramfs.marker_initramfs(commands=f"{TMPFS}{programs}wait\n", files={"root/jit": jit})
    options = {**image.kwargs, "initrd": initrd, "cpus": 2, "smp": "threads", "time": "real"}
    with Machine(image.path, **options) as vm:
        vm.run(until=image.until, timeout=300).require()
        text = vm.serial.text
    assert text.count(f"tmpfs: {rounds} of {rounds} rounds ran new code") == AT_ONCE, text[-500:]
    for mode in ("inplace", "dual"):
        assert text.count(f"jit {mode}: {jit_rounds} of {jit_rounds} rounds ran new code") == AT_ONCE
