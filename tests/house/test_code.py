"""Modules and functions stay small, public things say what they do, and time and settings come from outside."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.files import ROOT, modules, parsed, place

MODULE_LINES, FUNCTION_LINES = 300, 40
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Calls that read the clock or the environment: only the worker may.
FORBIDDEN_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.localtime",
    "os.getenv", "tomllib.load", "tomllib.loads",
}  # fmt: skip


def test_no_module_is_longer_than_300_lines():
    sizes = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_40_lines_without_its_docstring():
    long = [
        f"{place(path, node.lineno)} {node.name}: {_lines(node)} lines"
        for path in modules()
        if "versions" not in path.parts  # a migration is one list of tables
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > FUNCTION_LINES
    ]
    assert long == []


def test_every_module_and_everything_public_has_a_docstring():
    silent = [place(path) for path in modules() if ast.get_docstring(parsed(path)) is None]
    silent += [
        f"{place(path, node.lineno)} {node.name}"
        for path in modules()
        if "versions" not in path.parts  # upgrade() and downgrade() do what their module says
        for node in _public(parsed(path))
        if ast.get_docstring(node) is None
    ]
    assert silent == []


def test_below_the_worker_nobody_reads_clock_environment_or_settings_file():
    readers = [
        f"{place(path, node.lineno)} {name}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] in {"dicom_node", "sr_engine"}
        for node in ast.walk(parsed(path))
        if (name := _reads_outside(node))
    ]
    assert readers == []


def test_every_package_has_a_readme():
    packages = {path.relative_to(ROOT).parts[0] for path in modules()} | {"tests", "deploy"}
    assert [name for name in sorted(packages) if not (ROOT / name / "README.md").is_file()] == []


def _public(tree: ast.Module) -> Iterator[Definition]:
    """Public functions and classes of a module, and public methods of those classes."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    item for item in node.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
                )


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    documented = body[0].lineno - node.body[0].lineno if body and body is not node.body else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - documented


def _reads_outside(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ":
        return "os.environ"
    if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in FORBIDDEN_CALLS:
        return name
    return ""


def test_the_rules_see_what_they_forbid(tmp_path: Path):
    """A rule that finds nothing because it looks wrongly would pass for ever."""
    source = tmp_path / "bad.py"
    source.write_text("def f():\n" + '    """One."""\n' + "    x = os.environ\n" * 41 + "    return datetime.now()\n")
    tree = ast.parse(source.read_text())
    assert _lines(tree.body[0]) == 43  # type: ignore[arg-type]
    assert sorted({name for node in ast.walk(tree) if (name := _reads_outside(node))}) == ["datetime.now", "os.environ"]
