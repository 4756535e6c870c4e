"""`config`: every setting and every kind of servers, where each value comes from, and what it means. It changes nothing; secrets
print as ***."""

from __future__ import annotations

from typing import Any

import yaml

from hubdeploy.settings import kinds, readers, reference
from hubdeploy.settings.declarations import DERIVED, Settings, masked


def show(settings: Settings) -> None:
    """Every setting as YAML: its value, and whether it comes from shell, .env.local, .env or derives. Then the secrets of
    servers, and each kind of servers that somebody wrote, with what it has from the settings."""
    shown: dict[str, Any] = {
        key: {"value": value, "from": settings.origins.get(key, DERIVED)} for key, value in masked(settings).items()
    }
    shown |= {name: {"value": "***", "from": settings.origins[name]} for name in settings.server_secrets}
    if settings.kinds:
        shown["kinds"] = {one.name: _kind(settings, one) for one in settings.kinds}
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")


def _kind(settings: Settings, kind: kinds.Kind) -> dict[str, dict[str, Any]]:
    """Field -> its value, and the setting that says it, or the line of the kind."""
    of_settings, found = masked(settings), dict[str, dict[str, Any]]()
    for name, declared in kinds.declarations().items():
        value, key = getattr(kind, name), declared["instead_of"]
        if value is kinds.UNSET:
            found[name] = {"value": of_settings[key], "from": key}
        elif key or value:
            found[name] = {"value": _plain(value), "from": kind.where(name)}
    return found


def _plain(value: Any) -> Any:
    """As YAML writes it: variables as a table, other texts as a list, amounts and lengths of time as a person does."""
    if isinstance(value, readers.Bytes | readers.Seconds):
        return str(value)
    if isinstance(value, tuple):
        is_table = all(isinstance(one, tuple) for one in value)
        return dict(value) if is_table else list(value)
    return value


def explain(key: str, *, template: bool = False) -> None:
    """What one setting means; without a key docs/settings.md, or the .env of a fresh clone."""
    text = reference.explanation(key) if key else reference.env() if template else reference.page()
    print(text, end="\n" if key else "")
