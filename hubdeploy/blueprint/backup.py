"""What a backup takes and what its helper gets, drawn from the settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hubdeploy.blueprint.specs import Mount
from hubdeploy.contract import backups
from hubdeploy.contract.documents import Backup, Restore, Secret, to_bytes
from hubdeploy.settings.declarations import Settings

# What restic needs for a repository elsewhere, below jupyterhub/secrets/.
ACCESS = {"ssh_key", "known_hosts", "variables"}


# What reading all files takes, whoever owns them.
READING = ("DAC_READ_SEARCH",)


def mounts(settings: Settings, taken: Iterable[str] = (), filled: Iterable[str] = ()) -> tuple[Mount, ...]:
    """The helper's mounts: what it takes, read-only, or fills, its documents, and the repository where that is a volume."""
    repository = Mount(settings.backup_volume, backups.REPOSITORY)
    return (
        *(Mount(name, f"{backups.VOLUMES}/{name}", read_only=True) for name in taken),
        *(Mount(name, f"{backups.VOLUMES}/{name}") for name in filled),
        Mount(settings.backup_documents_volume, backups.DOCUMENTS),
        *(() if settings.backup_repository else (repository,)),
    )


def network(settings: Settings) -> str:
    """The helper's network: none where the repository is a volume."""
    return "bridge" if settings.backup_repository else "none"


def documents(
    settings: Settings,
    files: Mapping[str, Secret[bytes]],
    access: Mapping[str, Secret[bytes]],
    images: Mapping[str, tuple[str, ...]],
    parts: Mapping[str, str],
) -> dict[str, Secret[bytes]]:
    """Path in the helper -> content. `files` are the operator's by their paths in the checkout, `access` what restic needs for
    the repository, by name, `images` and `parts` as in the document. Needs the password."""
    assert settings.backup_password is not None
    wanted = Backup(
        deployment=settings.name,
        repository=settings.backup_repository or "",
        keep=settings.backup_keep,
        parts=parts,
        user_volumes=settings.volume_templates,
        files=tuple(sorted(files)),
        images=images,
    )
    taken = {f"{backups.DOCUMENTS}/{backups.FILES}/{path}": content for path, content in files.items()}
    return told(wanted, settings.backup_password, access) | taken


def told(
    wanted: Backup | Restore, password: Secret[str], access: Mapping[str, Secret[bytes]]
) -> dict[str, Secret[bytes]]:
    return {
        f"{backups.DOCUMENTS}/{backups.WANTED}": Secret(to_bytes(wanted)),
        f"{backups.DOCUMENTS}/{backups.PASSWORD}": Secret(password.reveal().encode()),
        **{
            f"{backups.DOCUMENTS}/{backups.VARIABLES.rpartition('/')[0]}/{name}": content
            for name, content in access.items()
        },
    }
