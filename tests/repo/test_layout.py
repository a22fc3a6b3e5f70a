"""The tree keeps its shape: who may import whom, how long things may grow, and what must not be written anywhere."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from sharepoint_proxy.graph import USER_AGENT

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sharepoint-proxy" / "sharepoint_proxy"

# From the bottom up. A module imports only rows below its own: neighbours are passed in, and the receiver declares in a
# Protocol the two or three methods that it needs of them.
ROWS: list[tuple[str, set[str]]] = [
    ("the map of the package, which is read first and needs nothing", {"__init__"}),
    ("errors are known to everybody, so they may know nobody", {"errors"}),
    (
        "nouns and arithmetic that every other row may speak of",
        {"findings", "fragments", "globs", "quickxor", "records"},
    ),
    (
        "pure: no network, no disk, no SDK, so that they can be tested by calling them",
        {
            *("alarms", "backoff", "bandwidth", "content", "events", "logs", "paths", "rewriting", "settings"),
            *("tables", "throttle", "waiting"),
            *("column_values", "comparison", "download", "fates", "messages", "patience"),
            *("checkup_login", "checkup_minio", "checkup_service", "checkup_sharepoint"),
            *("activity", "chart", "door", "wording"),
        },
    ),
    ("what the commands write with", {"screen"}),
    ("what they say", {"telling"}),
    (
        "edges, decisions and ways in: each can be replaced without its neighbours, because none of them imports another",
        {
            *(
                "bucket_writer",
                "certificate",
                "database",
                "environment",
                "files",
                "graph",
                "kafka",
                "libraries",
                "library",
            ),
            *("probes", "routes", "sessions", "source", "tokens"),
            *("backlog", "column_memory", "handover", "inventory", "journal", "ledger", "notes", "reservations"),
            *("columns", "mirror", "moving", "removing", "replica", "writing"),
            *(
                "checkup",
                "explain",
                "gathering",
                "halt",
                "judging",
                "leftovers",
                "object_metadata",
                "reconcile",
                "restore",
                "walk",
            ),
            *("cli", "consumer", "listener", "metrics", "page", "web", "worker"),
        },
    ),
    ("joinery: the parts that the service and the commands share", {"assembly"}),
    (
        "joinery: the parts of one task",
        {"checkup_parts", "consume_parts", "library_parts", "mirror_parts", "reconcile_parts", "restore_parts"},
    ),
    ("joinery: the only places where all parts are known", {"toolbox", "wiring"}),
    ("what is started from outside", {"__main__", "wsgi", "wsgi_drain", "wsgi_kafka"}),
]
ROW_OF = {module: number for number, (_, modules) in enumerate(ROWS) for module in modules}

# One module speaks to each SDK, so that its surprises stay in one place; requests come in by two, and MinIO is read and written apart.
IMPORTERS_OF = {
    "certifi": {"source"},
    "click": {"cli"},
    "confluent_kafka": {"kafka"},
    "cryptography": {"certificate"},
    "flask": {"page", "web"},
    "gunicorn": {"listener"},
    "minio": {"bucket_writer", "source"},
    "msal": {"tokens"},
    "prometheus_client": {"metrics"},
    "requests": {"graph"},
    "rich": {"screen"},
    "sqlite3": {"database"},
    "urllib3": {"bucket_writer", "source"},
    "werkzeug": {"web"},
}

LONGEST_MODULE_LINES = 400
LONGEST_FUNCTION_LINES = 40
MEDIAN_FUNCTION_LINES = 10
LONGEST_SCRIPT_LINES = 60
# It runs in MinIO's client image too, which has a shell and nothing else: no grep, no sed, no python.
LONGER_SCRIPTS = {"configure-minio": 200}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}

# Written with brackets, so that this file does not hold what it looks for.
FORBIDDEN_TEXTS = {
    "a package registry's host": re.compile(
        r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs[.]org|proxy[.]golang[.]org|crates[.]io"
    ),
    "a package index": re.compile(r"--(extra-)?index[-]url"),
    "a path of the machine it was written on": re.compile(r"(?<![\w.])/work[/]"),
}
LOCK_FILES = re.compile(r".*[.]lock|package-lock[.]json|pnpm-lock[.]yaml|npm-shrinkwrap[.]json")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree_files() -> list[Path]:
    """Every file of the tree: those that git has, and those that it would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def name_of(path: Path) -> str:
    """PATH as a test's id."""
    return path.relative_to(ROOT).as_posix()


FILES = tree_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]
# A test may be long where it is a table of what is expected.
LOGIC_FILES = [path for path in PYTHON_FILES if not path.name.startswith("test_")]
MODULES = sorted(PACKAGE.glob("*.py"))
SCRIPTS = sorted(path for path in FILES if path.parent == ROOT / "scripts")
TREES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def imports(tree: ast.Module) -> Iterator[str]:
    """The full name of each module that TREE imports, and of each name that it imports from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # The package is flat, so what is imported relatively is a neighbour.
            parts = (["sharepoint_proxy"] if node.level else []) + ([node.module] if node.module else [])
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def neighbours(tree: ast.Module) -> set[str]:
    """The modules of the package that TREE imports."""
    named = {name.split(".")[1] for name in imports(tree) if name.startswith("sharepoint_proxy.")}
    return named - {"__version__"}


def sdks(tree: ast.Module) -> set[str]:
    """What TREE imports from outside the package and, but for the database, outside the standard library."""
    roots = {name.split(".")[0] for name in imports(tree)} - {"sharepoint_proxy"}
    return {root for root in roots if root == "sqlite3" or root not in sys.stdlib_module_names}


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function and method that does something; a Protocol's promises do not."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and _statements(node) and ast.unparse(_statements(node)[0]) != "...":
            yield node


def length(function: Function) -> int:
    """The lines of FUNCTION without its decorators and its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    return lines - ((first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0)


def _statements(function: Function) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if annotation is not None:
                yield from ast.walk(annotation)


def test_every_module_has_its_row() -> None:
    assert set(TREES) == set(ROW_OF)
    assert sum(len(modules) for _, modules in ROWS) == len(ROW_OF)


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_module_imports_only_rows_below_its_own(module: str) -> None:
    not_below = {name for name in neighbours(TREES[module]) if ROW_OF[name] >= ROW_OF[module]}
    assert not not_below, f"{module} is of the row: {ROWS[ROW_OF[module]][0]}"


@pytest.mark.parametrize("module", sorted(TREES))
def test_an_sdk_is_imported_by_its_modules_alone(module: str) -> None:
    assert {sdk for sdk in sdks(TREES[module]) if module not in IMPORTERS_OF.get(sdk, set())} == set()


def test_every_sdk_is_imported_by_the_module_that_is_named_for_it() -> None:
    used = {sdk: {module for module, tree in TREES.items() if sdk in sdks(tree)} for sdk in IMPORTERS_OF}
    assert used == IMPORTERS_OF


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_a_module_stays_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE_LINES
    assert path.stem not in SAYS_NOTHING
    assert not text or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", LOGIC_FILES, ids=name_of)
def test_no_function_is_long(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert {each.name for each in functions(tree) if length(each) > LONGEST_FUNCTION_LINES} == set()


def test_most_functions_are_shorter_than_ten_lines() -> None:
    assert median(length(each) for tree in TREES.values() for each in functions(tree)) < MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("module", sorted(TREES))
def test_every_public_class_says_what_it_is(module: str) -> None:
    classes = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.ClassDef)]
    assert [each.name for each in classes if not each.name.startswith("_") and not ast.get_docstring(each)] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_names_a_registry_or_a_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    assert [what for what, pattern in FORBIDDEN_TEXTS.items() if pattern.search(text)] == []


def test_there_is_no_lock_file_of_another_tool() -> None:
    """The requirements with their hashes are the one list of what is installed."""
    assert [name_of(path) for path in FILES if LOCK_FILES.fullmatch(path.name)] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_a_script_is_short_strict_and_says_how_it_is_used(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith(f"# Usage: scripts/{script.name}")
    assert any(re.fullmatch("set -euf?", line) for line in lines)
    assert len(lines) < LONGER_SCRIPTS.get(script.name, LONGEST_SCRIPT_LINES)


def test_graph_is_told_the_version_of_the_package() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    assert f"NONISV|{name}|{name}/{version}" == USER_AGENT
