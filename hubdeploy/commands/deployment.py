"""Brings the parts together, one verb of the tasks each: load settings, observe, plan, show, ask, carry out.

Nothing is decided here that plan decides, and nothing done that engine does.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from hubdeploy import family, files, threads
from hubdeploy.blueprint import contexts, documents
from hubdeploy.blueprint import specs as blue
from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.commands import execution, image_probe, reachability
from hubdeploy.commands.display import Display
from hubdeploy.engine import Engine, context_paths
from hubdeploy.errors import DeployError
from hubdeploy.plan import operations as op
from hubdeploy.plan import reconcile
from hubdeploy.plan.reconcile import Plan, Step
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings import loading, volume_names
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates, selection

# The checkout: where tasks.py and .env lie.
ROOT = Path(__file__).resolve().parents[2]
# Letters and digits that are not taken for one another.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


class Deployment:
    """The deployment whose files are in `root`."""

    def __init__(self, root: Path, environ: Mapping[str, str], display: Display | None = None) -> None:
        self.settings: Settings = loading.load(root, environ)
        self.engine = Engine(environ)
        self.display = display or Display()
        bundle = self.settings.extra_ca_bundle
        self._certificates = certificates.read_bundle(bundle) if bundle else ()

    # -- what the tasks say -----------------------------------------------------------------------------------------

    def up(self, *, yes: bool = False) -> None:
        """Everything exists as the settings say; prints the plan, asks where a session or data would be lost."""
        drawn, snapshot = self._draw_and_look()
        self.display.plan(drawn)
        self._refuse_taken_port(drawn, snapshot)
        self._ask(drawn, yes)
        pulls = drawn.only(op.ImagePulled)
        if pulls.steps:
            self.carry_out(pulls)
            # What was pulled decides the contents of all that is built on it, and may not fit; and meanwhile somebody may
            # have logged in.
            drawn, _ = self._draw_and_look()
            self._ask(drawn, yes)
        self.carry_out(drawn)
        unchanged = not drawn.steps and not pulls.steps
        if not (unchanged and self.engine.local and reachability.answers(self.settings)):
            both = (self.settings.proxy_name, self.settings.hub_name)
            threads.all_of([functools.partial(self.engine.await_healthy, name) for name in both])
        self.display.greeting(self._current_settings(drawn))

    def show_plan(self) -> None:
        """Prints what `up` would do, and does nothing."""
        drawn, _ = self._draw_and_look()
        self.display.plan(drawn)

    def build(self, *names: str) -> None:
        """The named images of ours are built with all they stand on; without a name, all that this deployment runs."""
        images = names or self.settings.images_needed
        drawn = self._draw_images(images)
        pulls = drawn.only(op.ImagePulled)
        if pulls.steps:
            self.display.plan(pulls)
            self.carry_out(pulls)
            drawn = self._draw_images(images)
        self._show_and_do(drawn)

    def notebook_image(self) -> None:
        """DOCKER_NOTEBOOK_IMAGE is present: ours is built, any other is pulled, and fits the hub."""
        member = self.settings.notebook_member
        if member:
            self.build(member)
            return
        reference = self.settings.notebook_image
        steps = [step for step in self.draw().only(op.ImagePulled).steps if step.operation == op.ImagePulled(reference)]
        self._show_and_do(Plan(tuple(steps)))
        self._refuse_misfit(self.observe())

    def pull(self) -> None:
        """The images that are not built here are present, and the one of users' servers fits the hub."""
        self.apply_only(op.ImagePulled)
        self._refuse_misfit(self.observe())

    def apply_only(self, *kinds: type) -> None:
        """Those steps of the plan whose operations are of these kinds."""
        self._show_and_do(self.draw().only(*kinds))

    def self_signed_certificate(self) -> None:
        """A self-made certificate, new in any case; a brought one is not overwritten."""
        pair = selection.from_files(self.settings)
        if pair is not None and pair.made_from is None:
            name = self.settings.certificate_path.name
            raise DeployError(
                wanted="no certificate, or a self-made one, to replace",
                found=f"{name} was brought by somebody",
                fix="delete it and its key first if you want a self-made pair",
            )
        self._show_and_do(Plan(_certificate_steps(self.settings, *selection.make(self.settings, "asked for"))))

    def down(self, *, servers: bool, yes: bool) -> None:
        """Proxy and hub are stopped; users' servers go on unless `servers`."""
        drawn = reconcile.stopping(self.observe(), self.settings.name, servers=servers)
        self.display.plan(drawn)
        self._ask(drawn, yes)
        self.carry_out(drawn)

    def clean(self, *, volumes: bool, yes: bool) -> None:
        """Containers, networks and images are removed; volumes only if asked and the name is typed back."""
        drawn = reconcile.removal(self.observe(), self.settings.name, volumes=volumes)
        self.display.plan(drawn)
        self._ask(drawn, yes)
        self.carry_out(drawn)

    def check_files(self) -> None:
        """Certificate, key and context folders are fine (the settings were checked when they were read)."""
        pair = selection.current(self.settings, self.engine.read_volume)
        self.contexts(tuple(family.FAMILY))
        self.display.checked(self.settings, pair)

    # -- what they stand on -----------------------------------------------------------------------------------------

    def observe(self, *, files: bool = True) -> Snapshot:
        """What the engine holds of this deployment; reading the containers' files takes longest of it."""
        s = self.settings
        return self.engine.observe(
            s.name,
            names=(
                s.network_name, s.api_network_name, s.data_volume, s.proxy_volume, s.hub_name, s.proxy_name,
            ),
            file_roots={s.hub_name: blue.HUB_DIRECTORY, s.proxy_name: blue.PROXY_DIRECTORY} if files else {},
            is_users=functools.partial(volume_names.may_name, s.user_volume),
        )  # fmt: skip

    def draw(self) -> Plan:
        """The plan from what is to what should be."""
        return self._draw(self.observe())

    def _draw(self, snapshot: Snapshot) -> Plan:
        pair, cause = selection.decide(self.settings, self.engine.read_volume)
        settings, password_steps = _with_passwords(self.settings)
        blueprint = self.blueprint(settings, snapshot, pair)
        with files.locked(settings.root):
            owners = self.engine.volume_owners(
                reconcile.doubtful_volumes(blueprint, snapshot), deployment=settings.name
            )
        drawn = reconcile.reconcile(
            blueprint, snapshot, owners, local=(*password_steps, *_certificate_steps(settings, pair, cause))
        )
        self._refuse_full_disk(drawn, snapshot)
        return drawn

    def _draw_and_look(self) -> tuple[Plan, Snapshot]:
        """The plan, and what it was drawn from; refused if users' servers would not fit the hub."""
        snapshot = self.observe()
        drawn = self._draw(snapshot)
        self._refuse_misfit(snapshot)
        return drawn, snapshot

    def blueprint(self, settings: Settings, snapshot: Snapshot, pair: certificates.Pair) -> Blueprint:
        names = family.with_ancestors(settings.images_needed)
        memory = snapshot.engine.memory
        return Blueprint(
            deployment=settings.name,
            data_volume=settings.data_volume,
            foreign_images=blue.foreign_images(settings),
            images=self._image_specs(names, snapshot),
            networks=blue.networks(settings),
            volumes=blue.volumes(settings),
            containers=blue.containers(
                settings, engine_memory=memory, api_password=_api_password(settings, snapshot), pair=pair
            ),
            server=blue.server(settings, memory),
        )

    def contexts(self, names: tuple[str, ...]) -> dict[str, contexts.Context]:
        read = {}
        for name in names:
            member = family.FAMILY[name]
            extra = self._certificates if member.parent is None else ()
            read[name] = contexts.read(self.settings.root / member.folder, context_paths, extra)
        return read

    def carry_out(self, drawn: Plan) -> None:
        execution.carry_out(drawn.steps, self.engine, self.display)

    def _image_specs(self, names: tuple[str, ...], snapshot: Snapshot) -> tuple[blue.ImageSpec, ...]:
        base = snapshot.images.get(self.settings.base_image)
        return blue.images(self.settings, names, self.contexts(names), base.id if base else None)

    def _draw_images(self, names: tuple[str, ...]) -> Plan:
        snapshot = self.observe(files=False)
        specs = self._image_specs(family.with_ancestors(names), snapshot)
        drawn = reconcile.image_plan(specs, (self.settings.base_image,), snapshot)
        self._refuse_full_disk(drawn, snapshot)
        return drawn

    def _show_and_do(self, drawn: Plan) -> None:
        self.display.plan(drawn)
        self.carry_out(drawn)

    def _ask(self, drawn: Plan, yes: bool) -> None:
        """Asks where a session or data would be lost; data only goes when the deployment's name is typed back."""
        if any(step.impact is reconcile.Impact.DATA_REMOVED for step in drawn.steps):
            self.display.confirm_by_name(self.settings.name)
        elif drawn.loses and not yes:
            self.display.confirm()

    def _refuse_misfit(self, snapshot: Snapshot) -> None:
        image_probe.refuse_misfit(self.settings, snapshot, self.engine, self.display.line)

    def _refuse_taken_port(self, drawn: Plan, snapshot: Snapshot) -> None:
        s = self.settings
        starts = [step for step in drawn.steps if step.operation == op.ContainerStarted(s.proxy_name)]
        if not starts:
            return
        everywhere = {"0.0.0.0", "::"}
        containers = [
            name
            for (address, port), names in snapshot.port_holders.items()
            if port == s.hub_port and (address == s.bind_address or {address, s.bind_address} & everywhere)
            for name in names
        ]
        others = [f"the container {name}" for name in containers if name != s.proxy_name]
        program = None if containers else self.engine.port_holder(s.bind_address, s.hub_port)
        holder = next(iter(others), program)
        if holder:
            raise DeployError(
                wanted=f"port {s.hub_port} on {s.bind_address} for the proxy",
                found=f"port {s.hub_port} is taken by {holder}",
                fix="stop it, or set another HUB_PORT in .env",
            )

    def _refuse_full_disk(self, drawn: Plan, snapshot: Snapshot) -> None:
        builds = [step.operation.spec for step in drawn.steps if isinstance(step.operation, op.ImageBuilt)]
        needed, free = sum(spec.disk for spec in builds), snapshot.engine.free_disk
        if free is not None and needed > free:
            raise DeployError(
                wanted=f"about {needed / 1000**3:.0f} GB of disk for building {', '.join(spec.name for spec in builds)}",
                found=f"the engine's disk has {free / 1000**3:.1f} GB left",
                fix="make room, for example: docker system df, then docker image prune",
            )

    def _current_settings(self, drawn: Plan) -> Settings:
        """The settings with the passwords that the plan wrote."""
        written: dict[str, str] = {}
        for step in drawn.steps:
            if isinstance(step.operation, op.SecretsRemembered):
                written.update(step.operation.values)
        return _replace_passwords(self.settings, written)


def load() -> Deployment:
    """The deployment of this checkout, as the files and the shell say."""
    return Deployment(ROOT, os.environ)


def _api_password(settings: Settings, snapshot: Snapshot) -> str:
    """The password between hub and proxy: the one the hub has, or a new one where there is no hub to disagree with."""
    hub = snapshot.containers.get(settings.hub_name)
    held = (hub.files or {}).get(documents.SECRETS_PATH) if hub else None
    try:
        password = json.loads(held or b"{}").get("proxy_api_password")
    except ValueError:
        password = None
    return password if isinstance(password, str) and password else secrets.token_hex(32)


def _certificate_steps(settings: Settings, pair: certificates.Pair, cause: str | None) -> tuple[Step, ...]:
    written = op.CertificateWritten(pair, settings.certificate_path, settings.key_path)
    return () if cause is None else (Step(written, cause),)


def _with_passwords(settings: Settings) -> tuple[Settings, tuple[Step, ...]]:
    """Settings with both passwords, generated where nobody set them, and the step that remembers them."""
    if not settings.uses_passwords:
        return settings, ()
    makers: dict[str, tuple[str | None, Callable[[], str]]] = {
        "USER_PASSWORD": (settings.user_password, _readable_password),
        "ADMIN_PASSWORD": (settings.admin_password, lambda: secrets.token_urlsafe(30)),
    }
    made = {key: make() for key, (value, make) in makers.items() if value is None}
    if not made:
        return settings, ()
    remembered = op.SecretsRemembered(
        settings.local_path, made, "generated: the passwords of the shared-password login"
    )
    return _replace_passwords(settings, made), (Step(remembered, "nobody set them"),)


def _replace_passwords(settings: Settings, values: Mapping[str, str]) -> Settings:
    return dataclasses.replace(
        settings,
        user_password=values.get("USER_PASSWORD", settings.user_password),
        admin_password=values.get("ADMIN_PASSWORD", settings.admin_password),
    )


def _readable_password() -> str:
    """Three groups of four: 59 bits, and short enough to read out to a class."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(3))
