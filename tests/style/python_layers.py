"""The layers of the Python code: a module imports only from rows below its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.style.tree import Source

# Top row first. Packages in one row do not import each other.
ROWS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split())
    for row in (
        "cli web pytest_plugin",
        "api",
        "cluster",
        "host",
        "vmx",
        "explain",
        "bench",
        "machine",
        "loader storage net console sbe",
        "monitor",
        "_vmk",
        "errors config clock",
    )
)
BASE = ROWS[-1]
FACADE = frozenset({"__init__", "__main__"})
# They reach a VM through the control socket of its vmx process, never through the extension.
REMOTE = frozenset({"host", "cluster", "api", "web"})


def layer_findings(source: Source) -> list[str]:
    """Imports of `source`, a file under vmm/, that go up or sideways, or reach past a door."""
    own = _layer_of(source)
    if own not in FACADE and _rank(own) is None:
        return [source.at(1, f"package {own} has no row in tests/style/python_layers.py")]
    return [
        source.at(line, f"{own} imports {target}: {reason}")
        for line, target in _imports(source)
        if (reason := _objection(own, target)) is not None
    ]


def _objection(own: str, target: str) -> str | None:
    if target == "_vmk":
        return None if own == "monitor" else "only monitor imports the extension"
    if own == target or own in FACADE:
        return None
    if target == "__init__":
        return "a layer never imports the facade above it"
    if target == "monitor" and own in REMOTE:
        return "VMs are reached through vmx's control socket"
    return _rank_objection(own, target)


def _rank_objection(own: str, target: str) -> str | None:
    own_rank, target_rank = _rank(own), _rank(target)
    if own_rank is None or target_rank is None:
        return "unknown package"
    if target_rank > own_rank or (own in BASE and target in BASE):
        return None
    return "a layer imports only from rows below its own"


def _rank(layer: str) -> int | None:
    return next((rank for rank, row in enumerate(ROWS) if layer in row), None)


def _layer_of(source: Source) -> str:
    first = source.path.parts[1]
    return first.removesuffix(".py")


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    """(line, layer) of each import of the project itself, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{_absolute(source, node)}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "vmm":
                yield node.lineno, _layer_named(parts)


def _layer_named(parts: list[str]) -> str:
    """`from vmm import Machine` names no package: it is an import of the facade."""
    known = len(parts) > 1 and (_rank(parts[1]) is not None or len(parts) > 2)
    return parts[1] if known else "__init__"


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.path.parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])
