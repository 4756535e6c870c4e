"""The one direction of imports, and what an import may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "hubdeploy"

# Each module may import those above it only. A new module takes its place in this line.
ORDER = [
    "errors", "background", "labels", "files", "family", "readers", "uservolumes", "dotenv", "userlist", "localfile", "settings",
    "agreement", "loading", "mending", "routing", "contract",
    "contexts", "certificates", "blueprint", "observed", "operations", "differences", "plan", "tls", "foreign",
    "engine", "looks", "execution", "liveness", "buildtable", "display", "reference", "deployment", "reports",
    "repair", "debian", "internet", "machine", "testing", "commandline",
]  # fmt: skip
# Packages that only these modules may import.
KEPT_TO = {
    "docker": {"engine"},
    "OpenSSL": {"certificates"},
    "cryptography": {"certificates"},
    "rich": {"buildtable", "display", "reports"},
}


def imports(source: str) -> set[str]:
    """Every module named by an import, those inside functions included; `hubdeploy.x` for one of ours."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "hubdeploy":
            found |= {f"hubdeploy.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def wrong_way(module: str, source: str) -> set[str]:
    """The modules of ours that `module` imports though they stand below it."""
    ours = {name.split(".")[1] for name in imports(source) if name.startswith("hubdeploy.")} - {module}
    return {name for name in ours if ORDER.index(name) >= ORDER.index(module)}


def module_of(path: Path) -> str:
    """The module's name in ORDER; the files of a package count as one module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    assert wrong_way(module_of(path), path.read_text()) == set()


def test_an_import_turned_round_is_found() -> None:
    source = (PACKAGE / "settings.py").read_text() + "\nfrom hubdeploy import plan\n"
    assert wrong_way("settings", source) == {"plan"}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_outside_libraries_have_one_home(path: Path) -> None:
    for name in imports(path.read_text()):
        home = KEPT_TO.get(name.split(".")[0])
        assert home is None or module_of(path) in home, f"{path} imports {name}"


def test_the_task_list_needs_no_engine_and_imports_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['invoke', '--list']\n"
        "from hubdeploy import commandline\n"
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
    script = "from hubdeploy import commandline; from unittest.mock import Mock; print(Mock(return_value=42)())"
    result = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert result.stdout == "42\n"


def test_importing_the_package_reads_no_environment_and_no_file() -> None:
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            code = ast.unparse(node)
            if isinstance(node, ast.Assign | ast.AnnAssign):
                assert "environ" not in code, path
                assert ".read_text(" not in code, path
