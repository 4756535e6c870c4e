"""The one direction of imports, and what an import may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "hubdeploy"

# The rooms in one line: each may import from those on its left, and from itself. Modules beside the rooms are the ground.
ORDER = ["ground", "contract", "settings", "tls", "blueprint", "plan", "engine", "machine", "commands"]
# Packages that only these rooms may import.
KEPT_TO = {"docker": "engine", "OpenSSL": "tls", "cryptography": "tls", "rich": "commands"}


def imports(source: str) -> set[str]:
    """Every module named by an import, those inside functions included; `hubdeploy.x` for one of ours."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module.split(".")[0] == "hubdeploy" and (CHECKOUT / Path(*node.module.split("."))).is_dir()
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if inside else {node.module}
    return found


def room(module: str) -> str:
    """The room of a module of ours, such as `settings` for `hubdeploy.settings.dotenv`."""
    name = module.split(".")[1]
    return name if (PACKAGE / name).is_dir() else "ground"


def wrong_way(home: str, source: str) -> set[str]:
    """The rooms to the right of `home` that the source of a module in it imports from."""
    rooms = {room(name) for name in imports(source) if name.startswith("hubdeploy.")}
    return {name for name in rooms if ORDER.index(name) > ORDER.index(home)}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    assert wrong_way(room(module_of(path)), path.read_text()) == set()


def test_an_import_in_the_wrong_direction_is_found() -> None:
    assert wrong_way("settings", "from hubdeploy.plan import reconcile\n") == {"plan"}
    assert wrong_way("settings", "from hubdeploy.plan.reconcile import Plan\n") == {"plan"}


def test_modules_of_a_room_import_one_another_in_no_circle() -> None:
    needs = {
        module_of(path): {name for name in imports(path.read_text()) if name.startswith("hubdeploy.")}
        for path in SOURCES
    }
    tuple(TopologicalSorter(needs).static_order())


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_outside_libraries_have_one_home(path: Path) -> None:
    for name in imports(path.read_text()):
        home = KEPT_TO.get(name.split(".")[0])
        assert home in (None, room(module_of(path))), f"{path} imports {name}"


def calls(source: str) -> set[str]:
    """The names of all that is called, such as `print` and `input` for `print(console.input())`."""
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in called}


def test_only_the_display_asks_and_only_commands_and_setup_print() -> None:
    called = {module_of(path): calls(path.read_text()) for path in SOURCES}
    assert [name for name, names in called.items() if "input" in names] == ["hubdeploy.commands.display"]
    printing = {room(name) for name, names in called.items() if names & {"print", "Console"}}
    assert printing == {"commands", "machine"}


def test_developers_tools_are_no_part_of_the_library() -> None:
    """Only the command line knows them, by a name that it loads if it is there."""
    naming = {}
    for path in (*SOURCES, CHECKOUT / "tasks.py"):
        source = path.read_text()
        assert not [name for name in imports(source) if name.split(".")[0] == "develop"], path
        naming[module_of(path)] = len(re.findall(r"""["']develop[."'/]""", source))
    assert {module: count for module, count in naming.items() if count} == {"hubdeploy.commands.commandline": 1}


def test_developers_tasks_import_nothing_but_invoke_before_one_runs() -> None:
    tree = ast.parse((CHECKOUT / "develop" / "tasks.py").read_text())
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    assert {name.split(".")[0] for name in imports(ast.unparse(tree))} == {"invoke"}


def test_the_task_list_needs_no_engine_and_imports_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['invoke', '--list']\n"
        "from hubdeploy.commands import commandline\n"
        "try: commandline.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('docker', 'cryptography', 'OpenSSL', 'rich', 'unittest', 'asyncio') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    no_engine = {"DOCKER_HOST": "unix:///nowhere"}
    result = subprocess.run(command, cwd=CHECKOUT, env=no_engine, capture_output=True, text=True, check=True)
    assert "base-notebook-image" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]", result.stdout


def test_a_task_that_imports_what_invoke_does_without_gets_it() -> None:
    script = (
        "from hubdeploy.commands import commandline; from unittest.mock import Mock; print(Mock(return_value=42)())"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert result.stdout == "42\n"


def test_importing_the_package_reads_no_environment_and_no_file() -> None:
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            code = ast.unparse(node)
            if isinstance(node, ast.Assign | ast.AnnAssign):
                assert "environ" not in code, path
                assert ".read_text(" not in code, path
