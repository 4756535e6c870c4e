"""Makes the user's home ready before the server starts: the layer of their own packages, or a safe start.

The layer is a virtual environment in the home that sees the distribution in /opt/conda: what pip installs goes there, and
notebooks and terminals run on it. A safe start leaves the user's configuration and packages aside: the server runs with a
home on tmpfs, on the same files. Nothing here removes or changes a file of the user's. Standard library only.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

# The hub says here, in a sentence, why it wants a safe start. What the server says of it in the end stands here too.
SAFE_START = "NOTEBOOK_SAFE_START"
# Something that the user should read once the server runs.
START_NOTICE = "NOTEBOOK_START_NOTICE"
# The Python that notebooks run on; the distribution's own if it is not set.
PYTHON = "NOTEBOOK_PYTHON"
# With this exit code the hub's spawner says what can be done.
NOT_WRITABLE = 73

TEMPLATE = Path("/usr/local/lib/notebook/layer")
# Programs that stand in front of the distribution's own.
PROGRAMS = Path("/usr/local/lib/notebook/bin")
RUNTIME_DIRECTORY = Path("/run/notebook")
# What the user shares with others, a folder each; without any it is not there.
SHARED = Path("/srv/shared")
LAYERS = ".local/share/notebook"
# Less free space, or fewer free files, and the server fails at its first write, or soon after.
LEAST_BYTES, LEAST_FILES = 8 * 1024**2, 64
# A server, a kernel and a notebook that is saved write there, if only once.
WRITTEN = ("", ".local", ".local/share", ".local/share/jupyter", ".jupyter", ".ipython")


def prepare(environ: MutableMapping[str, str]) -> None:
    """Sets in `environ` what the server and all that it starts shall see. Exits with NOT_WRITABLE if the user could not
    save a notebook."""
    home, notebooks = Path(environ["HOME"]), Path(environ["NOTEBOOK_DIR"])
    if not os.access(notebooks, os.W_OK):
        print(f"{notebooks} {unwritable(notebooks)}", file=sys.stderr)
        sys.exit(NOT_WRITABLE)
    reason = environ.get(SAFE_START) or trouble(home)
    if reason:
        start_safely(environ, home, reason)
    else:
        for folder in {home, notebooks}:
            show_shared(folder)
        use_layer(environ, home)


def show_shared(folder: Path) -> None:
    """A link to what the user shares with others, as long as there is anything, and no file of the user's has its name."""
    link = folder / SHARED.name
    try:
        if SHARED.is_dir() and not os.path.lexists(link):
            link.symlink_to(SHARED)
        elif not SHARED.is_dir() and link.is_symlink() and link.readlink() == SHARED:
            link.unlink()
    except OSError as error:
        print(f"{link} cannot be made: {error}", file=sys.stderr)


def trouble(home: Path) -> str:
    """Why an ordinary start would fail, as a sentence; empty if nothing is seen."""
    for name in WRITTEN:
        path = home / name
        if os.path.lexists(path) and not (path.is_dir() and os.access(path, os.W_OK)):
            shown = f"~/{name}" if name else str(home)
            return f"{shown} {unwritable(path) if path.is_dir() else 'is no folder'}."
    disk = os.statvfs(home)
    if disk.f_bavail * disk.f_frsize < LEAST_BYTES:
        size, free = (blocks * disk.f_frsize / 1024**2 for blocks in (disk.f_blocks, disk.f_bavail))
        return f"Your home is full: {free:.0f} of {size:.0f} MB are free."
    if disk.f_files and disk.f_favail < LEAST_FILES:
        return "Your home is full: it can take no more files."
    return ""


def unwritable(path: Path) -> str:
    return f"cannot be written to by UID {os.getuid()}; it belongs to UID {path.stat().st_uid}"


def start_safely(environ: MutableMapping[str, str], home: Path, reason: str) -> None:
    """Server, kernels and terminals get a home without anything in it. The file browser begins at the user's own."""
    empty = RUNTIME_DIRECTORY / "home"
    empty.mkdir(parents=True, exist_ok=True)
    environ.update(
        {
            "HOME": str(empty),
            "PYTHONNOUSERSITE": "1",
            "JUPYTERHUB_ROOT_DIR": str(home),
            "PATH": f"{PROGRAMS}:{environ['PATH']}",
            SAFE_START: f"This is a safe start. {reason} Your files are all here, in {home}. Your settings and the packages"
            " that you installed are left aside until the next ordinary start.",
        }
    )


def use_layer(environ: MutableMapping[str, str], home: Path) -> None:
    """Notebooks and terminals run on the layer. Without room or right to make one they run on the distribution."""
    layers, name = home / LAYERS, next((TEMPLATE / "lib").iterdir()).name
    layer = layers / name
    programs = str(PROGRAMS)
    try:
        if not (layer / "pyvenv.cfg").exists():
            others = sorted(one.name for one in layers.glob("python*"))
            make_layer(layer)
            if others:
                environ[START_NOTICE] = new_python(name, others[-1])
        bring_up_to_date(layer, name)
    except OSError as error:
        print(f"{layer} cannot be made: {error}", file=sys.stderr)
    python = layer / "bin" / "python"
    if os.access(python, os.X_OK):
        environ[PYTHON] = str(python)
        programs = f"{python.parent}:{programs}"
        # Last: in front, a kernel that the user installs would take the name of the image's, and run the server's Python.
        environ["JUPYTER_PATH"] = f"{environ['JUPYTER_PATH']}:{layer}/share/jupyter"
    environ["PATH"] = f"{programs}:{environ['PATH']}"


def make_layer(layer: Path) -> None:
    """Copies the template beside its place, then renames it: the layer is there as a whole or not at all."""
    import shutil

    layer.parent.mkdir(parents=True, exist_ok=True)
    new = layer.with_name(f"new-{os.getpid()}")
    try:
        shutil.copytree(TEMPLATE, new, symlinks=True)
        # A folder without pyvenv.cfg has the name: the user removed the file, and may have other files there.
        if layer.exists():
            layer.rename(layer.with_name(f"broken-{os.getpid()}-{layer.name}"))
        new.rename(layer)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise


def bring_up_to_date(layer: Path, name: str) -> None:
    """Another distribution with the same Python: the layer leads to the new one."""
    for file in ("pyvenv.cfg", f"lib/{name}/site-packages/_distribution.pth"):
        wanted = (TEMPLATE / file).read_bytes() if (TEMPLATE / file).exists() else b""
        found = (layer / file).read_bytes() if (layer / file).exists() else b""
        if wanted != found:
            (layer / file).write_bytes(wanted)


def new_python(name: str, older: str) -> str:
    return (
        f"Notebooks now run on {name}; the packages that you installed are for {older} and are left aside."
        f" `pip freeze --path ~/{LAYERS}/{older}/lib/{older}/site-packages` lists them, so that you can install them again."
    )
