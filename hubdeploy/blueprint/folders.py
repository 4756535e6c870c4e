"""What users share, as the contract has it, and the volumes that it takes. Pure."""

from __future__ import annotations

import hashlib
import json

from hubdeploy.blueprint.component import own_labels
from hubdeploy.blueprint.specs import VolumeSpec
from hubdeploy.contract import documents as contract
from hubdeploy.contract import labels
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.folders import Folder


def folder(settings: Settings, one: Folder) -> contract.Folder:
    return contract.Folder(
        name=one.name,
        volume=_volume(settings, one),
        path=one.path or "",
        options=_options(one),
        writers=one.writers(settings.users),
        readers=one.readers(settings.users),
        kinds=one.kinds,
        ours=one.is_writable,
        limit=one.limit,
    )


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """The volumes of folders that users write to. The engine makes one of another machine's folder with its first server."""
    carried = own_labels(settings, labels.SHARED)
    return tuple(
        VolumeSpec(
            _volume(settings, one),
            carried,
            True,
            "DOCKER_MACHINE_NAME",
            kept=f"shared {one.name}",
            owner=settings.nb_uid,
        )
        for one in settings.folders
        if one.is_writable
    )


def _volume(settings: Settings, one: Folder) -> str:
    """A volume of another machine's folder keeps its options, so others are another volume."""
    options = _options(one)
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
    return one.volume_in(settings.name) + (f"-{digest}" if options else "")


def _options(one: Folder) -> dict[str, str]:
    """The options of the engine's own driver of volumes, as mount(8) has them."""
    if one.nfs:
        server, _, path = one.nfs.rpartition(":")
        return {"type": "nfs", "o": f"addr={server.strip('[]')},nfsvers=4,ro", "device": f":{path}"}
    if one.cifs:
        return {"type": "cifs", "o": f"addr={one.cifs.split('/')[2]},guest,ro", "device": one.cifs}
    return {}
