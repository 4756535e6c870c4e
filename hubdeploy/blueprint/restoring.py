"""What a restoration's helper gets, and which volume each of a snapshot's becomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubdeploy.blueprint import draw
from hubdeploy.blueprint.backup import told
from hubdeploy.blueprint.component import own_labels
from hubdeploy.blueprint.specs import Mount, VolumeSpec
from hubdeploy.contract import backups, labels, servers
from hubdeploy.contract.documents import Restore, Secret
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.volume_names import user_of

# What bringing files back with their owners and modes takes.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
# restic sets the dates of the folder above the volumes.
TMPFS = (backups.VOLUMES,)


def mounts(settings: Settings, targets: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts of a restoration's helper: each volume of `targets` (its name in the snapshot -> on the engine) under its name
    in the snapshot, the repository read-only where it is a volume. Its documents go with it."""
    place = Mount(settings.backup_volume, backups.REPOSITORY, read_only=True)
    return (
        *(Mount(name, f"{backups.VOLUMES}/{there}") for there, name in targets.items()),
        Mount("", backups.DOCUMENTS),
        *(() if settings.backup_repository else (place,)),
    )


def documents(settings: Settings, wanted: Restore, access: Mapping[str, Secret[bytes]]) -> dict[str, Secret[bytes]]:
    """Path in a restoration's helper -> content. Needs the password."""
    assert settings.backup_password is not None
    return told(wanted, settings.backup_password, access)


def targets(settings: Settings, manifest: Mapping[str, Any]) -> dict[str, VolumeSpec]:
    """A volume of a snapshot -> the volume of the deployment that these settings make of it; a volume that has no place in it
    is left out. `manifest` is what the snapshot says of itself."""
    there = manifest.get("parts") or {backups.DATA: manifest["data_volume"]}
    own = {one.kept: one for one in draw.volumes(settings) if one.kept}
    if settings.secrets_volume:
        own[backups.BROUGHT] = VolumeSpec(settings.secrets_volume, {}, False, "SECRETS_VOLUME")
    found = {name: own[part] for part, name in there.items() if part in own and name in manifest["volumes"]}
    # Of homes and notebook directories the second are always there, and last.
    pairs = list(zip(reversed(manifest["user_volumes"]), reversed(settings.volume_templates), strict=False))
    for name in manifest["volumes"].keys() - set(there.values()):
        for theirs, ours in pairs:
            user = user_of(theirs, name)
            if user is not None:
                found[name] = _users(settings, servers.filled(ours, user))
    return dict(sorted(found.items()))


def _users(settings: Settings, name: str) -> VolumeSpec:
    carried = {**own_labels(settings, labels.VOLUME), labels.UID: str(settings.nb_uid)}
    return VolumeSpec(name, carried, True, "USER_VOLUME")


def volumes_of(settings: Settings, user: str) -> tuple[str, ...]:
    """A user's volumes."""
    return tuple(servers.filled(template, user) for template in settings.volume_templates)
