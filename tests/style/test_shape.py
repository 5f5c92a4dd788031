"""Proves the limits on files and functions, an opening comment in C files, and that no work is unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.style.shape import (
    FILE_LINES,
    FUNCTION_LINES,
    LINE_WIDTH,
    c_functions,
    file_length_findings,
    function_length_findings,
    opening_findings,
    unfinished_findings,
    width_findings,
)
from tests.style.tree import Source, assembly_sources, c_sources, python_sources

# path -> why the file is better whole
LONG_FILES: dict[str, str] = {}
# path:function -> why the function is better whole
LONG_FUNCTIONS: dict[str, str] = {}
_MARK = "TO" + "DO"


def _source(path: str, text: str) -> Source:
    return Source(Path(path), text)


def test_no_file_is_too_long() -> None:
    findings = [f for s in [*python_sources(), *c_sources()] for f in file_length_findings(s, LONG_FILES)]
    assert findings == []


def test_no_function_is_too_long() -> None:
    findings = [
        f for s in [*python_sources(), *c_sources()] for f in function_length_findings(s, LONG_FUNCTIONS)
    ]
    assert findings == []


def test_every_exception_is_still_needed() -> None:
    sources = [*python_sources(), *c_sources()]
    long_files = {str(source.path) for source in sources if file_length_findings(source, {})}
    assert set(LONG_FILES) <= long_files
    flagged = [finding for source in sources for finding in function_length_findings(source, {})]
    long_functions = {f"{finding.split(':')[0]}:{finding.split()[1]}" for finding in flagged}
    assert set(LONG_FUNCTIONS) <= long_functions


def test_c_files_open_with_a_comment() -> None:
    sources = [*c_sources(), *assembly_sources()]
    assert [finding for source in sources for finding in opening_findings(source)] == []


def test_nothing_is_left_unfinished() -> None:
    sources = [*python_sources(), *c_sources(), *assembly_sources()]
    assert [finding for source in sources for finding in unfinished_findings(source)] == []


def test_no_c_line_is_too_wide() -> None:
    assert [finding for source in c_sources() for finding in width_findings(source)] == []


def test_wide_line_is_found() -> None:
    assert width_findings(_source("csrc/core/vm.c", "x" * (LINE_WIDTH + 1))) != []
    assert width_findings(_source("csrc/core/vm.c", "x" * LINE_WIDTH)) == []


def test_long_file_is_found() -> None:
    long = _source("csrc/core/vm.c", "\n" * (FILE_LINES + 1))
    assert file_length_findings(long, {}) != []
    assert file_length_findings(long, {"csrc/core/vm.c": "one table"}) == []
    assert file_length_findings(_source("csrc/core/vm.c", "\n" * FILE_LINES), {}) == []


@pytest.mark.parametrize(
    ("path", "head", "tail"),
    [
        ("csrc/core/vm.c", "static int run(struct vm *vm,\n               int n)\n{\n", "}\n"),
        ("csrc/core/vm.c", "int (*lookup(void))(int) {\n", "}\n"),
        ("vmm/machine/run.py", "class A:\n    def run(self):\n", "    pass\n"),
        ("vmm/machine/run.py", "async def run():\n", "    pass\n"),
    ],
)
def test_long_function_is_found(path: str, head: str, tail: str) -> None:
    filler = "    x = 1;\n" if path.endswith(".c") else "        x = 1\n"
    if head.startswith("async"):
        filler, tail = "    x = 1\n", "    x = 2\n"
    elif path.endswith(".py"):
        tail = "        x = 2\n"
    assert function_length_findings(_source(path, head + filler * FUNCTION_LINES + tail), {}) != []
    assert function_length_findings(_source(path, head + filler * 3 + tail), {}) == []


def test_c_tables_are_not_functions() -> None:
    table = "static const struct reg regs[] = {\n    REG(1),\n};\nstruct vm {\n    int (*f)(void);\n};\n"
    body = "static void one(int a)\n{\n    if (a) {\n    }\n}\n\nuint8_t *two(void)\n{\n    return 0;\n}\n"
    body += "static void none(void) { }\nstatic void three(void)\n{\n}\n"
    found = [(name, length) for name, _, length in c_functions(_source("csrc/a.c", table + body))]
    assert found == [("one", 5), ("two", 4), ("none", 1), ("three", 3)]


def test_missing_opening_comment_is_found() -> None:
    assert opening_findings(_source("csrc/a.c", "#include <stdint.h>\n/* late */\n")) != []
    assert opening_findings(_source("csrc/a.c", "/* a: owns ... */\n")) == []


def test_unfinished_work_is_found() -> None:
    assert unfinished_findings(_source("csrc/a.c", f"\n/* {_MARK}: later */\n")) == [
        f"csrc/a.c:2: {_MARK}: finish it or raise a clear error"
    ]
