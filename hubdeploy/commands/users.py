"""`users`: everybody whom the deployment knows, what each has here, and what lets them in. It changes nothing."""

from __future__ import annotations

from hubdeploy.commands import access, usage
from hubdeploy.commands.deployment import Deployment
from hubdeploy.plan import people


def show(deployment: Deployment) -> None:
    """A row a person; then volumes that no user's name gives."""
    settings, snapshot = deployment.settings, deployment.observe(files=False)
    heard, disk = access.hear(deployment), usage.look(deployment, snapshot.users_volumes(deployment.settings.name))
    rows = [
        (
            one.name,
            f"{one.last_active.astimezone():%Y-%m-%d %H:%M}" if one.last_active else "",
            "running" if one.is_running else "",
            usage.mb(disk.of(one.volumes).bytes) if one.volumes else "",
            ", ".join(one.enter),
            one.missing,
        )
        for one in people.everybody(settings, snapshot, heard, access.listed_at(settings))
    ]
    for volume in people.without_a_user(settings, snapshot):
        rows.append((volume, "", "", usage.mb(disk.of([volume]).bytes), "", people.NOBODYS))
    access.print_table(("user", "last active", "server", "MB", "let in by", ""), rows)
