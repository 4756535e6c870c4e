"""Finds the function that brings an operation's end state about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hubdeploy.engine import act, states
from hubdeploy.engine.act import Progress
from hubdeploy.engine.connection import Connection
from hubdeploy.plan import operations as op

if TYPE_CHECKING:
    from hubdeploy.engine.build import Builder

_ACTIONS: dict[type, Callable[[Connection, Any, Progress], None]] = {
    op.ImagePulled: act.pull,
    op.ImageTagged: act.tag,
    op.ImageGone: act.remove_image,
    op.ImageProved: states.prove,
    op.CopyLent: states.lend,
    op.NetworkExists: act.create_network,
    op.NetworkGone: act.remove_network,
    op.VolumeExists: act.create_volume,
    op.VolumeOwned: act.own_volume,
    op.VolumeGone: act.remove_volume,
    op.StateNoted: states.note,
    op.StateKept: states.keep,
    op.StateBrought: states.bring,
    op.CopiesGone: states.remove_copies,
    op.ContainerStopped: act.stop,
    op.ContainerGone: act.remove_container,
    op.ContainerCreated: act.create_container,
    op.ContainerRecreated: states.recreate,
    op.FilesPut: act.put_files,
    op.FilesPublished: act.publish_files,
    op.VolumeHolds: act.put_into_volume,
    op.ContainerStarted: act.start,
    op.ContainerHealthy: act.await_health,
}


def apply(
    connection: Connection, builder: Callable[[], Builder], operation: op.EngineOperation, progress: Progress
) -> None:
    """Brings one operation's end state about; `progress` hears what goes on meanwhile. `builder` gives who builds images."""
    if isinstance(operation, op.ImageBuilt):
        act.build(connection, builder(), operation, progress)
    else:
        _ACTIONS[type(operation)](connection, operation, progress)
