"""Makes the secrets that the login and backups need and nobody set, at random. Writes nothing: a step of the plan does."""

from __future__ import annotations

import dataclasses
import secrets
from typing import Any

from hubdeploy.contract.documents import Secret
from hubdeploy.settings.declarations import Settings, keys_of_fields


def completed(settings: Settings) -> tuple[Settings, dict[str, Secret[str]]]:
    """The settings with every secret that their login generates, or a daily backup needs, and what was made now: key -> value."""
    backups = {"backup_password": password_of_backups} if settings.backup_at else {}
    wanted = {**settings.login.generated, **backups}
    makers = {field: make for field, make in wanted.items() if getattr(settings, field) is None}
    made = {field: Secret(make()) for field, make in makers.items()}
    keys = keys_of_fields()
    fields: dict[str, Any] = {**made}
    return dataclasses.replace(settings, **fields), {keys[field]: value for field, value in made.items()}


def password_of_backups() -> str:
    return secrets.token_urlsafe(32)
