"""After any change of one or all settings, the next plan touches exactly the parts that show it, and after that plan there
is nothing to do. The model of agreement, which knows no plan, finds the parts that show a setting.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Iterator
from unittest import mock

from hypothesis import Phase
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from hubdeploy import family
from hubdeploy.blueprint import images
from hubdeploy.commands import daily, local_files
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from hubdeploy.contract.documents import User
from hubdeploy.errors import Problem, Refused
from hubdeploy.plan import checks
from hubdeploy.plan import operations as op
from hubdeploy.plan.checks import Case, Evidence
from hubdeploy.plan.steps import Plan
from hubdeploy.settings import rules
from hubdeploy.settings.declarations import LOCAL, Settings, declarations
from tests.agreement import border
from tests.agreement.accepted import accepted
from tests.agreement.discovery import others, parts_between, with_values
from tests.agreement.places import render
from tests.search.held import Held

_USERS = [User("kaben", admin=True), User("ann"), User("bob", sudo=True), User("ann", admin=True, sudo=True)]


class Sequence(RuleBasedStateMachine):
    """A deployment that is up, on an engine that keeps what earlier ones left."""

    def __init__(self) -> None:
        super().__init__()
        self.root = border.new_checkout()
        self.held = Held()
        self.left: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize(found=accepted())
    def up(self, found: Settings) -> None:
        self.settings = dataclasses.replace(found, root=self.root)
        self.carry_out(self.settings, self.pulled_and_drawn(self.settings)[1])
        self.assert_nothing_is_left()

    @rule(key=st.sampled_from(list(declarations())), data=st.data())
    def one_setting_changes(self, key: str, data: st.DataObject) -> None:
        self.change_to(data.draw(st.sampled_from([*others(self.settings, key), without(self.settings, key)])))

    @rule(users=st.lists(st.sampled_from(_USERS), min_size=1, unique_by=lambda user: user.name))
    def the_userlist_changes(self, users: list[User]) -> None:
        self.change_to(dataclasses.replace(self.settings, users=tuple(users)))

    @rule(found=accepted())
    def everything_changes(self, found: Settings) -> None:
        self.change_to(dataclasses.replace(found, root=self.root))

    def change_to(self, after: Settings) -> None:
        # A deployment of that name may be left on the engine, and its parts differ from those compared here.
        if rules.contradictions(after, str) or after.name in self.left - {self.settings.name}:
            return
        there = set(self.parts_there(after))
        try:
            pulls, drawn = self.pulled_and_drawn(after)
        except Refused:
            # Another deployment of this sequence left an object under a name that now derives.
            return
        shown = parts_between(dataclasses.replace(self.settings, users=after.users), after)
        shown |= parts_of_users(self.settings, after)
        # Servers of another path stop, also those of users who stay.
        staying = {user.name for user in after.users} if after.hub_path == self.settings.hub_path else ()
        touched = {*parts_touched(pulls), *parts_touched(drawn, staying)}
        running = {one.labels[labels.USER] for one in self.held.seen_by(after).servers}
        if running and running <= {user for step in drawn.steps for user in step.users}:
            # All of them stop, for whatever cause, so none is left as it is.
            there.add("servers")
        if "container proxy" in touched:
            # A new proxy starts with all its files.
            there.add("proxy's files")
        if "container hub" in touched:
            there.add("hub's files")
        if self.settings.idle_timeout != after.idle_timeout:
            # A server learns at its start how often to report its activity. The hub alone knows the limit itself.
            there.add("servers")
        if self.settings.behind != after.behind:
            # Behind another proxy nobody looks at the files of a certificate, and they serve again afterwards.
            there.add("certificate")
        assert touched <= shown, f"touched, though they show nothing that changed: {touched - shown}"
        assert shown - there <= touched, f"left as they are: {shown - there - touched}"
        self.carry_out(after, drawn)
        self.assert_nothing_is_left()
        self.assert_images_have_their_contents()

    def pulled_and_drawn(self, s: Settings) -> tuple[Plan, Plan]:
        """The two plans that `up` carries out: a pulled image decides the contents of all images on it."""
        pulls = self.drawn(s).pulls
        for step in pulls.steps:
            self.held.apply(step.operation)
        return pulls, self.drawn(s)

    def drawn(self, s: Settings) -> Plan:
        with (
            border.crossed(s),
            mock.patch.object(Deployment, "observe", return_value=self.held.seen_by(s)),
            # What it compares are files of this machine, which a sequence does not write.
            mock.patch.object(daily, "steps", return_value=()),
        ):
            drawn = Deployment(s.root, border.ENVIRON).draw()
        found = checks.findings(Case(drawn.plan, drawn.blueprint, drawn.snapshot, Evidence()))
        problems = [one for one in found if isinstance(one, Problem)]
        if problems:
            raise Refused(problems)
        return drawn.plan

    def carry_out(self, s: Settings, drawn: Plan) -> None:
        for operation in [step.operation for step in drawn.steps]:
            if isinstance(operation, op.SecretsRemembered):
                origins = {**s.origins, **dict.fromkeys(operation.values, LOCAL)}
                s = dataclasses.replace(with_values(s, dict(operation.values)), origins=origins)
            elif isinstance(operation, op.CertificateWritten):
                local_files.apply(operation)
            else:
                self.held.apply(operation)
        self.settings = s
        self.left.add(s.name)
        self.held.start_servers(s)

    def assert_nothing_is_left(self) -> None:
        drawn = self.drawn(self.settings)
        assert [f"{step.operation}: {step.cause}" for step in drawn.steps] == []
        assert drawn.pending == ()

    def assert_images_have_their_contents(self) -> None:
        leaves = render(self.settings)
        for name in leaves["built"]:  # type: ignore[union-attr]
            image = self.held.images[self.settings.image_reference(str(name))]
            assert image.labels[labels.CONTENT] == leaves[f"build[{name}].labels.{labels.CONTENT}"]

    def parts_there(self, after: Settings) -> Iterator[str]:
        """The parts that an earlier deployment of the sequence left exactly as they are wanted now."""
        snapshot = self.held.seen_by(after)
        networks = {"users": after.network_name, "api": after.api_network_name}
        yield from (f"network {part}" for part, name in networks.items() if name in snapshot.networks)
        volumes = {
            "data": after.data_volume,
            "proxy": after.proxy_volume,
            "routes": after.routes_volume,
            "hub": after.hub_volume,
            "states": after.states_volume,
            "reserve": after.reserve_volume,
            "guard": after.guard_volume,
            "filter": after.filter_volume,
            "clock": after.clock_volume,
            "backup": after.backup_volume,
            "backup-documents": after.backup_documents_volume,
        }
        yield from (f"volume {part}" for part, name in volumes.items() if name in snapshot.volumes)
        if set(images.foreign(after)) <= snapshot.images.keys():
            yield "images that are pulled"
        # An image that is no longer wanted stays, and may still have its name.
        wanted = family.with_ancestors(images.needed(after))
        for name in family.FAMILY:
            if name not in wanted or after.image_reference(name) in snapshot.images:
                yield f"image {name}"
        if after.certificate_path.exists() or after.secrets_volume:
            yield "certificate"
        if not snapshot.servers:
            yield "servers"


def without(s: Settings, key: str) -> Settings:
    """The settings with this key no longer set."""
    origins = {one: origin for one, origin in s.origins.items() if one != key}
    return with_values(dataclasses.replace(s, origins=origins), {})


def parts_of_users(before: Settings, after: Settings) -> set[str]:
    """What another userlist changes: the hub, the filter where others may use sudo, and the servers of those who leave, or may
    use sudo no more or only now."""
    if set(before.users) == set(after.users):
        return set()
    sudo = [{user.name: s.grant_sudo or user.sudo for user in s.users} for s in (before, after)]
    listed = [{user.name for user in s.users if user.sudo} for s in (before, after)]
    return (
        {"container hub"}
        | ({"container filter"} if listed[0] != listed[1] else set())
        | ({"servers"} if any(sudo[1].get(name) != may for name, may in sudo[0].items()) else set())
    )


def parts_touched(drawn: Plan, users: Collection[str] = ()) -> Iterator[str]:
    """The parts, named as by `discovery.dependencies`, that a plan makes anew; `users` are those that there will be. (A hub
    with another database stops all servers, which do not show that.)"""
    for step in drawn.steps:
        operation = step.operation
        if isinstance(operation, op.SecretsRemembered):
            yield "passwords"
        elif isinstance(operation, op.CertificateWritten):
            yield "certificate"
        elif isinstance(operation, op.ImagePulled):
            yield "images that are pulled"
        elif isinstance(operation, op.ImageBuilt):
            yield f"image {operation.spec.name}"
        elif isinstance(operation, op.ImageTagged):
            yield f"image {operation.reference.rpartition(':')[0].rpartition('/')[2]}"
        elif isinstance(operation, op.NetworkExists):
            yield f"network {'api' if operation.spec.internal else 'users'}"
        elif isinstance(operation, op.VolumeExists):
            yield f"volume {operation.spec.labels[labels.ROLE].removesuffix('-volume')}"
        elif isinstance(operation, op.ContainerCreated):
            yield f"container {operation.spec.role}"
        elif isinstance(operation, op.FilesPublished):
            yield f"{operation.container.rpartition('-')[2]}'s files"
        elif (
            isinstance(operation, op.ContainerStopped)
            and step.users
            and operation.name.endswith(f"-user-{step.users[0]}")
        ):
            # A server by itself: it is on a network that is no longer wanted.
            yield "servers"
    if drawn.pending or any(set(step.users) - set(users) for step in drawn.steps):
        yield "servers"


def test_a_change_after_up_touches_exactly_the_parts_that_show_it() -> None:
    run_state_machine_as_test(
        Sequence,
        settings=profile(
            max_examples=30,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
        ),
    )
