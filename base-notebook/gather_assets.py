"""Gathers the files of JupyterLab and its extensions that a browser loads: `python gather_assets.py TARGET STATIC FOLDER...`.

They go into TARGET/DIGEST, compressed: static/ holds JupyterLab's (STATIC), labextensions/ those of the extensions in each
FOLDER, of which the first wins. DIGEST is one of all names and contents, so equal files have equal addresses.
first-visit.json there lists what the first page loads. It holds no file of a user: it runs while the image is built.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Most fonts and pictures are compressed as they are. shared_assets.py compares JupyterLab's page, which no browser gets.
COMPRESSIBLE = {".css", ".eot", ".js", ".json", ".svg", ".ttf", ".txt"}
# The server reads these; no browser asks for them.
OF_THE_SERVER = {"build_log.json", "package.json", "third-party-licenses.json"}
FIRST_VISIT = "first-visit.json"


def gathered(static: Path, folders: Sequence[Path]) -> dict[str, bytes]:
    """Name below the address -> content."""
    files = {f"static/{name}": content for name, content in _files(static)}
    visit = [f"static/{name}" for name in _first_of_lab(static)]
    for folder in folders:
        for package in _packages(folder):
            below = f"labextensions/{package.relative_to(folder)}/static"
            own = {f"{below}/{name}": content for name, content in _files(package / "static")}
            # JupyterLab takes an extension from the first folder that has it, but each file from any folder.
            if not any(name.startswith(f"{below}/") for name in files):
                visit += [name for name in own if name.endswith(".js") and not name.endswith("/style.js")]
            files = own | files
    files[FIRST_VISIT] = json.dumps([_as_asked_for(name) for name in visit]).encode()
    return files


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in OF_THE_SERVER:
            yield str(path.relative_to(folder)), path.read_bytes()


def _packages(folder: Path) -> list[Path]:
    """The extensions' folders in JupyterLab's order: NAME and @SCOPE/NAME."""
    found = [*folder.glob("[!@]*/package.json"), *folder.glob("@*/*/package.json")]
    return sorted(one.parent for one in found)


def _first_of_lab(static: Path) -> list[str]:
    """The script that the page names, JupyterLab's core, and the parts that this script names (webpack's `.e(NUMBER)`):
    somewhat more than the first page loads."""
    (main,) = re.findall(r"/(main\.\w+\.js)", (static / "index.html").read_text())
    numbers = set(re.findall(r"\.e\((\d+)\)", (static / main).read_text()))
    parts = [path.name for path in sorted(static.glob("*.js")) if path.name.partition(".")[0] in numbers]
    return [main, *(path.name for path in static.glob("jlab_core.*.js")), *parts]


def _as_asked_for(name: str) -> str:
    """The address as JupyterLab's scripts write it: a browser's cache takes the query for a part of it."""
    found = re.fullmatch(r"(?!.*/remoteEntry\.).*\.([0-9a-f]{16,})\.js", name)
    return f"{name}?v={found[1]}" if found else name


def digest(files: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:16]


def write(files: Mapping[str, bytes], target: Path) -> None:
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in COMPRESSIBLE:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
        else:
            path.write_bytes(content)


def main() -> None:
    target, static, *folders = map(Path, sys.argv[1:])
    files = gathered(static, folders)
    write(files, target / digest(files))


if __name__ == "__main__":
    main()
