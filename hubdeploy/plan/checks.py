"""What stands against a plan: checks, one function each, that return problems (they refuse it) and cautions (they do not).

Pure: what only the engine or this machine can tell is in Evidence. A new check is a function here and its place in CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hubdeploy.blueprint.specs import Blueprint, ContainerSpec, PublishedPort
from hubdeploy.contract import cards, labels
from hubdeploy.contract.documents import User
from hubdeploy.errors import Caution, Problem
from hubdeploy.plan import compatibility
from hubdeploy.plan import operations as op
from hubdeploy.plan.compatibility import Found, Wanted
from hubdeploy.plan.containers import held_contract
from hubdeploy.plan.snapshot import ContainerState, NetworkState, Snapshot, VolumeState
from hubdeploy.plan.steps import Plan
from hubdeploy.settings import readers
from hubdeploy.settings.logins import LOGINS
from hubdeploy.tls.certificates import RENEW_DAYS

_GB = 1000**3
_EVERYWHERE = {"0.0.0.0", "::"}


@dataclass(frozen=True)
class Evidence:
    """What was asked for this plan alone.

    `owners`: volume -> user id, for the volumes of `doubtful_volumes`. `listeners`: (address, port) -> the program of this
    machine that listens there, for ports that no container holds. `notebook_images`: what each foreign image of users'
    servers must fit, and what was found in it (a Problem: it did not answer), as far as they are on the engine.
    `certificate`: what was found about the pair to serve. `brought_days`: how long a brought pair is valid yet. `provider`:
    what was found about the login's OpenID Connect provider. `plain_port`: why the port for requests without TLS is left out.
    `no_devices`: paths in GPUS that are no devices of this machine, if the engine is here.
    """

    owners: Mapping[str, int] = field(default_factory=dict)
    listeners: Mapping[tuple[str, int], str] = field(default_factory=dict)
    notebook_images: tuple[tuple[Wanted, Found] | Problem, ...] = ()
    certificate: tuple[Problem | Caution, ...] = ()
    brought_days: int | None = None
    provider: tuple[Problem | Caution, ...] = ()
    plain_port: tuple[Caution, ...] = ()
    no_devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a check sees."""

    plan: Plan
    blueprint: Blueprint
    snapshot: Snapshot
    evidence: Evidence


Finding = Problem | Caution


def findings(case: Case) -> tuple[Finding, ...]:
    """Everything that the checks find, in their order."""
    return tuple(finding for check in CHECKS for finding in check(case))


def doubtful_volumes(blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """Users' volumes that may belong to another user id than the servers': they have no label with it, and no hub serves
    them with it. Without an image the engine cannot be asked; one is pulled first.
    """
    spec = next(one for one in blueprint.containers if one.contract)
    held, kind = held_contract(spec, snapshot.containers.get(spec.name)), blueprint.contract.kinds[0]
    same = held and (held.kinds[0].volumes, held.kinds[0].nb_uid) == (kind.volumes, kind.nb_uid)
    if same or not snapshot.images:
        return ()
    users = (one for one in snapshot.volumes.values() if one.is_users)
    return tuple(sorted(one.name for one in users if one.labels.get(labels.UID) != str(kind.nb_uid)))


def ports_to_bind(plan: Plan, blueprint: Blueprint, snapshot: Snapshot) -> tuple[tuple[str, int], ...]:
    """The (address, port) pairs that the plan's containers will bind and no container holds."""
    return tuple(
        (port.address, port.port)
        for _, port in _ports_to_publish(plan, blueprint)
        if not holders(snapshot, port.address, port.port)
    )


def _ports_to_publish(plan: Plan, blueprint: Blueprint) -> Iterator[tuple[ContainerSpec, PublishedPort]]:
    """The ports of each container that the plan starts."""
    started = {step.operation.name for step in plan.steps if isinstance(step.operation, op.ContainerStarted)}
    return ((spec, port) for spec in blueprint.containers if spec.name in started for port in spec.published)


def _certificate(case: Case) -> Iterator[Finding]:
    yield from case.evidence.certificate
    days = case.evidence.brought_days
    if days is not None and days <= RENEW_DAYS:
        yield Caution(f"the certificate that you brought expires in {days} days", "bring its successor")


def _provider(case: Case) -> Iterator[Finding]:
    yield from case.evidence.provider


def _plain_port(case: Case) -> Iterator[Finding]:
    yield from case.evidence.plain_port


def _invitations(case: Case) -> Iterator[Finding]:
    """A login to which nobody can come without a link, on a hub that had another one."""
    spec = next(one for one in case.blueprint.containers if one.contract)
    held, wanted = held_contract(spec, case.snapshot.containers.get(spec.name)), case.blueprint.contract.login.name
    if held and held.login.name != wanted and LOGINS[wanted].invites:
        yield Caution(
            f"AUTHENTICATOR: {held.login.name} -> {wanted}: each user needs a link to choose a password",
            "after up, ./invoke invite --all FILE writes the links; files and running servers of these users stay",
        )


def _strangers(case: Case) -> Iterator[Finding]:
    """Whoever else has a name that is to be ours."""
    blueprint, snapshot = case.blueprint, case.snapshot
    wanted: list[tuple[str, str, str, bool, Mapping[str, ContainerState | NetworkState | VolumeState]]] = [
        *(("container", one.name, "", True, dict(snapshot.containers)) for one in blueprint.containers),
        *(("network", one.name, one.key, one.owned, dict(snapshot.networks)) for one in blueprint.networks),
        *(("volume", one.name, one.key, one.owned, dict(snapshot.volumes)) for one in blueprint.volumes),
    ]
    for kind, name, key, owned, present in wanted:
        state = present.get(name)
        if state is None or not owned or state.labels.get(labels.DEPLOYMENT) == blueprint.deployment:
            continue
        owner = state.labels.get(labels.DEPLOYMENT)
        whose = f"belongs to the deployment {owner}" if owner else "was not made by this deployment"
        use = f"set {key}={name} to use it as it is, or " if key not in ("", "DOCKER_MACHINE_NAME") else ""
        yield Problem.of_no_file(
            found=f"the {kind} {name} {whose}",
            wanted=f"a {kind} of our own under the name {name}",
            fix=f"{use}rename or remove it, or set another DOCKER_MACHINE_NAME",
        )


def _volume_owners(case: Case) -> Iterator[Finding]:
    """Users' volumes that their servers could not write to."""
    uid, owners = case.blueprint.contract.kinds[0].nb_uid, case.evidence.owners
    others = {name: owner for name, owner in owners.items() if owner != uid}
    if not others:
        return
    listed = ", ".join(f"{name} (of {owner})" for name, owner in sorted(others.items())[:5])
    first, *more = {*owners.values()}
    use = "" if more or not _may_be_nb_uid(first) else f"set NB_UID={first}, or "
    base = case.blueprint.foreign_images[0]
    yield Problem.of_no_file(
        found=f"{len(others)} volumes belong to another number: {listed}",
        wanted=f"users' volumes that belong to NB_UID={uid}",
        fix=f"{use}stop these servers and give each volume away: docker run --rm -v VOLUME:/v {base} chown -R {uid} /v",
    )


def _may_be_nb_uid(number: int) -> bool:
    """Not root's, as an engine makes a volume where the image has no such directory."""
    try:
        readers.user_id(str(number))
    except readers.Unfit:
        return False
    return True


def _notebook_images(case: Case) -> Iterator[Finding]:
    return notebook_images(case.evidence.notebook_images)


def notebook_images(evidence: Iterable[tuple[Wanted, Found] | Problem]) -> Iterator[Problem]:
    """What keeps servers of foreign images from working with the hub; `evidence` as in Evidence."""
    for one in evidence:
        match one:
            case Problem() as unanswered:
                yield unanswered
            case (Wanted() as wanted, Found() as found):
                yield from compatibility.problems(found, wanted)


def _taken_ports(case: Case) -> Iterator[Finding]:
    """Ports that the plan's containers are to publish, and that somebody else has."""
    for spec, port in _ports_to_publish(case.plan, case.blueprint):
        container = holding_container(case.snapshot, spec.name, port.address, port.port)
        holder, owner = container or (case.evidence.listeners.get((port.address, port.port)), None)
        if holder:
            stop = f"stop that deployment (DOCKER_MACHINE_NAME={owner} ./invoke down)" if owner else "stop it"
            yield Problem.of_no_file(
                found=f"port {port.port} is taken by {holder}",
                wanted=f"port {port.port} on {port.address} for the {spec.role}",
                fix=f"{stop}, or set another {port.key} in .env",
            )


def holding_container(snapshot: Snapshot, own: str, address: str, port: int) -> tuple[str, str | None] | None:
    """The container but `own` that has the port, in words, and its deployment if it is one of ours; None without such a one."""
    others = [one for one in holders(snapshot, address, port) if one != own]
    if not others:
        return None
    owner = next((name for name, one in snapshot.neighbours.items() if others[0] in one.containers), None)
    return f"the container {others[0]}{f' of the deployment {owner}' if owner else ''}", owner


def _users_volumes_of_others(case: Case) -> Iterator[Finding]:
    """The first `up` under a name, while another deployment holds users' volumes: after a change of DOCKER_MACHINE_NAME users
    would find empty ones."""
    deployment, snapshot = case.blueprint.deployment, case.snapshot
    carried = [one.labels for one in (*snapshot.containers.values(), *snapshot.servers)]
    carried += [one.labels for one in snapshot.volumes.values()]
    is_new = all(one.get(labels.DEPLOYMENT) != deployment for one in carried)
    if not is_new or any(one.is_users for one in snapshot.volumes.values()):
        return
    others = snapshot.neighbours.items()
    holders = ", ".join(f"{name} ({len(other.user_volumes)})" for name, other in others if other.user_volumes)
    if holders:
        found = (
            f"other deployments on this engine hold users' volumes: {holders}; {deployment} is new and begins without"
        )
        yield Caution(found, "if this deployment had one of these names, set DOCKER_MACHINE_NAME back to it")


def holders(snapshot: Snapshot, address: str, port: int) -> list[str]:
    """The containers that hold a port of this address, or of all addresses."""
    return [
        name
        for (held_address, held_port), names in snapshot.port_holders.items()
        if held_port == port and (held_address == address or {held_address, address} & _EVERYWHERE)
        for name in names
    ]


def _shared_cookies(case: Case) -> Iterator[Finding]:
    """Other deployments that browsers take for this one. A cookie goes to its host name, whatever the port, and to all
    paths below its own; of two with one name the hub takes either."""
    for spec in case.blueprint.containers:
        host, path = spec.labels.get(labels.HOST), spec.labels.get(labels.PATH, "/")
        addresses = ((other, *where) for other, one in case.snapshot.neighbours.items() for where in one.addresses)
        for other, their_host, theirs in addresses:
            if their_host == host and (theirs.startswith(path) or path.startswith(theirs)):
                found = f"the deployment {other} answers at {host}{theirs}, this one at {host}{path}"
                fix = "set HUB_PATH in both, such as /physics/ and /chemistry/: neither may begin with the other"
                yield Caution(f"{found}: a login at one ends the login at the other", fix)


def _full_disk(case: Case) -> Iterator[Finding]:
    return full_disk(case.plan, case.snapshot)


def full_disk(plan: Plan, snapshot: Snapshot) -> Iterator[Problem]:
    """Builds for which the engine has not enough disk."""
    builds = [step.operation.spec for step in plan.steps if isinstance(step.operation, op.ImageBuilt)]
    needed, free = sum(spec.disk for spec in builds), snapshot.engine.free_disk
    if free is not None and needed > free:
        yield Problem.of_no_file(
            found=f"the engine's disk has {free / _GB:.1f} GB left",
            wanted=f"about {needed / _GB:.0f} GB of disk for building {', '.join(spec.name for spec in builds)}",
            fix="make room, for example: docker system df, then docker image prune",
        )


def _limits_beyond_the_host(case: Case) -> Iterator[Finding]:
    """Limits that limit nothing."""
    engine = case.snapshot.engine
    for kind in case.blueprint.contract.kinds:
        if kind.memory_limit > engine.memory:
            found = f"USER_MEMORY_LIMIT is {kind.memory_limit / 1024**3:.1f} GiB, the engine has {engine.memory / 1024**3:.1f}"
            yield Caution(found, "one server can take all memory: set less")
        if kind.cpu_limit and engine.cpus and kind.cpu_limit > engine.cpus:
            found = f"USER_CPU_LIMIT is {kind.cpu_limit:g}, the engine has {engine.cpus} CPUs"
            yield Caution(found, "one server can take all CPUs: set less")


def _course_material(case: Case) -> Iterator[Finding]:
    """Links of nbgitpuller that lead nowhere: the page behind them is in our images alone."""
    if any(kind.course_repositories and not kind.ours for kind in case.blueprint.contract.kinds):
        found = "COURSE_REPOSITORIES is set, and servers of images of others have no page for course material"
        yield Caution(found, "take one of our images, such as base-notebook, or delete the line")


def _cards(case: Case) -> Iterator[Finding]:
    """Cards that the engine cannot hand out, as far as it tells."""
    engine, named = case.snapshot.engine, case.blueprint.contract.cards
    if named and not any(kind.gpus for kind in case.blueprint.contract.kinds):
        yield Caution("GPUS names cards, and no kind of servers has any", "write gpus: 1 into a kind in servers.yml")
    of_nvidia = [card for card in named if cards.is_of_nvidia(card)]
    if of_nvidia and "nvidia" not in engine.runtimes:
        found = f"GPUS names NVIDIA's card {of_nvidia[0]}, and the engine knows no NVIDIA runtime"
        fix = "install NVIDIA's container toolkit on the engine's host and restart the engine: docs/servers.md"
        yield Caution(f"{found}: servers with a card may not start", fix)
    by_name = [card for card in named if not cards.is_path(card) and card not in of_nvidia]
    for card in (one for one in by_name if one not in engine.devices):
        found = f"GPUS names {card}, and the engine ({engine.version}) has found no such device"
        yield Caution(
            f"{found}: servers with it may not start", "compare with what `docker info` lists: docs/servers.md"
        )
    for path in case.evidence.no_devices:
        yield Caution(
            f"GPUS names {path}, and there is no such device: servers with it do not start", "see ls /dev/dri"
        )


def _prunable_volumes(case: Case) -> Iterator[Finding]:
    return prunable_volumes(case.snapshot, case.blueprint.deployment)


def prunable_volumes(snapshot: Snapshot, deployment: str) -> Iterator[Caution]:
    """Volumes that a command which sounds like tidying would remove."""
    there = snapshot.volumes.values()
    own = [one for one in there if one.labels.get(labels.DEPLOYMENT, deployment) == deployment]
    free = sorted(one.name for one in own if not one.held)
    if free and snapshot.engine.prunes_named:
        these = f"{len(free)} of this deployment's volumes, such as {free[0]}"
        found = f"`docker volume prune` on this engine ({snapshot.engine.version}) would remove {these}"
        fix = (
            "never run it here, nor `docker system prune --volumes`; engines from 23 on leave volumes that have a name"
        )
        yield Caution(f"{found}, as no container holds them", fix)


def _untried_walls(case: Case) -> Iterator[Finding]:
    """Engines on which the guard is a guess."""
    kind = case.snapshot.engine.special
    if kind:
        found = f"the engine is {kind}: that the guard keeps users' servers apart was never tried on such an engine"
        yield Caution(found, "try it before you let strangers in: docs/security.md says what must be closed")


def _selinux(case: Case) -> Iterator[Finding]:
    if case.snapshot.engine.selinux:
        yield Problem.of_no_file(
            found="the engine labels containers by SELinux, which keeps the filter from the engine and the hub from the filter",
            wanted="an engine that does not: nobody has written and tried the rules yet",
            fix='set "selinux-enabled": false in the engine\'s daemon.json, restart it, and run this again',
        )


def _no_admin(case: Case) -> Iterator[Finding]:
    contract = case.blueprint.contract
    return no_admin(contract.users, named_by_groups=bool(contract.login.traits.get("admin_groups")))


def no_admin(users: Iterable[User], *, named_by_groups: bool) -> Iterator[Caution]:
    """A hub on which nobody may open the admin page, unless an admin there made others."""
    if not named_by_groups and not any(user.admin for user in users):
        found = "userlist names no admin: nobody on it may open the admin page"
        yield Caution(found, "write the flag admin behind a name: `kaben admin`")


CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _strangers,
    _certificate,
    _provider,
    _plain_port,
    _invitations,
    _volume_owners,
    _notebook_images,
    _taken_ports,
    _users_volumes_of_others,
    _shared_cookies,
    _full_disk,
    _limits_beyond_the_host,
    _course_material,
    _cards,
    _prunable_volumes,
    _untried_walls,
    _selinux,
    _no_admin,
)
