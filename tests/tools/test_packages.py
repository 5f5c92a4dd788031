"""Proves that packages are found in the cache, that a missing one skips here and fails in CI, and that
fetching says in one line what went wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import packages


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VMM_PACKAGES", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


@pytest.fixture
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were tried; every one fails as apt does without a network."""
    tried: list[list[str]] = []

    def fail(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        tried.append(command)
        return subprocess.CompletedProcess(
            command, 100, "", "W: noise\nE: Could not resolve 'deb.debian.org'\n"
        )

    monkeypatch.setattr(packages, "_command", fail)
    return tried


def _unpack(cache: Path, package: str, path: str) -> Path:
    file = cache / package / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    return file


def test_first_match_is_found(cache: Path) -> None:
    newer = _unpack(cache, "seabios", "b/bios-2.bin")
    older = _unpack(cache, "seabios", "a/bios-1.bin")
    assert packages.require("seabios", "*/bios-*.bin") == older
    assert packages.require("seabios", "b/*") == newer


def test_folder_is_no_match(cache: Path) -> None:
    _unpack(cache, "seabios", "usr/share/bios.bin")
    assert packages.find("seabios", "usr/*") is None


@pytest.mark.usefixtures("cache")
def test_missing_package_skips() -> None:
    with pytest.raises(pytest.skip.Exception, match="package seabios missing: run make packages"):
        packages.require("seabios", "*.bin")


@pytest.mark.usefixtures("cache")
def test_missing_package_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="package seabios missing"):
        packages.require("seabios", "*.bin")


def test_missing_program_skips(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(pytest.skip.Exception, match="program qemu-system-x86_64 missing"):
        packages.require_program("qemu-system-x86_64")


def test_unknown_package_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError, match="add it to CATALOGUE"):
        packages.require("emacs", "*")


def test_offline_is_one_clear_line(
    cache: Path, offline: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert packages.main(["fetch", "seabios"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("seabios: apt-get update")
    assert "Could not resolve 'deb.debian.org'" in line
    assert "VMM_PACKAGES" in line
    # The system's lists first, then lists of our own, then no more.
    assert [command[0] for command in offline] == ["apt-get", "apt-get"]
    assert not (cache / "seabios").exists()


def test_offline_is_no_error_for_what_is_unpacked(cache: Path, offline: list[list[str]]) -> None:
    _unpack(cache, "seabios", "bios.bin")
    assert packages.main(["fetch", "seabios"]) == 0
    assert offline == []


def test_unknown_package_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        packages.main(["fetch", "emacs"])
    assert exit_info.value.code == 2
    assert "unknown package emacs" in capsys.readouterr().err


def test_meta_package_is_replaced_by_its_dependency(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Suggests: linux-doc\n"
    monkeypatch.setattr(
        packages, "_command", lambda command, folder: subprocess.CompletedProcess(command, 0, depends, "")
    )
    meta = packages.CATALOGUE["linux-image-amd64"]
    assert packages._sources(meta, packages.Apt(cache)) == ["linux-image-6.1.0-56-amd64"]
