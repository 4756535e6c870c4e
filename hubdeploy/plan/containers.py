"""The steps for one component's container: made anew, started, or given new files. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hubdeploy.blueprint import held_documents
from hubdeploy.blueprint.specs import SERVERS_STOP, Blueprint, ContainerSpec
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Contract
from hubdeploy.plan import comparison
from hubdeploy.plan import operations as op
from hubdeploy.plan.images import json_label
from hubdeploy.plan.snapshot import ContainerState, Snapshot
from hubdeploy.plan.steps import Step

# Labels that say a setting.
_KEYS = {labels.HOST: "HUB_HOST", labels.PATH: "HUB_PATH"}


def container_steps(
    spec: ContainerSpec, blueprint: Blueprint, snapshot: Snapshot, changed: Collection[str]
) -> list[Step]:
    """`changed` are the references of images and the names of networks that earlier steps make anew."""
    steps = _steps(spec, snapshot, changed)
    losing = _losing_users(spec, blueprint, snapshot) if spec.contract and steps else ()
    if not losing:
        return steps
    # Whatever state the hub is in now, these servers stop when it starts.
    return [replace(steps[0], consequence=SERVERS_STOP, users=losing), *steps[1:]]


def _steps(spec: ContainerSpec, snapshot: Snapshot, changed: Collection[str]) -> list[Step]:
    state = snapshot.containers.get(spec.name)
    if state is None:
        return _new_container(spec, "it does not exist")
    cause = _replacement_cause(spec, state, snapshot, changed)
    if cause:
        stops = [Step(op.ContainerStopped(spec.name), cause, spec.consequence)] if state.running else []
        return [*stops, Step(op.ContainerGone(spec.name), cause), *_new_container(spec, cause)]
    mounts = tuple(mount.target for mount in spec.mounts)
    if state.running:
        stale = {path: file for path, file in spec.live_files.items() if state.file(path) != file.content}
        subjects = dict.fromkeys(file.subject for file in stale.values())
        published = {path: file.content for path, file in stale.items()}
        cause = f"{' and '.join(subjects)} changed"
        return [Step(op.FilesPublished(spec.name, published, mounts), cause)] if stale else []
    missing = {path: file for path, file in spec.all_files.items() if state.file(path) != file}
    puts = [Step(op.FilesPut(spec.name, missing, mounts), "they are not there yet")] if missing else []
    return [*puts, *_start(spec.name, "it does not run")]


def _new_container(spec: ContainerSpec, cause: str) -> list[Step]:
    mounts = tuple(mount.target for mount in spec.mounts)
    puts = [Step(op.FilesPut(spec.name, spec.all_files, mounts), cause)] if spec.all_files else []
    return [Step(op.ContainerCreated(spec), cause), *puts, *_start(spec.name, cause)]


def _start(name: str, cause: str) -> list[Step]:
    return [Step(op.ContainerStarted(name), cause), Step(op.ContainerHealthy(name), cause)]


def _replacement_cause(spec: ContainerSpec, state: ContainerState, snapshot: Snapshot, changed: Collection[str]) -> str:
    """Why a container must be made anew; empty if it need not be."""
    causes: list[str] = []
    image = snapshot.images.get(spec.image)
    if spec.image in changed or image is None or image.id != state.image_id:
        causes.append(f"image {spec.image} is new")
    before, after = json_label(state.labels, labels.SHAPE), spec.shape
    # A label that an earlier version did not write is no reason.
    causes += [
        f"{_KEYS.get(label, label)}: {state.labels[label]} -> {value}"
        for label, value in spec.labels.items()
        if state.labels.get(label, value) != value
    ]
    causes += [
        change
        for part in {**after, **before}
        if before.get(part) != after.get(part)
        for change in comparison.of_shape(part, before.get(part, ""), after.get(part, ""), spec.published)
    ]
    for attachment in spec.attachments:
        network = snapshot.networks.get(attachment.network)
        if (
            attachment.network in changed
            or network is None
            or state.networks.get(attachment.network) not in ("", network.id)
        ):
            causes.append(f"network {attachment.network} is new")
    # A container that never ran may still wait for its files; one that ran has read them.
    if state.state != "created":
        login = spec.contract.login.name if spec.contract else ""
        causes += [
            comparison.differences(path.rpartition("/")[2], state.file(path), file, login)
            for path, file in spec.files.items()
            if state.file(path) != spec.all_files[path]
        ]
    return "; ".join(causes)


def _losing_users(spec: ContainerSpec, blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """A hub that starts stops the servers of users who left the userlist, of those whose group lets them in no more, and
    those that answer below another path. With another database it knows no server at all.

    Whom an admin added, and who is in which group, is not known here. So everybody who is not on the list counts where a group
    goes, or without a contract to compare with: rather asked once too often.
    """
    running = frozenset(one.user for one in snapshot.servers if one.running)
    state = snapshot.containers.get(spec.name)
    mounted = mounted_volumes(state) if state else frozenset()
    database = next(one.name for one in blueprint.volumes if one.remembers_servers)
    if (mounted and database not in mounted) or database not in snapshot.volumes:
        return tuple(sorted(running))
    held = held_contract(spec, state)
    listed = {user.name for user in blueprint.contract.users}
    if held is None or comparison.lets_in_fewer(held.login, blueprint.contract.login):
        left = running - listed
    else:
        left = running & ({user.name for user in held.users} - listed)
    path = blueprint.contract.hub.base_url
    outside = {one.user for one in snapshot.servers if one.running and one.labels.get(labels.PATH, "/") != path}
    return tuple(sorted(left | outside))


def mounted_volumes(state: ContainerState) -> frozenset[str]:
    """What a container mounts, as its label says; empty where no label does."""
    mounts = json_label(state.labels, labels.SHAPE).get("mounts", "")
    return frozenset(one.partition(" at ")[0] for one in mounts.split(", ") if one)


def held_contract(spec: ContainerSpec, state: ContainerState | None) -> Contract | None:
    """The contract that the container has now; None if it has none, or one that cannot be read."""
    path = next((path for path, file in spec.files.items() if isinstance(file, Contract)), None)
    if state is None or path is None:
        return None
    same = state.file(path) == spec.all_files[path]
    return spec.contract if same else held_documents.contract(state.file(path))
