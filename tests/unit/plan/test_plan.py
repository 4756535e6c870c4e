"""Plans as an operator reads them: from a snapshot that is made up here to the printed steps."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hubdeploy import family
from hubdeploy.blueprint import contexts, draw, images
from hubdeploy.blueprint.component import Facts
from hubdeploy.blueprint.specs import Blueprint, ContainerSpec
from hubdeploy.contract import labels, mac_addresses
from hubdeploy.contract.documents import Login, Secret, Secrets, ServerSecrets, Trait, User, to_bytes
from hubdeploy.engine import observe
from hubdeploy.errors import Caution, Problem
from hubdeploy.plan import checks, comparison, reconcile, removal
from hubdeploy.plan import operations as op
from hubdeploy.plan.checks import Case, Evidence
from hubdeploy.plan.expired import without_serving
from hubdeploy.plan.snapshot import (
    ContainerState,
    EngineFacts,
    ImageState,
    Neighbour,
    NetworkState,
    Snapshot,
    VolumeState,
)
from hubdeploy.plan.steps import Plan
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings, declarations
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import UNSET, Kind
from hubdeploy.tls.certificates import Pair
from tests.agreement.discovery import others
from tests.unit.hub import hub_image

MEMORY = 8 * 1024**3
OWN = {labels.DEPLOYMENT: "lab"}


@pytest.fixture
def found(tmp_path: Path) -> Settings:
    (tmp_path / "userlist").write_text("kaben admin\nalice\n")
    (tmp_path / ".env").write_text("DOCKER_MACHINE_NAME=lab\nBASE_IMAGE=debian:12\n")
    return loading.load(tmp_path, {"USER_PASSWORD": "u" * 12, "ADMIN_PASSWORD": "a" * 40})


class SelfMade(Pair):
    """What is in it is no certificate, and nobody looks."""

    @property
    def made_from(self) -> str | None:
        return "a request"


def drawn_blueprint(found: Settings, version: bytes = b"1", certificate: bytes = b"crt") -> Blueprint:
    names = family.with_ancestors(images.needed(found))
    made = {name: contexts.Context((contexts.ContextFile("version", version),)) for name in names}
    pair = SelfMade(certificate, Secret(b"key"))
    return draw.draw(found, Facts(MEMORY, "sha256:base", made, pair, new_password=Secret("p" * 64)))


def empty(**fields: object) -> Snapshot:
    base = image_state("base", {}, "debian:12")
    nothing = Snapshot(EngineFacts("28.5", MEMORY, None, True), {"debian:12": base}, {}, {}, {}, (), {})
    return dataclasses.replace(nothing, **fields)  # type: ignore[arg-type]


def image_state(name: str, carried: dict[str, str], *references: str) -> ImageState:
    return ImageState(f"sha256:{name}", carried, datetime(2026, 1, 1, tzinfo=UTC), 1, references)


def running(spec: ContainerSpec, image_id: str) -> ContainerState:
    networks = {one.network: f"id-{one.network}" for one in spec.attachments}
    return ContainerState(
        spec.name, spec.name, image_id, "running", "Up (healthy)", spec.all_labels, networks, spec.all_files
    )


def up(drawn: Blueprint) -> Snapshot:
    """The snapshot right after the blueprint was carried out."""
    images = dict(empty().images)
    for spec in drawn.images:
        state = image_state(spec.name, dict(spec.labels), spec.reference, spec.content_reference)
        images |= {spec.reference: state, spec.content_reference: state}
    return empty(
        images=images,
        networks={
            one.name: NetworkState(
                f"id-{one.name}", one.name, one.labels, "172.20.0.0/16", "172.20.128.0/17", one.bridge or "br-1"
            )
            for one in drawn.networks
        },
        volumes={one.name: VolumeState(one.name, one.labels) for one in drawn.volumes},
        containers={one.name: running(one, images[one.image].id) for one in drawn.containers},
    )


def server(drawn: Blueprint, user: str, name: str = "") -> ContainerState:
    kind = drawn.contract.servers.kind_of_server(user, name)
    carried = {
        **OWN,
        labels.ROLE: labels.SERVER,
        labels.USER: user,
        labels.FINGERPRINT: drawn.contract.servers.fingerprint(user, kind),
    }
    carried |= {labels.KIND: name} if name else {}
    networks = {kind.network_name: f"id-{kind.network_name}"}
    return ContainerState(user, f"lab-user-{user}", "sha256:base-notebook", "running", "Up", carried, networks)


def findings(drawn: Blueprint, snapshot: Snapshot, evidence: Evidence | None = None) -> list[str]:
    case = Case(reconcile.reconcile(drawn, snapshot), drawn, snapshot, evidence or Evidence())
    return [str(one) for one in checks.findings(case)]


def test_from_nothing_everything_is_made_and_the_clock_last(found: Settings) -> None:
    assert (
        str(reconcile.reconcile(drawn_blueprint(found), empty()))
        == """\
  1. image lab/proxy:latest is built - it does not exist
  2. image lab/hub:latest is built
  3. image lab/anaconda3:latest is built
  4. image lab/base-notebook:latest is built
  5. volume lab-routes exists
  6. volume lab-proxy exists
  7. volume lab-guard exists
  8. volume lab-filter exists
  9. volume lab-server-secrets exists
 10. volume lab-data exists
 11. volume lab-hub exists
 12. volume lab-states exists
 13. volume lab-reserve exists
 14. volume lab-clock exists
 15. volume lab-backup exists
 16. volume lab-backup-documents exists
 17. network lab-proxy-api exists
 18. network lab-network exists
 19. container lab-proxy is created
 20. container lab-proxy has its files
 21. container lab-proxy is started
 22. container lab-proxy is healthy
 23. container lab-guard is created
 24. container lab-guard is started
 25. container lab-guard is healthy
 26. container lab-filter is created
 27. container lab-filter has its files
 28. container lab-filter is started
 29. container lab-filter is healthy
 30. container lab-hub is created
 31. container lab-hub has its files
 32. container lab-hub is started
 33. container lab-hub is healthy
 34. container lab-clock is created
 35. container lab-clock is started
 36. container lab-clock is healthy"""
    )


def test_from_the_blueprint_itself_nothing_is_done(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    assert str(reconcile.reconcile(drawn, up(drawn))) == "nothing to do"


def test_another_tag_of_the_same_images_leaves_the_proxy_alone(found: Settings) -> None:
    tagged = dataclasses.replace(found, image_tag="autumn", notebook_image="lab/base-notebook:autumn")
    printed = str(reconcile.reconcile(drawn_blueprint(tagged), up(drawn_blueprint(found))))
    assert "image lab/proxy:autumn is lab/proxy:" in printed
    assert "container lab-hub is created" in printed
    assert "container lab-proxy" not in printed


def test_another_order_of_the_userlist_changes_nothing(found: Settings) -> None:
    turned = dataclasses.replace(found, users=found.users[::-1])
    assert str(reconcile.reconcile(drawn_blueprint(turned), up(drawn_blueprint(found)))) == "nothing to do"


def test_a_base_that_is_missing_is_pulled(found: Settings) -> None:
    first = str(reconcile.reconcile(drawn_blueprint(found), empty(images={}))).splitlines()[0]
    assert first == "  1. image debian:12 is pulled - it is not on the engine"


def test_a_user_that_leaves_loses_a_running_server_and_the_plan_says_so(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    after = drawn_blueprint(dataclasses.replace(found, users=found.users[:1]))
    drawn = reconcile.reconcile(after, snapshot)
    assert str(drawn).splitlines()[:2] == [
        "  1. container lab-hub is stopped - user alice removed",
        "     users: running servers stop: alice",
    ]
    assert drawn.loses


@pytest.mark.parametrize(
    ("changes", "losing"),
    [
        ({"github_client_id": "b"}, ()),
        ({"allowed_organizations": ("lab", "more")}, ()),
        ({"allowed_organizations": ("more",)}, ("zoe",)),
        ({"github_url": "https://git.example"}, ("zoe",)),
        ({"authenticator": "accounts"}, ("zoe",)),
    ],
)
def test_up_asks_before_who_came_by_a_group_may_lose_a_running_server(
    found: Settings, changes: dict[str, object], losing: tuple[str, ...]
) -> None:
    found = dataclasses.replace(
        found,
        authenticator="github",
        github_client_id="a",
        github_client_secret=Secret("b"),
        allowed_organizations=("lab",),
    )
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"), server(before, "zoe")))
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, **changes)), snapshot)  # type: ignore[arg-type]
    assert [step.users for step in drawn.loses] == ([losing] if losing else [])


def test_another_path_stops_running_servers_and_the_plan_names_their_users(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "kaben"), server(before, "alice")))
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, hub_path="/physics/")), snapshot)
    assert [(str(step.operation), step.users) for step in drawn.loses] == [
        ("container lab-hub is stopped", ("alice", "kaben"))
    ]
    assert "container lab-proxy is created" in str(drawn), "its labels say where it answers"


def test_a_proxy_of_a_version_without_those_labels_goes_on(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    proxy = snapshot.containers["lab-proxy"]
    older = {key: value for key, value in proxy.labels.items() if key not in (labels.HOST, labels.PATH)}
    containers = {**snapshot.containers, "lab-proxy": dataclasses.replace(proxy, labels=older)}
    assert reconcile.reconcile(drawn, dataclasses.replace(snapshot, containers=containers)).steps == ()


@pytest.mark.parametrize(
    ("host", "path", "shared"),
    [
        ("localhost", "/physics/", True),
        ("localhost", "/", True),
        ("localhost", "/physics/solids/", True),
        ("localhost", "/chemistry/", False),
        ("localhost", "/physics2/", False),
        ("hub.example.org", "/physics/", False),
    ],
)
def test_a_deployment_that_gets_our_cookies_is_named(found: Settings, host: str, path: str, shared: bool) -> None:
    drawn = drawn_blueprint(dataclasses.replace(found, hub_path="/physics/"))
    other = {"other": Neighbour(addresses=((host, path),))}
    warnings = findings(drawn, dataclasses.replace(up(drawn), neighbours=other))
    assert [f"other answers at {host}{path}, this one at localhost/physics/" in one for one in warnings] == [
        True
    ] * shared


def test_a_changed_limit_waits_for_the_next_start(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, pids_limit=100)), snapshot)
    assert (
        str(drawn)
        == """\
  1. container lab-filter is stopped - USER_PIDS_LIMIT: 4096 -> 100
     users: the filter restarts, new servers wait for it
  2. container lab-filter is removed
  3. container lab-filter is created
  4. container lab-filter has its files
  5. container lab-filter is started
  6. container lab-filter is healthy
  7. container lab-hub is stopped
     users: the hub restarts, sessions go on
  8. container lab-hub is removed
  9. container lab-hub is created
 10. container lab-hub has its files
 11. container lab-hub is started
 12. container lab-hub is healthy
     users: alice picks it up at their next start - the settings of servers changed"""
    )
    assert not drawn.loses


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"memory_limit": 2**30}, "USER_MEMORY_LIMIT: 4G -> 1G"),
        ({"memory_guarantee": 160 * 2**20}, "USER_MEMORY_GUARANTEE: 256M -> 160M"),
        ({"memory_guarantee": None}, "USER_MEMORY_GUARANTEE: 256M -> none"),
        ({"idle_timeout": 7200}, "IDLE_TIMEOUT: 12h -> 2h"),
        ({"cpu_limit": 1.5}, "USER_CPU_LIMIT: no limit -> 1.5"),
        ({"grant_sudo": True}, "GRANT_SUDO: no -> yes"),
        ({"spawn_command": ("start.sh", "--x=a b")}, "DOCKER_SPAWN_CMD: start-singleuser.sh -> start.sh '--x=a b'"),
        ({"notebook_dir": "/home/cryptic/lab"}, "DOCKER_NOTEBOOK_DIR: /home/cryptic/work -> /home/cryptic/lab"),
        (
            {"user_volume": "old-{username}"},
            "users' volumes: lab-home-{username}, lab-user-{username} -> lab-home-{username}, old-{username}",
        ),
        ({"notebook_image": "a/b:1"}, "DOCKER_NOTEBOOK_IMAGE: lab/base-notebook:latest -> a/b:1"),
        ({"hub_path": "/physics/"}, "HUB_PATH: / -> /physics/"),
        (
            {"data_mount": "/srv/x"},
            "mounts: lab-data at /data -> lab-data at /srv/x; DATA_VOLUME_CONTAINER: /data -> /srv/x",
        ),
        ({"authenticator": "github"}, "everybody must log in again; AUTHENTICATOR: shared-password -> github"),
    ],
)
def test_the_hub_is_made_anew_for_settings_with_values_as_a_person_writes_them(
    found: Settings, changes: dict[str, object], cause: str
) -> None:
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, **changes)), up(drawn_blueprint(found)))  # type: ignore[arg-type]
    assert next(step.cause for step in drawn.steps if str(step.operation) == "container lab-hub is stopped").startswith(
        cause
    )


SMALL = Kind("small", 1, "Small", memory=2**30)
LARGE = Kind("large", 2, "Large", users=("alice",), memory=2**34, environment=(("A", "1"),))


@pytest.mark.parametrize(
    ("kinds", "cause", "pending"),
    [
        ((SMALL,), "kinds of servers: small, large -> small", "their kind of server is gone, or not theirs any more"),
        ((SMALL, replace(LARGE, users=("zoe",))), "users of large: with zoe; without alice", "not theirs any more"),
        ((SMALL, replace(LARGE, users=None)), "users of large: alice -> everybody", ""),
        ((SMALL, replace(LARGE, title="Huge")), "title of large: Large -> Huge", ""),
        (
            (SMALL, replace(LARGE, memory=2**33)),
            "memory of large: 16G -> 8G",
            "the settings of servers changed",
        ),
        (
            (SMALL, replace(LARGE, environment=(("B", "1"),))),
            "environment of large: A, B",
            "the settings of servers changed",
        ),
        ((replace(SMALL, memory=2**31), LARGE), "memory of small: 1G -> 2G", ""),
        (
            (SMALL, replace(LARGE, image="minimal-notebook")),
            "image of large: lab/base-notebook:latest -> lab/minimal-notebook:latest",
            "image lab/minimal-notebook:latest is new",
        ),
        ((replace(SMALL, image="a/b:1"), LARGE), "image of small: lab/base-notebook:latest -> a/b:1", ""),
        (
            (SMALL, replace(LARGE, networks=("10.1.2.0/24", "db:5432"))),
            "networks of large: none -> 10.1.2.0/24, db:5432",
            "the networks of their kind changed, and are closed to them until then",
        ),
        ((replace(SMALL, networks=("10.1.2.0/24",)), LARGE), "networks of small: none -> 10.1.2.0/24", ""),
        (
            (SMALL, replace(LARGE, command=("jupyterhub-singleuser",))),
            "command of large: start-singleuser.sh -> jupyterhub-singleuser",
            "the settings of servers changed",
        ),
        ((SMALL, replace(LARGE, gpus=1)), "gpus of large: 0 -> 1", "the settings of servers changed"),
        ((replace(SMALL, gpus=1), LARGE), "gpus of small: 0 -> 1", ""),
    ],
)
def test_a_plan_says_who_loses_or_changes_a_kind(
    found: Settings, kinds: tuple[Kind, ...], cause: str, pending: str
) -> None:
    before = drawn_blueprint(dataclasses.replace(found, kinds=(SMALL, LARGE)))
    alice = server(before, "alice", "large")
    snapshot = dataclasses.replace(up(before), servers=(alice,))
    drawn = reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, kinds=kinds)), snapshot)
    assert cause in str(drawn)
    told = [one.cause for one in drawn.pending]
    assert (pending in " ".join(told)) if pending else told == []
    assert not drawn.loses


PHYSICS, CLIMATE = Folder("physics", 1), Folder("climate", 2, volume="climate-2024")
ALICE, ZOE = User("alice", groups=("physics",)), User("zoe", groups=("physics",))


@pytest.mark.parametrize(
    ("users", "folders", "cause", "outdated"),
    [
        ((ALICE, User("zoe")), (PHYSICS, CLIMATE), "user zoe loses @physics; who writes to physics: without zoe", ["zoe"]),
        ((ALICE, replace(ZOE, reads=("physics",))), (PHYSICS, CLIMATE), "who reads physics: with zoe", ["zoe"]),
        ((ALICE, ZOE), (PHYSICS,), "shared: climate, physics -> physics", ["alice", "zoe"]),
        ((ALICE, ZOE), (PHYSICS, replace(CLIMATE, users=("zoe",))), "who reads climate: everybody -> zoe", ["alice"]),
        ((ALICE, ZOE), (PHYSICS, replace(CLIMATE, volume="rain")), "what climate is: climate-2024 -> rain", ["alice", "zoe"]),
        ((ALICE, ZOE), (PHYSICS, replace(CLIMATE, kinds=("large",))), "kinds of servers with climate: all -> large",
         ["alice", "zoe"]),
    ],
)  # fmt: skip
def test_a_plan_says_what_is_shared_with_whom(
    found: Settings, users: tuple[User, ...], folders: tuple[Folder, ...], cause: str, outdated: list[str]
) -> None:
    before = drawn_blueprint(replace(found, users=(ALICE, ZOE), folders=(PHYSICS, CLIMATE)))
    snapshot = replace(up(before), servers=(server(before, "alice"), server(before, "zoe")))
    assert reconcile.reconcile(before, snapshot) == Plan(())
    drawn = reconcile.reconcile(drawn_blueprint(replace(found, users=users, folders=folders)), snapshot)
    assert cause in str(drawn)
    assert [(one.users, one.cause) for one in drawn.pending] == [(tuple(outdated), "the settings of servers changed")]
    assert not drawn.loses


@pytest.mark.parametrize(("owner", "steps"), [(0, 1), (1000, 0), (1234, 0)])
def test_a_folder_belongs_to_users_also_after_a_run_that_was_killed(found: Settings, owner: int, steps: int) -> None:
    drawn = drawn_blueprint(replace(found, users=(ALICE,), folders=(PHYSICS, CLIMATE)))
    from_nothing = [str(step.operation) for step in reconcile.reconcile(drawn, empty()).steps]
    at = from_nothing.index("volume lab-shared-physics exists")
    assert from_nothing[at + 1] == "volume lab-shared-physics belongs to UID 1000"
    assert "climate" not in str(from_nothing)
    volumes = {**up(drawn).volumes}
    volumes["lab-shared-physics"] = replace(volumes["lab-shared-physics"], owner=owner)
    made = reconcile.reconcile(drawn, replace(up(drawn), volumes=volumes))
    assert len(made.steps) == steps


@pytest.mark.parametrize(
    ("secrets", "cause", "pending"),
    [
        ({"KEY": "canary-2"}, "KEY of large changed", ["KEY of large changed"]),
        ({"KEY": "canary-1", "NEW": "canary-3"}, "NEW of large is new", ["the settings of servers changed"]),
        ({"NEW": "canary-1"}, "KEY of large is not used any more", ["the settings of servers changed"]),
        ({"KEY": "canary-1"}, "", []),
    ],
)
def test_a_plan_says_which_secret_of_servers_changed_and_who_still_has_the_old_one(
    found: Settings, secrets: dict[str, str], cause: str, pending: list[str]
) -> None:
    def with_secrets(values: dict[str, str]) -> Settings:
        large = replace(LARGE, secrets=tuple(sorted(values)))
        return replace(found, kinds=(SMALL, large), server_secrets={name: Secret(one) for name, one in values.items()})

    before = drawn_blueprint(with_secrets({"KEY": "canary-1"}))
    alice = replace(server(before, "alice", "large"), variables={"KEY": Secret("canary-1")})
    snapshot = replace(up(before), servers=(alice, server(before, "kaben", "small")))
    drawn = reconcile.reconcile(drawn_blueprint(with_secrets(secrets)), snapshot)
    assert cause in str(drawn)
    assert [(one.users, one.cause) for one in drawn.pending] == [(("alice",), one) for one in pending]
    assert "canary" not in str(drawn)
    assert not drawn.loses
    # The next plan says so too, until the server was started anew.
    later = replace(up(drawn_blueprint(with_secrets(secrets))), servers=snapshot.servers)
    assert reconcile.reconcile(drawn_blueprint(with_secrets(secrets)), later).pending == drawn.pending


def test_a_secret_that_all_kinds_have_is_named_once(found: Settings) -> None:
    before, after = (
        ServerSecrets({kind: {"KEY": Secret(value)} for kind in ("small", "large")})
        for value in ("canary-1", "canary-2")
    )
    cause = comparison.differences("server-secrets.json", Secret(to_bytes(before)), after)
    assert cause == "KEY of large, small changed"


def test_the_images_of_all_kinds_are_pulled_and_built_and_each_user_learns_of_their_own(found: Settings) -> None:
    before = drawn_blueprint(dataclasses.replace(found, kinds=(SMALL, replace(LARGE, users=None))))
    servers = tuple(server(before, *who) for who in (("alice", "large"), ("bob", "small"), ("carol", "large")))
    kinds = (replace(SMALL, image="a/b:1"), replace(LARGE, users=None, image="minimal-notebook"))
    drawn = reconcile.reconcile(
        drawn_blueprint(dataclasses.replace(found, kinds=kinds)), dataclasses.replace(up(before), servers=servers)
    )
    text = "\n".join(line for line in str(drawn).splitlines() if "container" not in line)
    text = re.sub("[0-9a-f]{12}", "CONTENT", text).replace("a/b:1 and lab/minimal-notebook:latest", "IMAGES")
    assert (
        text
        == """\
  1. image a/b:1 is pulled - it is not on the engine; then its JupyterHub is compared with the hub's
  2. image lab/minimal-notebook:CONTENT is built - it does not exist
  3. a canary's server answers, on IMAGES - images IMAGES are new
  4. image lab/minimal-notebook:latest is lab/minimal-notebook:CONTENT - its content is new
     users: the filter restarts, new servers wait for it
     users: the hub restarts, sessions go on
     users: bob picks it up at their next start - image a/b:1 is new
     users: 2 users pick it up at their next start (alice, carol) - image lab/minimal-notebook:latest is new
     users: 3 users pick it up at their next start (alice, bob, carol) - the settings of servers changed"""
    )


def test_kinds_that_somebody_wrote_leave_servers_of_before_alone(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice", "default"),))
    drawn = reconcile.reconcile(
        drawn_blueprint(dataclasses.replace(found, kinds=(replace(SMALL, memory=UNSET),))), snapshot
    )
    assert "kinds of servers: default -> small" in str(drawn)
    assert drawn.pending == ()


def test_a_change_to_accounts_says_once_that_users_need_links(found: Settings) -> None:
    accounts = drawn_blueprint(dataclasses.replace(found, authenticator="accounts"))
    assert findings(accounts, up(drawn_blueprint(found))) == [
        "AUTHENTICATOR: shared-password -> accounts: each user needs a link to choose a password\n"
        "  do:     after up, ./invoke invite --all FILE writes the links; files and running servers of these users stay"
    ]
    assert findings(accounts, up(accounts)) == findings(accounts, empty()) == []


@pytest.mark.parametrize("key", declarations())
def test_no_plan_speaks_of_the_contracts_fields(found: Settings, key: str) -> None:
    before = up(drawn_blueprint(found))
    for other in islice(others(found, key), 3):
        text = str(reconcile.reconcile(drawn_blueprint(other), before))
        assert re.findall(r"\b(?:kinds|hub|login|proxy|secrets)\.[a-z_.]+: ", text) == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"client_id": "b"}, "OIDC_CLIENT_ID: a -> b"),
        ({"allowed_groups": ("x", "lab 3")}, "ALLOWED_GROUPS: users of userlist alone -> x, lab 3"),
        ({"token_url": "https://id.example/2"}, "what the provider https://id.example says of itself"),
        (
            {"issuer": "https://b.example", "token_url": "https://b.example/1"},
            "everybody must log in again; OIDC_ISSUER: https://id.example -> https://b.example",
        ),
    ],
)
def test_what_changed_of_a_provider_is_said_in_the_words_of_settings(changes: dict[str, Trait], cause: str) -> None:
    traits: dict[str, Trait] = {"client_id": "a", "issuer": "https://id.example", "token_url": "https://id.example/1"}
    before, after = (hub_image.contract(Login("oidc", "oidc.OIDC", one)) for one in (traits, {**traits, **changes}))
    assert comparison.differences("contract.json", Secret(to_bytes(before)), after) == cause


def test_who_came_by_a_group_is_counted_in_when_no_group_lets_in_any_more() -> None:
    traits: dict[str, Trait] = {"client_id": "a", "allowed_groups": ("x",)}
    before = hub_image.contract(Login("oidc", "oidc.OIDC", traits))
    lose = "users who came by a group lose server and account"
    for after, cause in (
        (Login("oidc", "oidc.OIDC", {"client_id": "a"}), f"{lose}; ALLOWED_GROUPS: x -> users of userlist alone"),
        (
            Login("oidc", "oidc.OIDC", {"client_id": "a", "allowed_groups": ("y",)}),
            "users who are in none of the other groups lose server and account; ALLOWED_GROUPS: x -> y",
        ),
        (
            Login("shared-password", "x.Y", {}),
            f"everybody must log in again; {lose}; AUTHENTICATOR: oidc -> shared-password",
        ),
        (
            Login("github", "github.GitHub", {"allowed_groups": ("x",)}),
            f"everybody must log in again; {lose}; AUTHENTICATOR: oidc -> github",
        ),
    ):
        found = comparison.differences("contract.json", Secret(to_bytes(before)), hub_image.contract(after))
        assert found == cause


def test_a_changed_secret_is_named_by_its_login() -> None:
    before, after = (Secrets(Secret("p"), {"client_secret": Secret(one)}) for one in ("a", "b"))
    for login, key in (("oidc", "OIDC_CLIENT_SECRET"), ("github", "GITHUB_CLIENT_SECRET")):
        assert comparison.differences("secrets.json", Secret(to_bytes(before)), after, login) == f"{key} changed"


def test_an_admins_group_is_an_admin_enough(found: Settings) -> None:
    without = dataclasses.replace(found, users=(User("ann"),))
    assert "userlist names no admin" in "\n".join(findings(drawn_blueprint(without), empty()))
    by_group = dataclasses.replace(without, authenticator="oidc", admin_groups=("teachers",))
    assert "userlist names no admin" not in "\n".join(findings(drawn_blueprint(by_group), empty()))


def test_the_proxy_is_made_anew_for_its_address_in_the_words_of_settings(found: Settings) -> None:
    moved = dataclasses.replace(
        found, hub_host="hub.example.org", hub_port=8443, listen_port=8443, bind_address="0.0.0.0"
    )
    drawn = reconcile.reconcile(drawn_blueprint(moved), up(drawn_blueprint(found)))
    assert drawn.steps[0].cause == (
        "HUB_HOST: localhost -> hub.example.org; HUB_PORT: 443 -> 8443; the address of HUB_PORT: 127.0.0.1 -> 0.0.0.0"
    )


def test_who_leaves_picks_nothing_up_and_several_are_counted(found: Settings) -> None:
    names = ["ann", "bob", "cid", "kaben"]
    before = drawn_blueprint(dataclasses.replace(found, users=tuple(User(name) for name in names)))
    snapshot = dataclasses.replace(up(before), servers=tuple(server(before, name) for name in names))
    after = dataclasses.replace(found, users=(User("bob"), User("kaben", admin=True)), pids_limit=100)
    text = str(reconcile.reconcile(drawn_blueprint(after), snapshot))
    assert "2 users removed: ann, cid; user kaben gains admin; USER_PIDS_LIMIT: 4096 -> 100" in text
    assert "users: running servers stop (2 users): ann, cid" in text
    assert "users: 2 users pick it up at their next start (bob, kaben) - the settings of servers changed" in text


def test_a_changed_password_is_named_and_not_shown(found: Settings) -> None:
    snapshot = up(drawn_blueprint(found))
    text = str(
        reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, user_password=Secret("canary-pass"))), snapshot)
    )
    assert "USER_PASSWORD changed" in text
    assert "canary" not in text


def test_a_new_certificate_restarts_nothing(found: Settings) -> None:
    text = str(reconcile.reconcile(drawn_blueprint(found, certificate=b"new"), up(drawn_blueprint(found))))
    assert text == "  1. container lab-proxy has its new files - the certificate changed"


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
    # The guard runs the hub's image too; the cause stands with the first step of several.
    assert f"image lab/{role}:latest is new" in str(drawn)
    assert f"container lab-{role} is stopped" in str(drawn)


def test_a_stopped_container_is_started_and_kept(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    stopped = dataclasses.replace(snapshot.containers["lab-hub"], state="exited")
    text = str(
        reconcile.reconcile(
            drawn, dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": stopped})
        )
    )
    assert text == "  1. container lab-hub is started - it does not run\n  2. container lab-hub is healthy"


def test_strangers_under_derived_names_are_all_found_at_once_with_the_setting(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    other = NetworkState("1", "lab-network", {labels.DEPLOYMENT: "other"}, None, None)
    snapshot = empty(volumes={"lab-data": VolumeState("lab-data", {})}, networks={"lab-network": other})
    assert findings(drawn, snapshot) == [
        """\
the network lab-network belongs to the deployment other
  wanted: a network of our own under the name lab-network
  do:     set DOCKER_NETWORK_NAME=lab-network to use it as it is, or rename or remove it, or set another \
DOCKER_MACHINE_NAME""",
        """\
the volume lab-data was not made by this deployment
  wanted: a volume of our own under the name lab-data
  do:     set DATA_VOLUME_HOST=lab-data to use it as it is, or rename or remove it, or set another DOCKER_MACHINE_NAME""",
    ]


def test_a_port_is_taken_by_another_container_or_program_but_not_by_our_own(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    taken = empty(port_holders={("0.0.0.0", 443): ("stranger",)})
    assert findings(drawn, taken)[0].splitlines()[0] == "port 443 is taken by the container stranger"
    assert findings(drawn, empty(port_holders={("127.0.0.1", 443): ("lab-proxy",)})) == []
    assert findings(drawn, empty(port_holders={("192.0.2.1", 443): ("stranger",)})) == []
    program = Evidence(listeners={("127.0.0.1", 443): "nginx (pid 7)"})
    assert findings(drawn, empty(), program)[0].splitlines()[0] == "port 443 is taken by nginx (pid 7)"
    assert checks.ports_to_bind(reconcile.reconcile(drawn, empty()), drawn, empty()) == (("127.0.0.1", 443),)


def test_a_full_disk_refuses_what_is_built_only(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    full = EngineFacts("28.5", MEMORY, 10**9, True)
    assert findings(drawn, empty(engine=full))[0].splitlines()[0] == "the engine's disk has 1.0 GB left"
    assert findings(drawn, dataclasses.replace(up(drawn), engine=full)) == []


def test_limits_beyond_the_host_are_a_caution(found: Settings) -> None:
    drawn = drawn_blueprint(dataclasses.replace(found, memory_limit=2 * MEMORY, cpu_limit=8.0))
    snapshot = dataclasses.replace(up(drawn), engine=EngineFacts("28.5", MEMORY, None, True, cpus=2))
    assert findings(drawn, snapshot) == [
        "USER_MEMORY_LIMIT is 16.0 GiB, the engine has 8.0\n  do:     one server can take all memory: set less",
        "USER_CPU_LIMIT is 8, the engine has 2 CPUs\n  do:     one server can take all CPUs: set less",
    ]


@pytest.mark.parametrize(
    ("after", "cause", "pending"),
    [
        (("0",), "GPUS: 0, 1 -> 0", [("alice",)]),
        (("1", "0", "2"), "GPUS: 0, 1 -> 1, 0, 2", []),
        (None, "GPUS: 0, 1 -> none", [("alice",), ("alice",)]),
    ],
)
def test_a_plan_says_whose_card_is_none_any_more(
    found: Settings, after: tuple[str, ...] | None, cause: str, pending: list[tuple[str, ...]]
) -> None:
    """They keep it until their server stops. Where there are no cards any more, a new server is not kept from them."""
    kinds = (SMALL, replace(LARGE, gpus=1))
    before = drawn_blueprint(replace(found, kinds=kinds, cards=("0", "1")))
    alice = server(before, "alice", "large")
    alice = replace(alice, labels={**alice.labels, labels.CARDS: "1"})
    snapshot = replace(up(before), servers=(alice,))
    drawn = reconcile.reconcile(drawn_blueprint(replace(found, kinds=kinds, cards=after)), snapshot)
    assert cause in str(drawn)
    assert [one.users for one in drawn.pending] == pending
    assert not pending or drawn.pending[-1].cause == "GPUS does not name their card any more"


def test_cards_that_the_engine_cannot_hand_out_are_a_caution(found: Settings) -> None:
    known = {"ServerVersion": "28.5", "MemTotal": MEMORY}
    nvidias: dict[str, Any] = {"Runtimes": {"runc": {}, "nvidia": {}}}
    devices: dict[str, Any] = {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}
    path = "/dev/dri/renderD128"

    def cautions(card: str, evidence: Evidence | None = None, gpus: int = 1, **info: Any) -> list[str]:
        drawn = drawn_blueprint(replace(found, cards=(card,), kinds=(replace(SMALL, gpus=gpus),)))
        engine = observe.engine_facts({**known, **info}, local=False)
        return [one.splitlines()[0] for one in findings(drawn, replace(up(drawn), engine=engine), evidence)]

    assert cautions("0", **nvidias) == cautions("nvidia.com/gpu=0", **devices) == cautions(path) == []
    assert cautions("0", **devices) == [
        "GPUS names NVIDIA's card 0, and the engine knows no NVIDIA runtime: servers with a card may not start"
    ]
    assert cautions("nvidia.com/gpu=1", **devices) == [
        "GPUS names nvidia.com/gpu=1, and the engine (28.5) has found no such device: servers with it may not start"
    ]
    assert cautions(path, Evidence(no_devices=(path,))) == [
        "GPUS names /dev/dri/renderD128, and there is no such device: servers with it do not start"
    ]
    assert cautions(path, gpus=0) == ["GPUS names cards, and no kind of servers has any"]


def test_course_material_without_an_image_of_ours_is_a_caution(found: Settings) -> None:
    of_others = dataclasses.replace(found, notebook_image="quay.io/jupyter/base-notebook:latest")
    courses = ("https://github.com/physics/*",)

    def cautions(settings: Settings) -> list[str]:
        drawn = drawn_blueprint(settings)
        return [one for one in findings(drawn, up(drawn)) if "COURSE_REPOSITORIES" in one]

    assert len(cautions(dataclasses.replace(of_others, course_repositories=courses))) == 1
    assert cautions(of_others) == cautions(dataclasses.replace(found, course_repositories=courses)) == []


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "rootless"),
        ({"OperatingSystem": "Docker Desktop", "SecurityOptions": None}, "Docker Desktop"),
    ],
)
def test_an_engine_on_which_the_walls_were_not_tried_is_named(found: Settings, info: dict[str, Any], kind: str) -> None:
    drawn = drawn_blueprint(found)
    known = {"ServerVersion": "28.5", "MemTotal": MEMORY}
    facts = observe.engine_facts({**known, **info}, local=False)
    (caution,) = findings(drawn, dataclasses.replace(up(drawn), engine=facts))
    assert caution.startswith(f"the engine is {kind}: ")
    assert findings(drawn, dataclasses.replace(up(drawn), engine=observe.engine_facts(known, local=False))) == []


def test_an_engine_that_labels_containers_is_refused(found: Settings) -> None:
    known = {"ServerVersion": "28.5", "MemTotal": MEMORY, "SecurityOptions": ["name=selinux", "name=cgroupns"]}
    drawn = drawn_blueprint(found)
    (problem,) = findings(drawn, dataclasses.replace(up(drawn), engine=observe.engine_facts(known, local=False)))
    assert problem.startswith("the engine labels containers by SELinux, which keeps the filter from the engine")


def test_a_plan_names_what_the_guard_opens(found: Settings) -> None:
    snapshot = up(drawn_blueprint(found))
    allowed = dataclasses.replace(found, allowed_networks=("10.1.2.0/24", "db.example.org:5432"))
    text = str(reconcile.reconcile(drawn_blueprint(allowed), snapshot))
    assert text.startswith(
        "  1. container lab-guard is stopped - ALLOWED_NETWORKS: none -> 10.1.2.0/24, db.example.org:5432\n"
        "     users: the guard restarts, new servers wait for it\n"
    )
    back = str(reconcile.reconcile(drawn_blueprint(found), up(drawn_blueprint(allowed))))
    assert "ALLOWED_NETWORKS: 10.1.2.0/24, db.example.org:5432 -> none" in back


def test_a_plan_names_what_the_guard_opens_to_a_kind_and_whose_servers_wait_for_it(found: Settings) -> None:
    def of(*networks: str) -> Blueprint:
        return drawn_blueprint(replace(found, kinds=(SMALL, replace(LARGE, networks=networks))))

    before = of("10.1.2.0/24")
    has, fewer = server(before, "alice", "large"), of()
    has = replace(has, labels={**has.labels, labels.NETWORKS: mac_addresses.of_networks(["10.1.2.0/24"])})
    snapshot = replace(up(before), servers=(has, server(before, "zoe", "small")))

    def plan(wanted: Blueprint) -> tuple[str, str]:
        drawn = reconcile.reconcile(wanted, snapshot)
        waiting = [one.users for one in drawn.pending if "networks" in one.cause]
        return next((one.cause for one in drawn.steps if "lab-guard" in str(one.operation)), ""), str(waiting)

    assert plan(before) == ("", "[]")
    assert plan(of("10.1.2.0/24", "db")) == ("networks of large: 10.1.2.0/24 -> 10.1.2.0/24, db", "[('alice',)]")
    assert plan(fewer) == ("networks of large: 10.1.2.0/24 -> none", "[]")


def test_a_plan_names_what_the_guard_opens_for_an_authority(found: Settings) -> None:
    signed = dataclasses.replace(found, acme_email="a@b.example", acme_server="https://10.1.2.3:14000/dir")
    text = str(reconcile.reconcile(drawn_blueprint(signed), up(drawn_blueprint(found))))
    assert "where hub and proxy ask for logins and certificates: none -> 10.1.2.3:14000" in text


def test_another_deployment_that_holds_the_port_is_named_with_how_to_stop_it(found: Settings) -> None:
    snapshot = empty(
        port_holders={("0.0.0.0", 443): ("old-proxy",)}, neighbours={"old": Neighbour(("old-hub", "old-proxy"))}
    )
    assert findings(drawn_blueprint(found), snapshot) == [
        "port 443 is taken by the container old-proxy of the deployment old\n"
        "  wanted: port 443 on 127.0.0.1 for the proxy\n"
        "  do:     stop that deployment (DOCKER_MACHINE_NAME=old ./invoke down), or set another HUB_PORT in .env"
    ]


def test_a_new_name_is_warned_of_the_users_volumes_of_another_deployment(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    old = {"old": Neighbour((), ("old-user-ann", "old-user-bob")), "empty": Neighbour(("empty-hub",))}
    assert findings(drawn, empty(neighbours=old)) == [
        "other deployments on this engine hold users' volumes: old (2); lab is new and begins without\n"
        "  do:     if this deployment had one of these names, set DOCKER_MACHINE_NAME back to it"
    ]
    assert findings(drawn, dataclasses.replace(up(drawn), neighbours=old)) == []


def test_users_volumes_that_the_template_names_are_used_and_need_no_warning(found: Settings) -> None:
    theirs = VolumeState("old-user-ann", {labels.DEPLOYMENT: "old", labels.UID: "1000"}, users=True)
    snapshot = empty(volumes={theirs.name: theirs}, neighbours={"old": Neighbour((), (theirs.name,))})
    assert findings(drawn_blueprint(dataclasses.replace(found, user_volume="old-user-{username}")), snapshot) == []


def test_users_volumes_that_are_taken_over_need_no_warning_of_other_deployments(found: Settings) -> None:
    """Found on an engine with other deployments: the plan of a takeover began with the warning."""
    older = VolumeState("jupyterhub-user-ann", {}, users=True)
    snapshot = empty(volumes={older.name: older}, neighbours={"other": Neighbour((), ("other-user-bob",))})
    assert (
        findings(drawn_blueprint(dataclasses.replace(found, user_volume="jupyterhub-user-{username}")), snapshot) == []
    )


def test_volumes_that_a_prune_would_take_are_counted_where_the_engine_takes_them(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    volumes = (
        VolumeState("lab-user-ann", {}, users=True, held=False),
        VolumeState("lab-user-bob", OWN, held=False),
        VolumeState("lab-user-eve", OWN, held=True),
        VolumeState("lab-user-of-others", {labels.DEPLOYMENT: "other"}, held=False),
    )
    snapshot = dataclasses.replace(up(drawn), volumes={**up(drawn).volumes, **{one.name: one for one in volumes}})
    assert findings(drawn, snapshot) == []
    prunes = dataclasses.replace(snapshot.engine, version="20.10", prunes_named=True)
    (caution,) = findings(drawn, dataclasses.replace(snapshot, engine=prunes))
    assert caution.startswith(
        "`docker volume prune` on this engine (20.10) would remove 2 of this deployment's volumes, such as lab-user-ann,"
    )
    assert findings(drawn, dataclasses.replace(up(drawn), engine=prunes)) == []


def test_a_list_without_an_admin_is_a_caution(found: Settings) -> None:
    drawn = drawn_blueprint(dataclasses.replace(found, users=found.users[1:]))
    (caution,) = findings(drawn, up(drawn))
    assert caution.startswith("userlist names no admin")


def test_users_volumes_of_another_number_are_named_with_the_way_out(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    theirs = VolumeState("lab-user-ann", {}, users=True)
    assert checks.doubtful_volumes(drawn, empty(volumes={"lab-user-ann": theirs})) == ("lab-user-ann",)
    served = dataclasses.replace(up(drawn), volumes={**up(drawn).volumes, "lab-user-ann": theirs})
    assert checks.doubtful_volumes(drawn, served) == ()
    (problem,) = findings(drawn, empty(), Evidence(owners={"lab-user-ann": 1500}))
    assert problem.startswith("1 volumes belong to another number: lab-user-ann (of 1500)")
    assert "set NB_UID=1500, or stop these servers" in problem


def test_a_brought_certificate_that_ends_soon_is_a_caution_and_a_wrong_one_a_problem(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    assert findings(drawn, up(drawn), Evidence(brought_days=31)) == []
    assert "expires in 30 days" in findings(drawn, up(drawn), Evidence(brought_days=30))[0]
    wrong = Problem("lab.crt", "", "expired on 2026-01-01", "a certificate that is valid today", "bring one")
    assert findings(drawn, up(drawn), Evidence(certificate=(wrong,))) == [str(wrong)]


def test_an_expired_certificate_keeps_nobody_from_losing_access(found: Settings) -> None:
    before = drawn_blueprint(found)
    after = drawn_blueprint(dataclasses.replace(found, users=found.users[:1]))
    plan, caution = expired(after, up(before))
    assert plan == reconcile.reconcile(after, up(before))
    assert {step.operation.name for step in plan.steps if isinstance(step.operation, op.ContainerStarted)} == {
        "lab-hub"
    }
    assert str(caution).startswith("lab.crt expired on 2026-01-01: browsers refuse it or warn")


@pytest.mark.parametrize("proxy", ["serves another", "is gone", "is down", "has another port"])
def test_no_step_serves_an_expired_certificate_and_the_others_go_on(found: Settings, proxy: str) -> None:
    before = drawn_blueprint(found, certificate=b"valid" if proxy == "serves another" else b"crt")
    containers = dict(up(before).containers)
    if proxy == "is gone":
        del containers["lab-proxy"]
    elif proxy == "is down":
        containers["lab-proxy"] = dataclasses.replace(containers["lab-proxy"], state="exited")
    snapshot = dataclasses.replace(up(before), containers=containers)
    changed = dataclasses.replace(found, users=found.users[:1], listen_port=8443 if "port" in proxy else 443)
    plan, caution = expired(drawn_blueprint(changed), snapshot)
    assert "container lab-hub is started" in str(plan)
    assert "lab-proxy" not in str(plan)
    assert "it is not served anew, so the proxy stays as it is" in str(caution)


def test_an_expired_certificate_is_refused_where_no_hub_is_yet_and_where_the_proxy_would_be_cut_off(
    found: Settings,
) -> None:
    assert isinstance(expired(drawn_blueprint(found), empty())[1], Problem)
    moved = drawn_blueprint(dataclasses.replace(found, network_name="lab-other"))
    plan, problem = expired(moved, up(drawn_blueprint(found)))
    assert isinstance(problem, Problem)
    assert plan == reconcile.reconcile(moved, up(drawn_blueprint(found)))


def expired(drawn: Blueprint, snapshot: Snapshot) -> tuple[Plan, Problem | Caution]:
    plan = reconcile.reconcile(drawn, snapshot)
    return without_serving(plan, drawn, snapshot, b"crt", "lab.crt expired on 2026-01-01")


def test_pulls_come_first_as_a_plan_of_their_own(found: Settings) -> None:
    drawn = reconcile.reconcile(drawn_blueprint(found), empty(images={}))
    assert (
        str(drawn.pulls)
        == """\
first, as all else depends on it:
  1. image debian:12 is pulled - it is not on the engine"""
    )


def test_removal_takes_children_before_parents_and_no_volume(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    older = image_state("a", {**OWN, labels.REPOSITORY: "lab/a"}, "lab/a:1")
    newer = image_state("b", {**OWN, labels.REPOSITORY: "lab/b"}, "lab/b:1")
    newer = dataclasses.replace(newer, created=datetime(2026, 2, 1, tzinfo=UTC))
    snapshot = dataclasses.replace(up(drawn), own_images=(older, newer))
    text = str(removal.removal(snapshot, "lab", volumes=False))
    assert text.index("lab/b:1") < text.index("lab/a:1")
    assert text.index("lab-hub") < text.index("network lab-network")
    assert "volume" not in text
    assert "volume lab-data is removed" in str(removal.removal(snapshot, "lab", volumes=True))


def test_the_guard_stops_when_no_server_is_left_that_it_holds(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(drawn), servers=(server(drawn, "alice"),))
    for plan in (removal.removal(snapshot, "lab", volumes=False), removal.stopping(snapshot, "lab", servers=True)):
        text = str(plan)
        assert text.index("lab-hub is") < text.index("lab-user-alice is") < text.index("lab-guard is stopped")


def test_the_filter_stops_in_peace_before_it_is_removed(found: Settings) -> None:
    """So it removes the container of a job that runs."""
    text = str(removal.removal(up(drawn_blueprint(found)), "lab", volumes=False))
    assert text.index("lab-filter is stopped") < text.index("lab-filter is removed")


def test_a_plan_names_the_jobs_that_change_and_no_job_is_a_component(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    text = str(reconcile.reconcile(drawn_blueprint(dataclasses.replace(found, hub_path="/lab/")), snapshot))
    assert "container lab-clock is stopped - jobs: login-page\n     users: the clock restarts\n" in text
    for changed in (
        dataclasses.replace(found, user_volume="files-of-{username}"),
        dataclasses.replace(found, timezone="Asia/Tokyo"),
    ):
        text = str(reconcile.reconcile(drawn_blueprint(changed), snapshot))
        assert "container lab-clock is stopped" in text
        assert "container lab-filter is stopped" in text
    carried = {**OWN, labels.ROLE: labels.JOB}
    job = ContainerState("", "lab-job-free-disk", "sha256:hub", "running", "Up", carried, {})
    during = dataclasses.replace(snapshot, containers={**snapshot.containers, job.name: job})
    assert str(reconcile.reconcile(drawn, during)) == "nothing to do"
    assert job not in during.components
    assert "container lab-job-free-disk is removed" in str(removal.removal(during, "lab", volumes=False))


def test_a_label_that_is_no_json_is_no_bug(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = up(drawn)
    hub = snapshot.containers["lab-hub"]
    broken = dataclasses.replace(hub, labels={**hub.labels, labels.SHAPE: "[]"}, files={})
    text = str(
        reconcile.reconcile(drawn, dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": broken}))
    )
    assert "contract.json was never written" in text
    assert json.loads(hub.labels[labels.SHAPE])["ports"] == ""


def test_a_foreign_image_that_is_built_on_ours_is_not_removed(found: Settings) -> None:
    inherited = {**OWN, labels.ROLE: "image:base-notebook", labels.REPOSITORY: "lab/base-notebook"}
    theirs = image_state("c", inherited, "theirs/notebook:1", "theirs/base-notebook:1")
    snapshot = dataclasses.replace(up(drawn_blueprint(found)), own_images=(theirs,))
    assert "theirs" not in str(removal.removal(snapshot, "lab", volumes=False))


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


def test_sudo_taken_away_waits_for_the_next_start_and_the_plan_says_so(found: Settings) -> None:
    before = drawn_blueprint(found)
    alice = server(before, "alice")
    alice = dataclasses.replace(alice, labels={**alice.labels, labels.SUDO: "yes"})
    drawn = reconcile.reconcile(before, dataclasses.replace(up(before), servers=(alice,)))
    assert str(drawn).splitlines()[-1].endswith("alice picks it up at their next start - the right to use sudo changed")
