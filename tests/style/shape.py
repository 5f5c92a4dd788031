"""The shape of source files: how long files and functions may be, how C files open, which words stay out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from tests.style.tree import Source

FILE_LINES = 600
FUNCTION_LINES = 60
LINE_WIDTH = 110
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")

# A function header begins in column 0 with a type and its body ends with a brace in column 0. Labels,
# initialisers and preprocessor lines begin there too and are told apart by the parenthesis, `=` and `#`.
_C_BODY = re.compile(
    r"^(?P<header>[A-Za-z_][^;{}#=]*\([^;{}]*\)[^;{}=]*)\{(?:[^\n]*\}$|.*?^\})", re.MULTILINE | re.DOTALL
)
_C_NAME = re.compile(r"(\w+)\s*\(")


def file_length_findings(source: Source, exceptions: Mapping[str, str]) -> list[str]:
    """A finding if the file is longer than `FILE_LINES`; `exceptions` gives a reason by path."""
    lines = source.text.count("\n")
    if lines <= FILE_LINES or str(source.path) in exceptions:
        return []
    return [source.at(lines, f"file of {lines} lines, the limit is {FILE_LINES}")]


def function_length_findings(source: Source, exceptions: Mapping[str, str]) -> list[str]:
    """A finding for each function longer than `FUNCTION_LINES`; `exceptions` gives a reason by
    `path:function`."""
    functions = python_functions(source) if source.path.suffix == ".py" else c_functions(source)
    return [
        source.at(line, f"{name} has {length} lines, the limit is {FUNCTION_LINES}")
        for name, line, length in functions
        if length > FUNCTION_LINES and f"{source.path}:{name}" not in exceptions
    ]


def python_functions(source: Source) -> Iterator[tuple[str, int, int]]:
    """(name, first line, number of lines) of each function and method."""
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def c_functions(source: Source) -> Iterator[tuple[str, int, int]]:
    """(name, first line, number of lines) of each function definition in our C style."""
    for match in _C_BODY.finditer(source.text):
        name = _C_NAME.search(match["header"])
        if name is not None:
            line = source.text.count("\n", 0, match.start()) + 1
            yield name[1], line, match[0].count("\n") + 1


def opening_findings(source: Source) -> list[str]:
    """A finding if the file does not open with a comment (an assembler file may open with # or /*)."""
    return (
        []
        if source.text.lstrip().startswith(("/*", "//"))
        else [source.at(1, "does not open with a comment")]
    )


def unfinished_findings(source: Source) -> list[str]:
    """A finding for each word that marks unfinished work."""
    return [
        source.at(number, f"{match[0]}: finish it or raise a clear error")
        for number, line in enumerate(source.text.splitlines(), start=1)
        if (match := UNFINISHED.search(line))
    ]


def width_findings(source: Source) -> list[str]:
    """Lines wider than the limit; Python's are ruff's affair."""
    return [
        f"{source.path}:{number}: {len(line)} columns, {LINE_WIDTH} is the limit"
        for number, line in enumerate(source.text.splitlines(), 1)
        if len(line) > LINE_WIDTH
    ]
