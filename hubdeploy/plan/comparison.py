"""Says in words what differs between a file that a container has and the one that it should have: settings by their keys,
with values as a person writes them. Never shows a secret: those are named only. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from hubdeploy.blueprint import held_documents
from hubdeploy.blueprint.provider import Provider
from hubdeploy.blueprint.specs import PublishedPort
from hubdeploy.contract.documents import (
    GROUP_TRAITS,
    Contract,
    Login,
    Secret,
    Secrets,
    ServerSecrets,
    from_bytes,
    plain,
    to_bytes,
)
from hubdeploy.settings import kinds, userlist
from hubdeploy.settings.declarations import keys_of_fields
from hubdeploy.settings.logins import LOGINS
from hubdeploy.settings.spelling import spelt

# More than this many differences are counted, not listed.
_LISTED = 6
# Fields that are not called as the setting is in Settings; the name of the kind of servers is left out.
_KEYS = {
    "hub.data_dir": "DATA_VOLUME_CONTAINER",
    "hub.base_url": "HUB_PATH",
    "hub.memory": "HOST_MEMORY",
    "base_url": "HUB_PATH",
    "login.name": "AUTHENTICATOR",
    "kinds.image": "DOCKER_NOTEBOOK_IMAGE",
}
# Where one variable of a container's environment ends and the next begins: the text of the last may have commas.
_BETWEEN_VARIABLES = re.compile(r", (?=[A-Z][A-Z0-9_]*=)")
# Traits that say what an OpenID Connect provider says of itself.
_OF_PROVIDER = frozenset(one.name for one in fields(Provider)) - {"issuer"}
# Fields that change with another one, which is named.
_FOLLOWING = frozenset(("kinds.ours", "kinds.marks_servers", "login.authenticator_class", "hub.front_url"))


def differences(
    name: str,
    before: Secret[bytes] | None,
    after: Secret[bytes] | Contract | Secrets | ServerSecrets,
    login: str = "",
) -> str:
    """What changed in the file `name`, such as `NB_USER: cryptic -> ada`; `before` is what the container has, `login` the
    login that the secrets are of."""
    if isinstance(after, Secret):
        return f"{name} changed"
    if isinstance(after, ServerSecrets):
        held: Contract | Secrets | ServerSecrets | None = held_documents.server_secrets(before)
    else:
        held = held_documents.contract(before) if isinstance(after, Contract) else held_documents.secrets(before)
    if held is None:
        return f"{name} was never written" if before is None else f"{name} could not be read"
    if isinstance(held, Secrets) and isinstance(after, Secrets):
        found = list(_secret_changes(held, after, login))
    elif isinstance(held, ServerSecrets) and isinstance(after, ServerSecrets):
        found = list(_server_secret_changes(held, after))
    else:
        found = list(_changes(plain(held), plain(after), ()))
    if not found:
        return f"{name}: the same in another form"
    return _listed(found)


def _listed(found: Sequence[str]) -> str:
    shown = "; ".join(found[:_LISTED])
    return shown if len(found) <= _LISTED else f"{shown} and {len(found) - _LISTED} more"


def of_shape(part: str, before: str, after: str, published: Sequence[PublishedPort]) -> Iterator[str]:
    """What changed in a part of a container's shape: ports by their settings, of a list only what is in one of the two."""
    old, new = ([one for one in text.split(", ") if one] for text in (before, after))
    if part == "ports" and len(old) == len(new) == len(published):
        for was, port in zip(old, published, strict=True):
            address, _, number = was.partition(" to ")[0].rpartition(":")
            if number != str(port.port):
                yield f"{port.key}: {number} -> {port.port}"
            if address != port.address:
                yield f"the address of {port.key}: {address} -> {port.address}"
        return
    if part == "environment":
        held, wanted = (_variables(text) for text in (before, after))
        yield from _wall_changes(*(_document(one.pop("WALLS", "{}")) for one in (held, wanted)))
        old_jobs, new_jobs = (_document(one.pop("JOBS", "{}")) for one in (held, wanted))
        jobs = [_by_name(one.pop("jobs", ())) for one in (old_jobs, new_jobs)]
        if changed := [name for name in {**jobs[0], **jobs[1]} if jobs[0].get(name) != jobs[1].get(name)]:
            yield f"jobs: {', '.join(changed)}"
        if found := list(_changes(old_jobs, new_jobs, ())):
            yield _listed(found)
        servers = [_document(one.pop("SERVERS", "{}")) for one in (held, wanted)]
        if found := list(_changes(servers[0], servers[1], ())):
            yield _listed(found)
        old, new = ([f"{name}={value}" for name, value in ones.items()] for ones in (held, wanted))
        if old == new:
            return
    gone, come = ([one for one in ones if one not in others] for ones, others in ((old, new), (new, old)))
    yield f"{part}: {', '.join(gone) or 'none'} -> {', '.join(come) or 'none'}"


def _variables(text: str) -> dict[str, str]:
    """Name -> value of an environment in a container's shape."""
    return dict(one.split("=", 1) for one in _BETWEEN_VARIABLES.split(text) if "=" in one)


def _document(text: str) -> dict[str, Any]:
    """A component's document; empty where an earlier version's cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _wall_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What changed in the walls that the guard keeps. Which ones it knows by their addresses follows other settings."""
    doors = [walls.get("door") or {} for walls in (old, new)]
    lists = {
        "ALLOWED_NETWORKS": [walls.get("allowed", ()) for walls in (old, new)],
        "where hub and proxy ask for logins and certificates": [
            walls.get("allowed_to_free", ()) for walls in (old, new)
        ],
        "TRUSTED_PROXIES": [door.get("sources", ()) for door in doors],
    }
    of_kinds = [walls.get("of_kinds", {}) for walls in (old, new)]
    for kind in sorted({*of_kinds[0], *of_kinds[1]}):
        lists[f"networks of {kind}"] = [one.get(kind, ()) for one in of_kinds]
    for key, found in lists.items():
        before, after = (", ".join(one) or "none" for one in found)
        if before != after:
            yield f"{key}: {before} -> {after}"
    if all(doors) and any(doors[0].get(field) != doors[1].get(field) for field in ("address", "port")):
        yield "the port that proxies in front may use"
    if any(old.get(field) != new.get(field) for field in ("bridge", "ours", "table", "free")):
        yield "the network that the guard keeps"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    for field in (*new, *(field for field in old if field not in new)):
        before, after = old.get(field), new.get(field)
        path = (*above, field)
        if before == after or _place(path) in _FOLLOWING:
            continue
        if path == ("login",) and before and after:
            yield from _losses(*(from_bytes(Login, to_bytes(one)) for one in (before, after)))
            if before["name"] == after["name"]:
                yield from _changes(before, after, (*path, after["name"]))
            else:
                # Its traits are other ones then, as the new login has them.
                yield _change((*path, after["name"], "name"), before["name"], after["name"])
        elif field == "traits":
            yield from _trait_changes(before or {}, after or {}, path)
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _changes(before, after, path)
        elif field == "users":
            yield from _user_changes(before or [], after or [])
        elif field == "sudo_users":
            yield f"users with sudo: {', '.join(before or ()) or 'none'} -> {', '.join(after or ()) or 'none'}"
        elif field == "user_volumes":
            yield f"users' volumes: {', '.join(before or ()) or 'none'} -> {', '.join(after or ()) or 'none'}"
        elif field == "volumes":
            yield from _volume_changes(before or [], after or [])
        elif field == "folders":
            yield from _folder_changes(_by_name(before), _by_name(after))
        elif field == "kinds" and (old_ones := _by_name(before)) and (new_ones := _by_name(after)):
            yield from _kind_changes(old_ones, new_ones)
        else:
            yield _change(path, before, after)


def _kind_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What changed in the kinds of servers. The only one follows the settings of `.env`, which are named then."""
    if old.keys() == new.keys() == {kinds.ONLY.name}:
        yield from _changes(old, new, ("kinds",))
        return
    if list(old) != list(new):
        yield f"kinds of servers: {', '.join(old)} -> {', '.join(new)}"
    for name in (name for name in new if name in old):
        for field, after in new[name].items():
            before = old[name].get(field)
            if before == after or f"kinds.{field}" in _FOLLOWING:
                continue
            if field == "environment":
                changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
                yield f"environment of {name}: {', '.join(changed)}"
            elif field in ("secrets", "networks"):
                yield f"{field} of {name}: {', '.join(before or ['none'])} -> {', '.join(after or ['none'])}"
            elif field == "users":
                yield f"users of {name}: {_people(before, after)}"
            elif field == "provider_groups":
                yield f"groups of the login with {name}: {_people(before, after)}"
            elif field == "volumes":
                yield from _volume_changes(before or [], after or [])
            else:
                key = _KEYS.get(f"kinds.{field}") or keys_of_fields().get(field)
                text = [spelt(key, value) if key else _text(value) for value in (before, after)]
                yield f"{_in_the_file(key) or field} of {name}: {text[0]} -> {text[1]}"


def _folder_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What changed in what users share, and for whom."""
    if old.keys() != new.keys():
        yield f"shared: {', '.join(sorted(old)) or 'nothing'} -> {', '.join(sorted(new)) or 'nothing'}"
    for name in (name for name in new if name in old):
        before, after = old[name], new[name]
        for field, words in (("writers", "who writes to"), ("readers", "who reads")):
            if before[field] != after[field]:
                yield f"{words} {name}: {_people(before[field], after[field])}"
        if before["kinds"] != after["kinds"]:
            yield f"kinds of servers with {name}: {_people(before['kinds'], after['kinds'])}".replace(
                "everybody", "all"
            )
        sources = [(one["volume"], one["path"], one["options"]) for one in (before, after)]
        if sources[0] != sources[1]:
            yield f"what {name} is: {' -> '.join(path or volume for volume, path, _ in sources)}"


def _in_the_file(key: str | None) -> str | None:
    """What servers.yml calls a setting that a kind may have of its own."""
    own = {one["instead_of"]: word for word, one in kinds.declarations().items()}
    return own.get(key, key) if key else None


def _losses(before: Login, after: Login) -> Iterator[str]:
    """What users lose by another login, or by fewer groups."""
    is_other = before.names != after.names
    if is_other:
        yield "everybody must log in again"
    if lets_in_fewer(before, after):
        none_left = is_other or not after.has_groups
        whoever = "users who came by a group" if none_left else "users who are in none of the other groups"
        yield f"{whoever} lose server and account"


def lets_in_fewer(before: Login, after: Login) -> bool:
    """Whether somebody who came by a group may have none any more that lets them in."""
    groups = before.groups(*GROUP_TRAITS)
    return bool(groups) and (before.names != after.names or not groups <= after.groups(*GROUP_TRAITS))


def _trait_changes(old: Mapping[str, Any], new: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    own = [{trait: value for trait, value in traits.items() if trait not in _OF_PROVIDER} for traits in (old, new)]
    yield from _changes(own[0], own[1], above)
    # Another provider says other things of itself.
    same = old.get("issuer") == new.get("issuer")
    if same and any(old.get(trait) != new.get(trait) for trait in _OF_PROVIDER):
        yield f"what the provider {new.get('issuer')} says of itself"


def _place(path: tuple[str, ...]) -> str:
    """`kinds.image` of every kind of servers, `login.traits` of every login."""
    return ".".join((path[0], *path[2:]) if path[0] in ("kinds", "login") else path)


def _change(path: tuple[str, ...], before: Any, after: Any) -> str:
    login = path[1] if path[0] == "login" else ""
    key = _KEYS.get(_place(path)) or _of_traits(login).get(path[-1]) or keys_of_fields().get(path[-1])
    if key:
        return f"{key}: {spelt(key, before)} -> {spelt(key, after)}"
    return f"{_place(path)}: {_text(before)} -> {_text(after)}"


def _of_traits(login: str) -> dict[str, str]:
    """Trait -> key, of all logins; where two have a trait of one name, of the login that is named."""
    keys = keys_of_fields()
    rows = [*LOGINS.values(), *([LOGINS[login]] if login in LOGINS else [])]
    return {
        trait: keys[field]
        for row in rows
        for trait, field in (*row.traits.items(), *row.secret_traits.items(), ("issuer", row.discovers))
        if field
    }


def _by_name(value: Any) -> dict[str, Any]:
    """A list of objects with names as name -> object; empty for any other value."""
    named = isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value)
    return {one["name"]: one for one in value} if named else {}


def _user_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    old = {user["name"]: user for user in before}
    new = {user["name"]: user for user in after}
    changes = {
        ("added", "added"): [name for name in new if name not in old],
        ("removed", "removed"): [name for name in old if name not in new],
    }
    gains, losses = ({name: _words(one) for name, one in users.items()} for users in (new, old))
    both = [name for name in new if name in old]
    for word in sorted({word for name in both for word in gains[name] ^ losses[name]}, key=_order):
        changes |= {
            (f"gains {word}", f"gain {word}"): [one for one in both if word in gains[one] - losses[one]],
            (f"loses {word}", f"lose {word}"): [one for one in both if word in losses[one] - gains[one]],
        }
    found = [
        f"user {names[0]} {one}" if len(names) == 1 else f"{len(names)} users {many}: {', '.join(names)}"
        for (one, many), names in changes.items()
        if names
    ]
    yield from found or ["users in another order"]


def _words(user: Mapping[str, Any]) -> frozenset[str]:
    """What userlist would say behind a user's name: their flags, and their groups."""
    flags = [flag for flag in userlist.FLAGS if user.get(flag)]
    reads = user.get("reads", ())
    groups = [f"@{name}:{userlist.READ}" if name in reads else f"@{name}" for name in user.get("groups", ())]
    return frozenset((*flags, *groups))


def _order(word: str) -> tuple[int, str]:
    return userlist.FLAGS.index(word) if word in userlist.FLAGS else len(userlist.FLAGS), word


def _people(before: Sequence[str] | None, after: Sequence[str] | None) -> str:
    """Who gained something and who lost it; None is everybody."""
    if before is None or after is None:
        return " -> ".join("everybody" if names is None else ", ".join(names) for names in (before, after))
    changes = {
        "with": [one for one in after if one not in before],
        "without": [one for one in before if one not in after],
    }
    return "; ".join(f"{word} {', '.join(names)}" for word, names in changes.items() if names) or "in another order"


def _volume_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    """Volumes by their names: where each is mounted follows another setting."""
    old, new = [[one["name"] for one in volumes] for volumes in (before, after)]
    if old != new:
        yield f"users' volumes: {', '.join(old) or 'none'} -> {', '.join(new) or 'none'}"


def _secret_changes(before: Secrets, after: Secrets, login: str) -> Iterator[str]:
    if before.proxy_api_password != after.proxy_api_password:
        yield "the password of the proxy's API changed"
    for trait in (*after.login, *(trait for trait in before.login if trait not in after.login)):
        name = _of_traits(login).get(trait, trait)
        if trait not in before.login:
            yield f"{name} is new"
        elif trait not in after.login:
            yield f"{name} is not used any more"
        elif before.login[trait] != after.login[trait]:
            yield f"{name} changed"


def _server_secret_changes(before: ServerSecrets, after: ServerSecrets) -> Iterator[str]:
    """Which variables of which kinds; never a value."""
    held, wanted = (
        {(name, kind): value for kind, values in one.kinds.items() for name, value in values.items()}
        for one in (before, after)
    )
    for words, found in (
        ("is new", wanted.keys() - held.keys()),
        ("is not used any more", held.keys() - wanted.keys()),
        ("changed", {one for one in held.keys() & wanted.keys() if held[one] != wanted[one]}),
    ):
        for name in sorted({name for name, _ in found}):
            yield f"{name} of {', '.join(kind for one, kind in sorted(found) if one == name)} {words}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
