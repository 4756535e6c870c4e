"""Reads the images' build contexts from disk: which files, and a digest of them. It never follows a link out of the
folder, and what a folder's .dockerignore names is not even opened.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hubdeploy.errors import DeployError


@dataclass(frozen=True)
class ContextFile:
    """A file of a build context: its name there, and its content: a path, or bytes that we add."""

    name: str
    content: Path | bytes = field(repr=False)
    executable: bool = False

    def digest(self) -> bytes:
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).digest()
        with self.content.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()


@dataclass(frozen=True)
class Context:
    """All files of one image's build, sorted by name."""

    files: tuple[ContextFile, ...]

    def digest(self) -> str:
        """SHA-256 over names, modes and contents; the same in every clone."""
        total = hashlib.sha256()
        for file in self.files:
            total.update(f"{file.name}\0{int(file.executable)}\0".encode() + file.digest())
        return total.hexdigest()

    def write_tar(self, target: IO[bytes]) -> None:
        """The context as a tar. Owner, times and modes are fixed, so that a new clone finds the engine's cache."""
        with tarfile.open(fileobj=target, mode="w") as tar:
            for file in self.files:
                info = tarfile.TarInfo(file.name)
                info.mode = 0o755 if file.executable else 0o644
                if isinstance(file.content, bytes):
                    info.size = len(file.content)
                    tar.addfile(info, io.BytesIO(file.content))
                else:
                    info.size = file.content.stat().st_size
                    with file.content.open("rb") as stream:
                        tar.addfile(info, stream)


ListFiles = Callable[[Path], Sequence[str]]


def read(
    folder: Path,
    list_files: ListFiles,
    certificates: Sequence[bytes] = (),
    shared: Mapping[str, Path] | None = None,
) -> Context:
    """The build context in `folder`; `certificates` (PEM, one each) are added as ca/extra-NNN.crt, and `shared` from
    other folders: name -> a file, or a folder of Python modules. Raises DeployError without a Dockerfile.

    `list_files` gives the names below a folder that its .dockerignore leaves in.
    """
    if not (folder / "Dockerfile").is_file():
        raise DeployError(
            wanted="a folder with a Dockerfile for each image of the family",
            found=f"{folder.name}/Dockerfile is missing",
            fix=f"restore it, for example: git checkout {folder.name}",
        )
    files = [
        ContextFile(name, path, executable=bool(path.stat().st_mode & 0o100))
        for name in list_files(folder)
        if (path := folder / name).is_file() and not path.is_symlink()
    ]
    files += [ContextFile(f"ca/extra-{number:03}.crt", pem) for number, pem in enumerate(certificates, start=1)]
    for name, path in (shared or {}).items():
        modules = sorted(path.glob("*.py")) if path.is_dir() else []
        files += [ContextFile(f"{name}/{module.name}", module) for module in modules] or [ContextFile(name, path)]
    return Context(tuple(sorted(files, key=lambda file: file.name)))
