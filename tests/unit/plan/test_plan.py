"""Plans as an operator reads them: from a snapshot that is made up here to the printed steps."""

from __future__ import annotations

import dataclasses
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from hubdeploy import family
from hubdeploy.blueprint import contexts
from hubdeploy.blueprint import specs as blue
from hubdeploy.blueprint.specs import Blueprint, ContainerSpec
from hubdeploy.commands.display import Display
from hubdeploy.contract import labels
from hubdeploy.errors import DeployError
from hubdeploy.plan import reconcile
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, ImageState, NetworkState, Snapshot, VolumeState
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair

MEMORY = 8 * 1024**3
OWN = {labels.DEPLOYMENT: "lab"}


@pytest.fixture
def found(tmp_path: Path) -> Settings:
    (tmp_path / "userlist").write_text("kaben admin\nalice\n")
    (tmp_path / ".env").write_text("DOCKER_MACHINE_NAME=lab\nBASE_IMAGE=debian:12\n")
    return loading.load(tmp_path, {"USER_PASSWORD": "u" * 12, "ADMIN_PASSWORD": "a" * 40})


def drawn_blueprint(found: Settings, version: bytes = b"1") -> Blueprint:
    names = family.with_ancestors(found.images_needed)
    made = {name: contexts.Context((contexts.ContextFile("version", version),)) for name in names}
    return Blueprint(
        deployment=found.name,
        data_volume=found.data_volume,
        foreign_images=blue.foreign_images(found),
        images=blue.images(found, names, made, "sha256:base"),
        networks=blue.networks(found),
        volumes=blue.volumes(found),
        containers=blue.containers(found, engine_memory=MEMORY, api_password="p" * 64, pair=Pair(b"crt", b"key")),
        server=blue.server(found, MEMORY),
    )


def empty(**fields: object) -> Snapshot:
    base = image_state("base", {}, "debian:12")
    nothing = Snapshot(EngineFacts("28.5", MEMORY, None, True), {"debian:12": base}, {}, {}, {}, (), {})
    return dataclasses.replace(nothing, **fields)  # type: ignore[arg-type]


def image_state(name: str, carried: dict[str, str], *references: str) -> ImageState:
    return ImageState(f"sha256:{name}", carried, datetime(2026, 1, 1, tzinfo=UTC), 1, references)


def running(spec: ContainerSpec, image_id: str) -> ContainerState:
    networks = {one.network: f"id-{one.network}" for one in spec.attachments}
    files = {**spec.files, **spec.live_files}
    return ContainerState(spec.name, spec.name, image_id, "running", "Up (healthy)", spec.all_labels, networks, files)


def up(drawn: Blueprint) -> Snapshot:
    """The snapshot right after the blueprint was carried out."""
    images = dict(empty().images)
    for spec in drawn.images:
        state = image_state(spec.name, dict(spec.labels), spec.reference, spec.content_reference)
        images |= {spec.reference: state, spec.content_reference: state}
    return empty(
        images=images,
        networks={
            one.name: NetworkState(f"id-{one.name}", one.name, one.labels, "172.20.0.0/16", "172.20.128.0/17")
            for one in drawn.networks
        },
        volumes={one.name: VolumeState(one.name, one.labels) for one in drawn.volumes},
        containers={one.name: running(one, images[one.image].id) for one in drawn.containers},
    )


def server(drawn: Blueprint, user: str) -> ContainerState:
    carried = {**OWN, labels.ROLE: labels.SERVER, labels.USER: user, labels.FINGERPRINT: drawn.server.fingerprint}
    networks = {drawn.server.network: f"id-{drawn.server.network}"}
    return ContainerState(user, f"lab-user-{user}", "sha256:base-notebook", "running", "Up", carried, networks)


def printed(drawn: reconcile.Plan) -> str:
    output = io.StringIO()
    Display(Console(file=output, soft_wrap=True)).plan(drawn)
    return output.getvalue()


def test_from_nothing_everything_is_made_proxy_before_hub(found: Settings) -> None:
    assert (
        printed(reconcile.reconcile(drawn_blueprint(found), empty()))
        == """\
  1. image lab/proxy:latest is built - it does not exist
  2. image lab/hub:latest is built
  3. image lab/anaconda3:latest is built
  4. image lab/base-notebook:latest is built
  5. network lab-network exists
  6. network lab-proxy-api exists
  7. volume lab-data exists
  8. volume lab-proxy exists
  9. container lab-proxy is created
 10. container lab-proxy has its files
 11. container lab-proxy is started
 12. container lab-proxy is healthy
 13. container lab-hub is created
 14. container lab-hub has its files
 15. container lab-hub is started
 16. container lab-hub is healthy
"""
    )


def test_from_the_blueprint_itself_nothing_is_done(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    assert printed(reconcile.reconcile(drawn, up(drawn))) == "nothing to do\n"


def test_another_tag_of_the_same_images_leaves_the_proxy_alone(found: Settings) -> None:
    tagged = dataclasses.replace(found, image_tag="autumn", notebook_image="lab/base-notebook:autumn")
    told = printed(reconcile.reconcile(drawn_blueprint(tagged), up(drawn_blueprint(found))))
    assert "image lab/proxy:autumn is lab/proxy:" in told
    assert "container lab-hub is created" in told
    assert "container lab-proxy" not in told


def test_another_order_of_the_userlist_changes_nothing(found: Settings) -> None:
    turned = dataclasses.replace(found, users=found.users[::-1])
    assert printed(reconcile.reconcile(drawn_blueprint(turned), up(drawn_blueprint(found)))) == "nothing to do\n"


def test_a_base_that_is_missing_is_pulled(found: Settings) -> None:
    first = printed(reconcile.reconcile(drawn_blueprint(found), empty(images={}))).splitlines()[0]
    assert first == "  1. image debian:12 is pulled - it is not on the engine"


def test_a_user_that_leaves_loses_a_running_server_and_that_is_said(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    after = drawn_blueprint(dataclasses.replace(found, users=found.users[:1]))
    drawn = reconcile.reconcile(after, snapshot)
    assert printed(drawn).splitlines()[:2] == [
        "  1. container lab-hub is stopped - contract.json: user alice removed",
        "     users: running servers stop: alice",
    ]
    assert drawn.loses


def test_a_changed_limit_waits_for_the_next_start(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, pids_limit=100)), snapshot)
    text = printed(drawn)
    assert "contract.json: server.pids_limit: 4096 -> 100" in text
    assert text.splitlines()[-1] == "     users: alice pick it up at their next start - the settings of servers changed"
    assert not drawn.loses


def test_a_changed_password_is_named_and_not_shown(found: Settings) -> None:
    snapshot = up(drawn_blueprint(found))
    text = printed(
        reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, user_password="canary-pass")), snapshot)
    )
    assert "secrets.json: user_password changed" in text
    assert "canary" not in text


def test_a_new_certificate_restarts_nothing(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    containers = blue.containers(found, engine_memory=MEMORY, api_password="p" * 64, pair=Pair(b"new", b"key"))
    text = printed(reconcile.reconcile(dataclasses.replace(drawn, containers=containers), up(drawn)))
    assert text == "  1. container lab-proxy has its new files - the certificate changed\n"


@pytest.mark.parametrize("role", ["hub", "proxy"])
def test_a_rebuilt_image_rolls_out_and_running_servers_are_left(found: Settings, role: str) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    images = tuple(
        dataclasses.replace(spec, content="f" * 64, labels={**spec.labels, labels.CONTENT: "f" * 64})
        if spec.name == role
        else spec
        for spec in before.images
    )
    drawn = reconcile.reconcile(dataclasses.replace(before, images=images), snapshot)
    assert not drawn.loses
    assert f"container lab-{role} is stopped - image lab/{role}:latest is new" in printed(drawn)


def test_a_stopped_container_is_started_and_kept(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    stopped = dataclasses.replace(snapshot.containers["lab-hub"], state="exited")
    text = printed(
        reconcile.reconcile(
            drawn, dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": stopped})
        )
    )
    assert text == "  1. container lab-hub is started - it does not run\n  2. container lab-hub is healthy\n"


def test_strangers_under_derived_names_are_refused_with_the_setting(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    with pytest.raises(DeployError, match="set DATA_VOLUME_HOST=lab-data to use it"):
        reconcile.reconcile(drawn, empty(volumes={"lab-data": VolumeState("lab-data", {})}))
    other = {labels.DEPLOYMENT: "other"}
    with pytest.raises(DeployError, match="belongs to the deployment other"):
        reconcile.reconcile(drawn, empty(networks={"lab-network": NetworkState("1", "lab-network", other, None, None)}))


def test_removal_takes_children_before_parents_and_no_volume(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    older = image_state("a", {**OWN, labels.REPOSITORY: "lab/a"}, "lab/a:1")
    newer = image_state("b", {**OWN, labels.REPOSITORY: "lab/b"}, "lab/b:1")
    newer = dataclasses.replace(newer, created=datetime(2026, 2, 1, tzinfo=UTC))
    snapshot = dataclasses.replace(up(drawn), own_images=(older, newer))
    text = printed(reconcile.removal(snapshot, "lab", volumes=False))
    assert text.index("lab/b:1") < text.index("lab/a:1")
    assert text.index("lab-hub") < text.index("network lab-network")
    assert "volume" not in text
    assert "volume lab-data is removed" in printed(reconcile.removal(snapshot, "lab", volumes=True))


def test_a_label_that_is_no_json_is_no_bug(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    hub = snapshot.containers["lab-hub"]
    broken = dataclasses.replace(hub, labels={**hub.labels, labels.SHAPE: "[]"}, files={})
    text = printed(
        reconcile.reconcile(drawn, dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": broken}))
    )
    assert "contract.json: was never written" in text
    assert json.loads(hub.labels[labels.SHAPE])["ports"] == ""


def test_an_image_of_others_that_stands_on_ours_is_not_removed(found: Settings) -> None:
    inherited = {**OWN, labels.ROLE: "image:base-notebook", labels.REPOSITORY: "lab/base-notebook"}
    theirs = image_state("c", inherited, "theirs/notebook:1", "theirs/base-notebook:1")
    snapshot = dataclasses.replace(up(drawn_blueprint(found)), own_images=(theirs,))
    assert "theirs" not in printed(reconcile.removal(snapshot, "lab", volumes=False))


@pytest.mark.parametrize("hub", ["running", "exited", "gone"])
def test_who_leaves_the_list_is_named_whatever_state_the_hub_is_in(found: Settings, hub: str) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"), server(before, "kaben")))
    containers = dict(snapshot.containers)
    if hub == "gone":
        del containers["lab-hub"]
    else:
        containers["lab-hub"] = dataclasses.replace(containers["lab-hub"], state=hub)
    after = drawn_blueprint(dataclasses.replace(found, users=found.users[:1]))
    drawn = reconcile.reconcile(after, dataclasses.replace(snapshot, containers=containers))
    assert [step.users for step in drawn.loses] == [("alice",)]


@pytest.mark.parametrize("case", ["another", "vanished"])
def test_another_database_loses_every_running_server(found: Settings, case: str) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"), server(before, "kaben")))
    after = before
    if case == "another":
        # The end of the old name: a volume is compared as a whole.
        after = drawn_blueprint(dataclasses.replace(found, data_volume="data"))
        snapshot = dataclasses.replace(snapshot, volumes={**snapshot.volumes, "data": VolumeState("data", OWN)})
    else:
        volumes = {name: state for name, state in snapshot.volumes.items() if name != "lab-data"}
        snapshot = dataclasses.replace(snapshot, volumes=volumes, containers={})
    assert [step.users for step in reconcile.reconcile(after, snapshot).loses] == [("alice", "kaben")]


def test_sudo_taken_away_waits_for_the_next_start_and_that_is_said(found: Settings) -> None:
    before = drawn_blueprint(found)
    alice = server(before, "alice")
    alice = dataclasses.replace(alice, labels={**alice.labels, labels.SUDO: "yes"})
    drawn = reconcile.reconcile(before, dataclasses.replace(up(before), servers=(alice,)))
    assert (
        printed(drawn).splitlines()[-1].endswith("alice pick it up at their next start - the right to use sudo changed")
    )
