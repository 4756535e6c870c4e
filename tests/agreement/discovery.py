"""Finds out by trying where a setting shows: it gets another value that its reader accepts, and the places that change
show it. Needs no list of places, so it covers a setting that the readings do not know yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubdeploy.contract.documents import Secret
from hubdeploy.settings import declarations as declared
from hubdeploy.settings import readers
from hubdeploy.settings.declarations import SHARED, Declaration, Settings, declarations
from tests.agreement import border
from tests.agreement.leaves import Leaf, Leaves
from tests.agreement.places import render

# Keys that show only together with others: those of a login, and an authority's with an e-mail address for it.
_TOGETHER: tuple[dict[str, Any], ...] = (
    {"GITHUB_CLIENT_ID": "client", "GITHUB_CLIENT_SECRET": Secret("secret-of-github"), "AUTHENTICATOR": "github"},
    {
        "OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "client", "OIDC_CLIENT_SECRET": Secret("secret-of-provider"),
        "AUTHENTICATOR": "oidc",
    },
    {"AUTHENTICATOR": "shared-password"},
    {"AUTHENTICATOR": "accounts"},
    {"AUTHENTICATOR": "accounts", "TLS": "outside", "BIND_ADDRESS": "192.0.2.7", "TRUSTED_PROXIES": ("192.0.2.10",)},
    {
        "ACME_EMAIL": "admin@example.org", "HUB_HOST": "hub.example.org", "ACME_EAB_KID": "kid-0",
        "ACME_EAB_HMAC": Secret("a-key-of-an-authority"),
    },
)  # fmt: skip
# Texts for settings whose example is their default.
_TEXTS = (
    "other", "yes", "no", "1", "0", "7", "700", "3G", "/srv/other", "https://other.example", "other/image:other",
    "sftp:other@other.example:/other", "3 daily",
)  # fmt: skip
# Container -> the image that it runs.
_RUNS = {"hub": "hub", "guard": "hub", "filter": "hub", "clock": "hub", "proxy": "proxy"}
# Rendered from the request of one part, but belonging to another part or to none.
_PARTS = {
    "contract": "container hub",
    "secrets": "container hub",
    "hub": "container hub",
    "login": "container hub",
    "routes": "container hub",
    "removed": "container hub",
    "server-secrets": "container filter",
    "proxy.traefik": "container proxy",
    "proxy.acme-ca": "container proxy",
    "proxy": "proxy's files",
    "pages": "hub's files",
    "logo": "hub's files",
    "certificate": "proxy's files",
    "written": "certificate",
    "reader": "certificate",
    "remembered": "passwords",
    "spawner": "servers",
    "pull": "images that are pulled",
}


def dependencies(settings: Settings, key: str) -> set[str]:
    """The parts that show `key`: something in them changes when only `key` gets another value.

    Parts are `image NAME` (a member of the family), `images that are pulled`, `network users`, `network api`, `volume data`,
    `volume proxy`, `volume routes`, `volume guard`, `volume filter`, `volume server-secrets`, `volume clock`, `volume backup`,
    `volume backup-documents`, `container hub` and its like, `hub's files` and `proxy's files` (those that the running container
    takes without a restart), `certificate` (the files in jupyterhub/secrets), `passwords` (in .env.local), `servers` (of users,
    at their next start).
    """
    before = render(settings)
    return set().union(*(_parts(before, render(one)) for one in others(settings, key)))


def parts_between(before: Settings, after: Settings) -> set[str]:
    """The parts, named as by `dependencies`, that differ between two deployments. A container whose image becomes
    another, not just its tag, counts as changed, and so do users' servers."""
    return _parts(render(before), render(after))


def _parts(before: Leaves, after: Leaves) -> set[str]:
    changed = changes(before, after) - {f"container[{one}].Image" for one in _RUNS}
    parts = {part for place in changed if (part := part_of(place))}
    # A brought certificate is never written.
    if "written.certificate" in after and any(place.startswith("certificate.") for place in changed):
        parts.add("certificate")
    for container, image in _RUNS.items():
        tags = {f"build[{image}].reference"}
        parts |= (
            {f"container {container}"} if any(part_of(one) == f"image {image}" for one in changed - tags) else set()
        )
    return parts | ({"servers"} if any(part.endswith("-notebook") for part in parts) else set())


def part_of(place: str) -> str | None:
    """The part whose request or file a place is in; None if it only counts others."""
    section, bracket, name = place.partition(".")[0].partition("[")
    if bracket and section in ("network", "volume", "container", "build"):
        return f"{'image' if section == 'build' else section} {name.rstrip(']')}"
    file = ".".join(place.split(".")[:2])
    return _PARTS.get(file) or _PARTS.get(section)


def changes(before: Leaves, after: Leaves) -> set[str]:
    """The places that differ, or exist on one side only."""
    return {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}


def others(settings: Settings, key: str) -> Iterator[Settings]:
    """The settings with other values of `key`: each is legal, and what derives from it follows."""
    attribute, declaration = declarations()[key]
    tried = {getattr(settings, attribute)}
    for value in _values(settings, declaration):
        if value not in tried:
            tried.add(value)
            yield with_values(settings, {key: value})


def _values(settings: Settings, declaration: Declaration) -> Iterator[Any]:
    derived = declaration.derive(settings)
    near = [f"{derived}{end}" for end in ("2", "/other")] if isinstance(derived, str) else []
    examples = [one.example.strip("'") for _, one in declarations().values()]
    for text in (declaration.example.strip("'"), *near, *_TEXTS, *examples):
        with contextlib.suppress(readers.Unfit):
            value = declaration.read(text)
            yield border.file_like(value) if isinstance(value, Path) else value


def bare() -> Settings:
    """The settings when nobody sets any."""
    return with_values(declared.Settings(), {})


def with_values(settings: Settings, values: dict[str, Any]) -> Settings:
    """The settings with these keys set; all that nobody set is derived anew."""
    origins = {**settings.origins, **dict.fromkeys(values, SHARED)}
    made = dataclasses.replace(settings, origins=origins)
    for key, (attribute, declaration) in declarations().items():
        if key in values:
            made = dataclasses.replace(made, **{attribute: values[key]})
        elif not made.is_set(key):
            made = dataclasses.replace(made, **{attribute: declaration.derive(made)})
    return made


def shows(settings: Settings, key: str) -> tuple[set[str], list[str]]:
    """The places that change with `key`, with the first others that show any; and what is wrong: no place that changes
    has the setting's value, or a place has another setting's."""
    for base in (settings, *(with_values(settings, values) for values in _TOGETHER)):
        before = render(base)
        for other in others(base, key):
            after = render(other)
            places = changes(before, after)
            if places:
                return places, _misfits(key, places, (base, before), (other, after))
    return set(), [f"{key}: shows nowhere, so it does nothing"]


def _misfits(key: str, places: set[str], *rendered: tuple[Settings, Leaves]) -> list[str]:
    attribute = declarations()[key][0]
    values = [getattr(settings, attribute) for settings, _ in rendered]
    if any(isinstance(value, Path) for value in values):
        return []
    showing = [
        {place for place in places if says(leaves.get(place), value)}
        for (_, leaves), value in zip(rendered, values, strict=True)
    ]
    if not any(showing):
        return [f"{key}: {', '.join(sorted(places)[:3])} change with it, but none says its value"]
    return [
        f"{key}: {place} says {rendered[0][1].get(place)!r}, wanted {values[0]!r}"
        for place in sorted(showing[1] - showing[0])
        if values[0] is not None and rendered[0][1].get(place) is not None
    ]


def says(leaf: Leaf, value: Any) -> bool:
    """Whether a place has a value: as it is, as text, within a longer text, or as one of several."""
    value = value.reveal() if isinstance(value, Secret) else value
    if isinstance(leaf, tuple) and leaf != value:
        return any(says(one, value) for one in leaf)
    if isinstance(value, bool):
        return leaf is value or leaf == ("yes" if value else "no")
    if isinstance(value, str) and isinstance(leaf, str):
        return value in leaf
    return leaf is not None and (leaf == value or leaf == str(value))
