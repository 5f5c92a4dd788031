"""Proves that every wrong command line is one line on stderr and exit code 2, and our own failures are 70."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.loader.builders import bzimage, elf64
from vmm.cli import main
from vmm.cli.guard import guarded


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    path = tmp_path / "kernel.elf"
    path.write_bytes(elf64())
    return str(path)


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a command ends with."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("vmm: ")
    return lines[0]


def test_text_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no kernel\n" * 20)
    assert "a text file" in fails(capsys, "run", str(tmp_path / "notes"))


def test_directory_and_missing_image(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "is a directory" in fails(capsys, "run", str(tmp_path))
    assert "No such file" in fails(capsys, "run", str(tmp_path / "none"))


def test_truncated_kernel(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(elf64()[:-1])
    assert "truncated" in fails(capsys, "run", str(tmp_path / "kernel"))


def test_one_mebibyte_of_ram(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(bzimage(bytes(64)))
    assert "1 MiB of RAM" in fails(capsys, "run", str(tmp_path / "kernel"), "--memory", "1M")


def test_missing_initrd(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(bzimage(bytes(64)))
    line = fails(capsys, "run", str(tmp_path / "kernel"), "--initrd", "/none/initrd.gz")
    assert "/none/initrd.gz: cannot read the initrd" in line


def test_unknown_cpu_model(capsys: pytest.CaptureFixture[str], kernel: str) -> None:
    assert "unknown CPU model '486'; known are vmm64," in fails(capsys, "run", kernel, "--cpu", "486")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cpus", "65"], "65 CPUs"),
        (["--cpus", "many"], "--cpus"),
        (["--memory", "big"], "is not a size"),
        (["--timeout", "nan"], "--timeout"),
        (["--timeout", "-1"], "--timeout"),
        (["--until", "("], "is not a regular expression"),
        (["--until", "x*"], "matches the empty text"),
        (["--screen", "a.gif"], "saved as .txt or .png"),
        (["--screen", "/none/a.png"], "/none does not exist"),
        (["--json", "/none/a.json"], "/none does not exist"),
        (["--json", "/"], "is a directory"),
        (["--serial", "/none/serial"], "/none/serial: cannot write there"),
        (["--debug-exit", "0x10000"], "is not an I/O port"),
        (["--trace", "dust"], "cannot trace 'dust'"),
        (["--keys", "{nokey}"], "there is no key 'nokey'"),
        (["--time", "lunch"], "unknown time"),
        (["--sbe", "most"], "unknown SBE profile"),
        (["--msr", "guess"], "choose from fault, zero"),
        (["--protocol", "efi"], "unknown boot protocol 'efi'"),
        (["--console", "--serial", "file"], "leave one out"),
        (["--module", "/none/module"], "--module"),
        (["--bogus"], "--bogus"),
        (["more"], "more"),
    ],
)
def test_wrong_option(
    capsys: pytest.CaptureFixture[str], kernel: str, arguments: list[str], words: str
) -> None:
    assert words in fails(capsys, "run", kernel, *arguments)


@pytest.mark.parametrize("arguments", [[], ["run"], ["fly"], ["--bogus"], ["sbe"]])
def test_no_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    fails(capsys, *arguments)


def test_run_options_without_run(capsys: pytest.CaptureFixture[str], kernel: str) -> None:
    assert "--append is for runs; add --run" in fails(capsys, "sbe", kernel, "--append", "x")


def test_name_of_a_file_cannot_break_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert r"two\nlines" in fails(capsys, "run", "two\nlines")


def test_failure_of_our_own_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        raise RuntimeError("first\nsecond")

    monkeypatch.delenv("VMM_DEBUG", raising=False)
    assert guarded(broken) == 70
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert r"RuntimeError: first\nsecond; please report it" in line
    monkeypatch.setenv("VMM_DEBUG", "1")
    assert guarded(broken) == 70
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guarded(interrupted) == 130
    assert capsys.readouterr().err == "vmm: interrupted\n"
