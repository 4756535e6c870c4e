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
from tests.hub.clone import Clone
from tests.hub.conftest import canary
from tests.hub.person import Person

# The files of the checkout that hold secrets; the hub's own file is in its container only.
_MEANT_FOR_SECRETS = (".env.local", "jupyterhub/secrets/")
_LOOKING = (
    ["config"], ["plan"], ["status"], ["check-files"], ["logs", "--no-follow"], ["logs", "--proxy", "--no-follow"],
)  # fmt: skip


@pytest.fixture(scope="module", params=["shared-password", "github"])
def deployed(request: pytest.FixtureRequest) -> Clone:
    """A deployment of each login, with a user's server that runs, after one run of every command that changes nothing."""
    if request.param == "github":
        found: Clone = request.getfixturevalue("github_hub")
        person = found.person("hubot")
        answer = person.log_in_with_github()
    else:
        found = request.getfixturevalue("hub")
        person = found.person("linus")
        answer = person.log_in(found.user_password)
    assert answer.status_code == 200
    person.take_token()
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
    key = "GITHUB_CLIENT_SECRET" if by_github else "USER_PASSWORD"
    old = _secrets(deployed)[key]
    local.write_text(before.replace(f"{key}={old}", f"{key}={marked}"))
    try:
        planned = deployed.invoke("plan")
    finally:
        local.write_text(before)
    assert f"{key} changed" in planned
    assert marked not in planned
    assert old not in planned


def test_no_secret_is_in_what_the_engine_shows(deployed: Clone) -> None:
    shown = dict(_shown_by_engine(deployed))
    servers = [one.name for one in deployed.containers() if one.name and "-user-" in one.name]
    assert servers
    assert {deployed.settings.hub_name, deployed.settings.proxy_name, *servers} <= shown.keys()
    assert all(deployed.name in text for text in shown.values())
    _assert_absent(deployed, shown)


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


def _secrets(deployed: Clone) -> dict[str, str]:
    """Every secret of the deployment by name; the key by its first line of real content."""
    found = deployed.settings
    given = {
        "USER_PASSWORD": deployed.user_password,
        "ADMIN_PASSWORD": deployed.admin_password,
        "GITHUB_CLIENT_SECRET": found.github_client_secret.reveal() if found.github_client_secret else "",
        "PROXY_API_PASSWORD": deployed.secrets_of_hub()["proxy_api_password"],
        "TLS_KEY": found.key_path.read_text().splitlines()[2],
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
    for one in api.containers(all=True, filters=own):
        name = one["Names"][0].lstrip("/")
        yield (
            name,
            json.dumps(
                [one, api.inspect_container(one["Id"]), api.top(one["Id"]) if one["State"] == "running" else ""]
            ),
        )
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
