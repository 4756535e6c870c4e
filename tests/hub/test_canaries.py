"""No secret leaks: marked values are planted, and looked for in everything that others can see."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from hubdeploy import family
from hubdeploy.blueprint import contexts
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract.documents import SERVER_SECRETS_FILE
from tests.hub.clone import Clone
from tests.hub.conftest import canary
from tests.hub.person import Person

# The files of the checkout that hold secrets; the hub's own file is in its container only.
_MEANT_FOR_SECRETS = (".env.local", "jupyterhub/secrets/")
_LOOKING = (
    ["config"], ["plan"], ["status"], ["check-files"], ["logs", "--no-follow"], ["logs", "--proxy", "--no-follow"],
)  # fmt: skip


# Linus has the kind with MODEL_KEY, grace has not.
_KINDS = """
secrets: [SHARED_TOKEN]
kinds:
  small: {title: Small}
  large: {title: Large, users: [linus], secrets: [MODEL_KEY]}
"""


@pytest.fixture(scope="module")
def kinds_hub(hub: Clone, new_clone: Callable[..., Clone]) -> Clone:
    """A deployment whose users' servers have secrets."""
    passwords = {"USER_PASSWORD": canary("user"), "ADMIN_PASSWORD": canary("admin")}
    made = new_clone(
        "boss admin\nlinus\ngrace\n", **passwords, MODEL_KEY=canary("model"), SHARED_TOKEN=canary("shared")
    )
    (made.root / "servers.yml").write_text(_KINDS)
    made.share_images_of(hub)
    made.up()
    return made


@pytest.fixture(scope="module", params=["shared-password", "github", pytest.param("kinds", marks=pytest.mark.slow)])
def deployed(request: pytest.FixtureRequest) -> Clone:
    """A deployment of each login, and one with secrets of servers, with a user's server that runs, after one run of every
    command that changes nothing."""
    if request.param == "github":
        found: Clone = request.getfixturevalue("github_hub")
        person = found.person("hubot")
        answer = person.log_in_with_github()
    else:
        found = request.getfixturevalue("kinds_hub" if request.param == "kinds" else "hub")
        person = found.person("linus")
        answer = person.log_in(found.user_password)
    assert answer.status_code == 200
    person.take_token()
    if found.settings.kinds:
        asked = {"kind": "large"}
        person.call("POST", "/hub/api/users/linus/server", json=asked).raise_for_status()
    person.start_server()
    for words in _LOOKING:
        found.invoke(*words)
    found.up()
    return found


def test_no_secret_is_printed(deployed: Clone) -> None:
    _assert_absent(deployed, {"output of all commands": "\n".join(deployed.printed)})


def test_a_changed_secret_is_planned_without_being_shown(deployed: Clone) -> None:
    local = deployed.settings.local_path
    before = local.read_text()
    by_github, marked = deployed.settings.login.personal, canary("changed")
    key = "GITHUB_CLIENT_SECRET" if by_github else "MODEL_KEY" if deployed.settings.kinds else "USER_PASSWORD"
    old = _secrets(deployed)[key]
    local.write_text(before.replace(f"{key}={old}", f"{key}={marked}"))
    try:
        planned = deployed.invoke("plan")
    finally:
        local.write_text(before)
    assert (f"{key} of large changed" if key == "MODEL_KEY" else f"{key} changed") in planned
    assert ("linus picks it up at their next start" in planned) == (key == "MODEL_KEY")
    assert marked not in planned
    assert old not in planned


def test_no_secret_is_in_what_the_engine_shows(deployed: Clone) -> None:
    shown = dict(_shown_by_engine(deployed))
    servers = [one.name for one in deployed.containers() if one.name and "-user-" in one.name]
    assert servers
    assert {deployed.settings.hub_name, deployed.settings.proxy_name, *servers} <= shown.keys()
    assert all(deployed.name in text for text in shown.values())
    _assert_absent(deployed, shown)


@pytest.mark.slow
@pytest.mark.parametrize("deployed", ["kinds"], indirect=True)
def test_a_secret_of_servers_is_with_its_kind_and_in_one_volume(deployed: Clone) -> None:
    given = {name: secret.reveal() for name, secret in deployed.settings.server_secrets.items()}
    assert _variables(deployed, "linus").items() >= given.items()
    grace = deployed.person("grace")
    assert grace.log_in(deployed.user_password).ok
    grace.take_token()
    grace.start_server()
    others = _variables(deployed, "grace")
    assert (others["SHARED_TOKEN"], "MODEL_KEY" in others) == (given["SHARED_TOKEN"], False)
    assert not any(given["MODEL_KEY"] in value for value in others.values())

    # All volumes of ours, the hub's database among them.
    own = {"label": f"hubdeploy.deployment={deployed.name}"}
    mounted = {one.name: {"bind": f"/v/{one.name}", "mode": "ro"} for one in deployed.client.volumes.list(filters=own)}
    assert len(mounted) > 10
    image = deployed.settings.image_reference("hub")
    for value in given.values():
        found = deployed.client.containers.run(
            image,
            ["grep", "-rlF", value, "/v"],
            entrypoint="",
            volumes=mounted,
            user="0",
            network_mode="none",
            remove=True,
        )
        assert found.decode().split() == [f"/v/{deployed.settings.server_secrets_volume}/server-secrets.json"]


def _variables(deployed: Clone, user: str) -> dict[str, str]:
    lines = deployed.container(deployed.server_name(user)).attrs["Config"]["Env"]
    return dict(line.split("=", 1) for line in lines)


def test_no_secret_is_in_a_build_context(deployed: Clone) -> None:
    read = Deployment(deployed.root, deployed.environ).contexts(tuple(family.FAMILY))
    assert all(context.files for context in read.values())
    _assert_absent(
        deployed, {f"{name}/{one.name}": _content(one) for name, context in read.items() for one in context.files}
    )


def test_every_secret_is_in_the_files_meant_for_it_and_in_no_other(deployed: Clone) -> None:
    files = {str(path.relative_to(deployed.root)): _text(path) for path in _files(deployed.root)}
    meant = {name: text for name, text in files.items() if name.startswith(_MEANT_FOR_SECRETS)}
    _assert_absent(deployed, {name: text for name, text in files.items() if name not in meant})
    for key, secret in _secrets(deployed).items():
        if key != "PROXY_API_PASSWORD":  # generated for hub and proxy, and kept in their containers only
            assert any(secret in text for text in meant.values()), f"{key} is not where it is meant to be"


def test_no_secret_reaches_a_users_server(hub: Clone, logged_in: Callable[[str], Person]) -> None:
    person = logged_in("linus")
    person.start_server()
    kernel = person.open_kernel()
    look = "import os, pathlib; print(dict(os.environ)); print(pathlib.Path('/proc/1/environ').read_bytes())"
    _assert_absent(hub, {"environment of a server": kernel.run(look)})
    kernel.close()


def test_files_that_hold_secrets_are_closed_to_others(deployed: Clone) -> None:
    for path in (deployed.settings.local_path, deployed.settings.key_path):
        assert path.stat().st_mode & 0o077 == 0, path
    status, output = deployed.container(deployed.settings.hub_name).exec_run(
        ["stat", "-c", "%a", "/srv/jupyterhub/documents/secrets.json"]
    )
    assert (status, output) == (0, b"600\n")
    _, about = deployed.container(f"{deployed.name}-filter").get_archive(SERVER_SECRETS_FILE)
    assert about
    assert about["mode"] & 0o777 == 0o600


def _secrets(deployed: Clone) -> dict[str, str]:
    """Every secret of the deployment by name; the key by its first line of real content."""
    found = deployed.settings
    given = {
        "USER_PASSWORD": deployed.user_password,
        "ADMIN_PASSWORD": deployed.admin_password,
        "GITHUB_CLIENT_SECRET": found.github_client_secret.reveal() if found.github_client_secret else "",
        "PROXY_API_PASSWORD": deployed.secrets_of_hub()["proxy_api_password"],
        "TLS_KEY": found.key_path.read_text().splitlines()[2],
        **{name: secret.reveal() for name, secret in found.server_secrets.items()},
    }
    return {key: secret for key, secret in given.items() if secret}


def _assert_absent(deployed: Clone, places: dict[str, str]) -> None:
    """No secret in any place, as it is or encoded. The message names place and secret, never the value."""
    found = [
        f"{key} is in {place}"
        for key, secret in _secrets(deployed).items()
        for form in {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
        for place, text in places.items()
        if form in text
    ]
    assert not found, "; ".join(found)


def _shown_by_engine(deployed: Clone) -> Iterator[tuple[str, str]]:
    """Name -> all that the engine shows of it, for every object of the deployment."""
    api, own = deployed.client.api, {"label": [f"hubdeploy.deployment={deployed.name}"]}
    of_servers = [f"{name}={secret.reveal()}" for name, secret in deployed.settings.server_secrets.items()]
    for one in api.containers(all=True, filters=own):
        name = one["Names"][0].lstrip("/")
        inspected = api.inspect_container(one["Id"])
        if "-user-" in name:
            # There they belong.
            inspected["Config"]["Env"] = [line for line in inspected["Config"]["Env"] if line not in of_servers]
        yield (name, json.dumps([one, inspected, api.top(one["Id"]) if one["State"] == "running" else ""]))
    for tag in deployed.image_tags():
        yield tag, json.dumps([api.inspect_image(tag), api.history(tag)])  # type: ignore[no-untyped-call]
    for one in api.networks(filters=own):
        yield f"network {one['Name']}", json.dumps(api.inspect_network(one["Id"]))
    for one in api.volumes(filters=own)["Volumes"]:
        yield f"volume {one['Name']}", json.dumps(api.inspect_volume(one["Name"]))


def _content(file: contexts.ContextFile) -> str:
    return file.content.decode(errors="replace") if isinstance(file.content, bytes) else _text(file.content)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
