"""Renders every place in which the settings of a deployment finally show, as leaves: `place -> plain value`.

The real `Deployment` draws the plan of an empty engine, the real engine module carries its steps out over the wire, and
the hub's own modules run on the documents that this puts into the hub.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from itertools import pairwise
from json import loads
from typing import Any

from hubdeploy.blueprint import backup, draw
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.plan import operations as op
from hubdeploy.plan.steps import Step
from hubdeploy.settings.declarations import Settings
from tests.agreement import border, files, hub
from tests.agreement.leaves import Leaves, flat, with_labels_read
from tests.agreement.wire import Request, Wire, put, reference


def render(settings: Settings) -> Leaves:
    """Every leaf of an accepted deployment, in the order in which facts flow: from the plan to the users' servers."""
    settings = dataclasses.replace(settings, root=border.checkout())
    # Imported inside crossed(), the hub's modules would keep its stand-ins for later tests.
    with hub.image_modules(), border.crossed(settings) as wire:
        deployed = Deployment(settings.root, border.ENVIRON)
        # Like `up`: a pulled image decides the contents of all images that are built on it.
        pulls = deployed.draw().plan.pulls
        leaves = _reader(wire.requests)
        _carry_out(deployed, wire, pulls.steps, leaves)
        steps = deployed.draw().plan.steps
        leaves["built"] = tuple(step.operation.spec.name for step in steps if isinstance(step.operation, op.ImageBuilt))
        _carry_out(deployed, wire, steps, leaves)
        there = {path: content for one in wire.requests if _puts(one) for path, content in put(one).items()}
        leaves |= files.render(there)
        leaves |= _backup(settings)
        leaves |= hub.render(settings, wire, there[files.CONTRACT], there[files.SECRETS])
    return leaves


def _backup(settings: Settings) -> Leaves:
    """What a backup's helper gets: its mounts, its network, and what it is to do. No step of `up` brings it."""
    password = settings.backup_password or Secret("made-by-the-first-backup")
    whole = dataclasses.replace(settings, backup_password=password)
    put_there = backup.documents(whole, {}, {}, {}, draw.kept(settings))
    held = {path.rpartition("/")[2]: content.reveal() for path, content in put_there.items()}
    mounts = sorted(f"{one.source} at {one.target}" for one in backup.mounts(settings, draw.kept(settings).values()))
    wanted = flat({**loads(held["backup.json"]), "mounts": mounts, "network": backup.network(settings)}, "backup")
    return {**wanted, "backup.password": held["password"].decode()}


def _carry_out(deployed: Deployment, wire: Wire, steps: Sequence[Step], leaves: Leaves) -> None:
    """Adds the leaves of the steps that the engine is asked for, or that write a file here."""
    for operation in [step.operation for step in steps if type(step.operation) in _RENDERERS]:
        of_the_engine, render_one = _RENDERERS[type(operation)]
        before = len(wire.requests)
        if of_the_engine:
            deployed.apply(operation)
        leaves |= render_one(operation, wire.requests[before:], leaves)


def _puts(asked: Request) -> bool:
    return asked.is_for("PUT", "/containers/", "/archive")


def _remembered(done: op.SecretsRemembered, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    return flat({key: value.reveal() for key, value in done.values.items()}, "remembered")


def _written(done: op.CertificateWritten, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    return flat({"certificate": done.certificate_path.name, "key": done.key_path.name}, "written")


def _pulled(done: op.ImagePulled, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    earlier = sum(path.startswith("pull[") for path in so_far)
    return {f"pull[{earlier}]": reference(asked[0])}


def _built(done: op.ImageBuilt, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    build, tagged = asked
    path = f"build[{done.spec.name}]"
    builder, name, arguments, carried = _by_buildx(build) if build.method == "RUN" else _by_classic(build)
    return {
        "builder": builder,
        f"{path}.content_reference": name,
        f"{path}.tagged": tagged.path.removeprefix("/images/").removesuffix("/tag"),
        f"{path}.reference": f"{tagged.params['repo']}:{tagged.params['tag']}",
        **flat(arguments, f"{path}.arguments"),
        **flat(with_labels_read(carried), f"{path}.labels"),
        **files.context(build.body, f"{path}.context"),
    }


def _by_classic(build: Request) -> tuple[str, str, dict[str, str], dict[str, str]]:
    """The builder, the image's name, its build arguments, and its labels."""
    return "classic", build.params["t"], loads(build.params["buildargs"]), loads(build.params["labels"])


def _by_buildx(build: Request) -> tuple[str, str, dict[str, str], dict[str, str]]:
    """As _by_classic, of the words of `docker buildx build`."""
    words = shlex.split(build.path)
    said = [
        [value for option, value in pairwise(words) if option == wanted]
        for wanted in ("--tag", "--build-arg", "--label")
    ]
    (name,), *named = said
    arguments, carried = (dict(one.split("=", 1) for one in many) for many in named)
    return words[1], name, arguments, carried


def _network(done: op.NetworkExists, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    *_, created = (one for one in asked if one.is_for("POST", "/networks/create"))
    return flat(created.body, f"network[{'api' if done.spec.internal else 'users'}]")


def _volume(done: op.VolumeExists, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    return flat(asked[0].body, f"volume[{done.spec.labels[labels.ROLE].removesuffix('-volume')}]")


def _container(done: op.ContainerCreated, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    path = f"container[{done.spec.role}]"
    (created,) = (one for one in asked if one.is_for("POST", "/containers/create"))
    body = {**created.body, "Labels": with_labels_read(created.body["Labels"])}
    joined = dict(body.pop("NetworkingConfig", {}).get("EndpointsConfig", {}))
    variables = dict(line.split("=", 1) for line in body["Env"])
    held: Leaves = {}
    for document in ("WALLS", "SERVERS"):
        held |= flat(loads(variables.get(document, "{}")), f"{path}.{document.lower()}")
    jobs = loads(variables.get("JOBS", "{}"))
    held |= flat({**jobs, "jobs": {one["name"]: one for one in jobs.get("jobs", ())}} if jobs else {}, f"{path}.jobs")
    for one in asked:
        if one.is_for("POST", "/networks/", "/connect"):
            name = one.path.removeprefix("/networks/").removesuffix("/connect")
            joined[name] = {**one.body["EndpointConfig"], "Container": one.body["Container"]}
    networks = [{"Name": name, **endpoint} for name, endpoint in joined.items()]
    return {f"{path}.Name": created.params["name"], **flat({**body, "Networks": networks}, path), **held}


def _filled(done: op.FilesPut, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    path = f"{_latest_container(so_far)}.filled"
    name = asked[0].path.removeprefix("/containers/").removesuffix("/archive")
    return {
        f"{path}.Name": name,
        f"{path}.paths": tuple(files.settled(one for request in asked for one in put(request))),
    }


def _started(done: op.ContainerStarted, asked: Sequence[Request], so_far: Leaves) -> Leaves:
    name = asked[0].path.removeprefix("/containers/").removesuffix("/start")
    return {f"{_latest_container(so_far)}.started.Name": name}


def _latest_container(so_far: Leaves) -> str:
    """Such as `container[hub]`: each is created, filled and started before the next."""
    return next(path for path in reversed(so_far) if path.startswith("container[")).partition("]")[0] + "]"


def _reader(asked: Sequence[Request]) -> Leaves:
    """The volume that the certificate was read from, by a container that mounts it."""
    created = [one for one in asked if one.is_for("POST", "/containers/create")]
    return {"reader.Binds": tuple(one.body["HostConfig"]["Binds"][0] for one in created)}


_Renderer = Callable[[Any, Sequence[Request], Leaves], Leaves]
# Operation -> whether it is the engine's (the others are files of this machine), and its leaves.
_RENDERERS: dict[type, tuple[bool, _Renderer]] = {
    op.SecretsRemembered: (False, _remembered),
    op.CertificateWritten: (False, _written),
    op.ImagePulled: (True, _pulled),
    op.ImageBuilt: (True, _built),
    op.NetworkExists: (True, _network),
    op.VolumeExists: (True, _volume),
    op.ContainerCreated: (True, _container),
    op.FilesPut: (True, _filled),
    op.ContainerStarted: (True, _started),
}
