"""Proves that command lines are split at the command's name, groups included."""

from __future__ import annotations

import pytest

from vmm.cli.commands import GROUPS, NAMES, named


@pytest.mark.parametrize("name", NAMES)
def test_a_name_and_what_stands_behind_it(name: str) -> None:
    assert named([*name.split(), "word", "--option"]) == (name, ["word", "--option"])


@pytest.mark.parametrize("words", [[], ["--help"], ["nothing"], ["bench"], ["bench", "--help"]])
def test_what_names_no_command(words: list[str]) -> None:
    assert named(words) is None


def test_groups_have_help() -> None:
    assert {name.rpartition(" ")[0] for name in NAMES} - {""} <= GROUPS.keys()
