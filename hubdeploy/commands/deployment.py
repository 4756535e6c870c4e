"""A deployment as the commands see it: its settings, its engine, and the plan between what is and what should be.

It brings the rooms together and decides nothing that they decide. Printing and asking is `display`'s.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hubdeploy import family, files
from hubdeploy.blueprint import contexts, draw, held_documents, images
from hubdeploy.blueprint.component import Facts
from hubdeploy.blueprint.documents import CONTRACT_PATH
from hubdeploy.blueprint.provider import Provider
from hubdeploy.blueprint.specs import Blueprint, ImageSpec
from hubdeploy.commands import canary, daily, discovery, execution, image_probe, local_files
from hubdeploy.commands.display import Display
from hubdeploy.contract import cards
from hubdeploy.contract.documents import Contract, Secret
from hubdeploy.engine import Engine, context_paths
from hubdeploy.errors import Caution, InputError, Problem, Refused
from hubdeploy.plan import checks, local, plain_port
from hubdeploy.plan import operations as op
from hubdeploy.plan.checks import Case, Evidence
from hubdeploy.plan.expired import without_serving
from hubdeploy.plan.images import image_steps, name_later
from hubdeploy.plan.reconcile import reconcile
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan
from hubdeploy.settings import generated, loading, logo, volume_names
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates, chain, selection
from hubdeploy.tls.certificates import Pair

# The checkout: where tasks.py and .env lie.
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Drawn:
    """A plan with all that it was drawn from. `settings` hold the passwords that it makes; `pair` is the certificate to
    serve, None behind another proxy, `about_pair` what was found about it, and `served` the pair that browsers get afterwards,
    None if any may be.
    `about_provider` is what was found about the login's provider, `about_port` why the port for requests without TLS is not
    published; `settings` have none then."""

    plan: Plan
    blueprint: Blueprint
    snapshot: Snapshot
    settings: Settings
    pair: Pair | None
    about_pair: tuple[Problem | Caution, ...]
    served: Pair | None
    about_provider: tuple[Problem | Caution, ...] = ()
    about_port: tuple[Caution, ...] = ()

    def of(self, plan: Plan) -> Drawn:
        """The same with another plan."""
        return dataclasses.replace(self, plan=plan)


class Deployment:
    """The deployment whose files are in `root`. Raises InputError if they cannot be read."""

    def __init__(self, root: Path, environ: Mapping[str, str], display: Display | None = None) -> None:
        self.settings: Settings = loading.load(root, environ)
        self.engine = Engine(environ, self.settings.builder)
        self.display = display or Display()
        bundle = self.settings.extra_ca_bundle
        self._certificates = certificates.read_bundle(bundle) if bundle else ()
        acme = self.settings.acme_ca_bundle if self.settings.acme_email else None
        self._acme_authorities = b"".join(certificates.read_bundle(acme, "ACME_CA_BUNDLE")) if acme else b""
        self._logo = logo.read(self.settings.hub_logo) if self.settings.hub_logo else b""

    def observe(self, *, files: bool = True) -> Snapshot:
        """What the engine holds of this deployment; reading the containers' files takes longest of it."""
        return self.engine.observe(
            self.settings.name,
            names=draw.names(self.settings),
            directories=draw.directories() if files else {},
            is_users=functools.partial(volume_names.may_be_named, self.settings.volume_templates),
            variables=self.settings.server_secrets.keys() if files else (),
        )

    def draw(self) -> Drawn:
        """The plan from what is to what should be, on one snapshot of the engine."""
        snapshot = self._with_owners(self.observe())
        settings, made = generated.completed(self.settings)
        settings, about_port = plain_port.where_free(settings, snapshot, self.engine.port_holder)
        pair, cause, about_pair = self._certificate()
        provider, about_provider = discovery.find(settings, held_contract(snapshot))
        blueprint = self.blueprint(settings, snapshot, pair, provider)
        steps = (*local.secret_steps(settings, made), *local.certificate_steps(settings, pair, cause))
        plan = whole = reconcile(blueprint, snapshot, steps)
        if pair is not None and not about_pair and pair.days < 0:
            expired = f"{settings.certificate_path.name} expired on {pair.expires:%Y-%m-%d}"
            plan, finding = without_serving(whole, blueprint, snapshot, pair.certificate, expired)
            about_pair = (finding,)
        served = pair if plan is whole else None
        plan = dataclasses.replace(plan, steps=(*plan.steps, *daily.steps(settings, snapshot, steps, self.engine)))
        return Drawn(plan, blueprint, snapshot, settings, pair, about_pair, served, about_provider, about_port)

    def blueprint(
        self, settings: Settings, snapshot: Snapshot, pair: Pair | None, provider: Provider | None = None
    ) -> Blueprint:
        facts = Facts(
            engine_memory=snapshot.engine.memory,
            base_id=self._base_id(snapshot),
            contexts=self.contexts(images.needed(settings)),
            pair=pair,
            new_password=Secret(secrets.token_hex(32)),
            held=_held(snapshot),
            logo=self._logo,
            socket_group=snapshot.engine.socket_group,
            acme_authorities=self._acme_authorities,
            bridges={name: network.bridge for name, network in snapshot.networks.items()},
            provider=provider,
        )
        return draw.draw(settings, facts)

    def draw_images(self, names: Iterable[str], foreign: Iterable[str]) -> Plan:
        """The plan for images alone: ours of these names with all that they are built on, and foreign references."""
        snapshot = self.observe(files=False)
        steps = image_steps(self.image_specs(names, snapshot), foreign, snapshot)
        if self.settings.hub_name in snapshot.containers:
            # Servers start with them by their names: up gives these when a canary has tried the images.
            steps, _ = name_later(steps, self.settings.server_images)
        drawn = Plan(steps)
        problems = tuple(checks.full_disk(drawn, snapshot))
        if problems:
            raise Refused(problems)
        return drawn

    def image_specs(self, names: Iterable[str], snapshot: Snapshot) -> tuple[ImageSpec, ...]:
        """The images of ours of these names with all that they are built on, as the checkout has them now."""
        return images.specs(self.settings, names, self.contexts(names), self._base_id(snapshot))

    def check(self, drawn: Drawn) -> tuple[Caution, ...]:
        """What an operator should know of the plan; raises Refused with every problem that stands against it."""
        found = checks.findings(Case(drawn.plan, drawn.blueprint, drawn.snapshot, self._evidence(drawn)))
        problems = [one for one in found if isinstance(one, Problem)]
        if problems:
            raise Refused(problems)
        return tuple(one for one in found if isinstance(one, Caution))

    def contexts(self, names: Iterable[str]) -> dict[str, contexts.Context]:
        """The build contexts of these images and of all that they are built on."""
        read, root = {}, self.settings.root
        for name in family.with_ancestors(names):
            member = family.FAMILY[name]
            extra = self._certificates if member.parent is None else ()
            shared = {there: root / path for there, path in member.shared.items()}
            read[name] = contexts.read(root / member.folder, context_paths, extra, shared)
        return read

    def apply(self, operation: op.Operation, progress: Callable[[str], None] = lambda line: None) -> None:
        """Brings one operation's end state about."""
        if isinstance(operation, op.LocalOperation):
            local_files.apply(operation)
        elif isinstance(operation, op.DeploymentOperation):
            canary.live(self.engine, self.settings, self.blueprint, operation, progress)
        else:
            self.engine.apply(operation, progress)

    def show_and_do(self, plan: Plan, *, yes: bool = False) -> None:
        """Prints the plan, asks where a session or data would be lost, and carries it out."""
        self.display.plan(plan)
        self.display.confirm(plan, self.settings.name, yes=yes)
        execution.carry_out(plan.steps, self.apply, self.display)

    def _base_id(self, snapshot: Snapshot) -> str | None:
        base = snapshot.images.get(self.settings.base_image)
        return base.id if base else None

    def _certificate(self) -> tuple[Pair | None, str | None, tuple[Problem | Caution, ...]]:
        """The pair to serve, why it is new, and what is wrong with it: then a pair stands in that nobody will serve. None
        behind another proxy."""
        if self.settings.behind:
            return None, None, ()
        try:
            return *selection.decide(self.settings, self.engine.read_volume), ()
        except InputError as refused:
            return Pair(b"", Secret(b"")), None, refused.problems

    def _with_owners(self, snapshot: Snapshot) -> Snapshot:
        """With the owners of the volumes that shall belong to somebody. Without an image the engine cannot be asked."""
        owned = [
            one.name for one in draw.volumes(self.settings) if one.owner is not None and one.name in snapshot.volumes
        ]
        if not owned or not snapshot.images:
            return snapshot
        with files.locked(self.settings.root):
            owners = self.engine.volume_owners(owned, deployment=self.settings.name)
        states = {name: dataclasses.replace(snapshot.volumes[name], owner=owner) for name, owner in owners.items()}
        return dataclasses.replace(snapshot, volumes={**snapshot.volumes, **states})

    def _evidence(self, drawn: Drawn) -> Evidence:
        """What the checks need and only the engine or this machine can tell."""
        settings, snapshot = self.settings, drawn.snapshot
        with files.locked(settings.root):
            owners = self.engine.volume_owners(
                checks.doubtful_volumes(drawn.blueprint, snapshot), deployment=settings.name
            )
        asked = {
            port: self.engine.port_holder(*port) for port in checks.ports_to_bind(drawn.plan, drawn.blueprint, snapshot)
        }
        pair = None if drawn.about_pair else drawn.pair
        brought = pair if pair and (pair.made_from is None or settings.secrets_volume is not None) else None
        name = settings.certificate_path.name
        chain_cautions = chain.cautions(brought.certificate, name, self._certificates) if brought else ()
        return Evidence(
            owners=owners,
            listeners={port: program for port, program in asked.items() if program},
            notebook_images=image_probe.evidence(settings, snapshot, self.engine, self.display.line),
            certificate=(*drawn.about_pair, *chain_cautions),
            brought_days=brought.days if brought else None,
            provider=drawn.about_provider,
            plain_port=drawn.about_port,
            no_devices=tuple(_no_devices(settings.cards or ())) if snapshot.engine.local else (),
        )


def _no_devices(named: Iterable[str]) -> Iterator[str]:
    """The paths of these cards that are no devices of this machine."""
    paths = dict.fromkeys(path for card in named if cards.is_path(card) for path in card.split(cards.AND))
    return (path for path in paths if not Path(path).is_char_device())


def _held(snapshot: Snapshot) -> dict[str, Mapping[str, Secret[bytes]]]:
    """Role -> the files that the component's container has now."""
    return {one.role: one.files for one in snapshot.containers.values() if one.files}


def held_contract(snapshot: Snapshot) -> Contract | None:
    """The contract that the hub has now."""
    return held_documents.contract(held_documents.file(_held(snapshot).get("hub", {}), CONTRACT_PATH))


def load() -> Deployment:
    """The deployment of this checkout, as the files and the shell say."""
    return Deployment(ROOT, os.environ)
