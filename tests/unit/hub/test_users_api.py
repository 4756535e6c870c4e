"""The hub's API of users, asked as the admin page asks it: against a real JupyterHub with our handlers in front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import LiveHub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub")) as started:
        yield started


def test_a_tick_at_admin_keeps_the_users_name(hub: LiveHub) -> None:
    assert hub.call("PATCH", "/users/ann", json={"name": "ann", "admin": True}).status_code == 200
    assert hub.call("GET", "/users/ann").json()["admin"] is True
    assert hub.users() >= {"ann", "bob", "kaben"}


def test_jupyterhub_still_needs_the_guard(tmp_path: Path) -> None:
    """If this fails, JupyterHub keeps an unchanged name by itself: take the guard out of users.py."""
    with live_hub.running(tmp_path, application="jupyterhub.app.JupyterHub") as unguarded:
        unguarded.call("PATCH", "/users/ann", json={"name": "ann", "admin": True})
        assert unguarded.call("GET", "/users/ann").status_code == 404
        assert None in unguarded.users()


def test_a_user_can_still_be_renamed(hub: LiveHub) -> None:
    hub.call("POST", "/users", json={"usernames": ["before"]}).raise_for_status()
    assert hub.call("PATCH", "/users/before", json={"name": "after", "admin": False}).status_code == 200
    assert hub.users() >= {"after"}
    assert hub.call("GET", "/users/before").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"usernames": ["fits", "a" * 250]}),
        ("POST", f"/users/{'a' * 250}", None),
        ("PATCH", "/users/bob", {"admin": True, "name": "a" * 250}),
    ],
)
def test_a_name_that_cannot_start_is_refused_and_nothing_is_changed(
    hub: LiveHub, method: str, path: str, body: dict[str, object] | None
) -> None:
    before = hub.call("GET", "/users").json()
    answer = hub.call(method, path, json=body)
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        f"The name {'a' * 40}… is too long by 4 characters: the engine could not make the user's volume."
        " Choose a shorter name.",
    )
    assert [(user["name"], user["admin"]) for user in hub.call("GET", "/users").json()] == [
        (user["name"], user["admin"]) for user in before
    ]


def test_the_length_of_a_name_counts_as_the_volumes_name_spells_it() -> None:
    obstacle = hub_image.load("users").obstacle
    assert obstacle("a" * 245, ["lab-user-{username}"]) == obstacle("a.b", ["lab-{raw_username}"]) == ""
    # Each é is six characters there.
    assert "too long by 4 characters" in obstacle("é" * 41 + "aaaa", ["lab-user-{username}"])
    assert "letters, digits" in obstacle("ann lee", ["lab-{username}", "lab-{raw_username}"])
