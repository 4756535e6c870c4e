"""`status`: components, users' servers, images, the certificate, and whether a browser gets the login page. It changes
nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hubdeploy.blueprint import draw
from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.specs import Store
from hubdeploy.commands import authority, daily, reachability, rollback, usage
from hubdeploy.commands.deployment import Deployment
from hubdeploy.commands.named import NamedDeployment
from hubdeploy.contract import cards, labels, states
from hubdeploy.errors import DeployError
from hubdeploy.plan import checks
from hubdeploy.plan import operations as op
from hubdeploy.plan.rollback import last_upgrade
from hubdeploy.plan.snapshot import ContainerState, Snapshot
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import selection
from hubdeploy.tls.certificates import RENEW_DAYS, Pair

# Columns of what somebody may copy.
_NAMES = ("container", "image")
_STYLES = {"healthy": "green", "starting": "yellow", "unhealthy": "bold red"}


def show(deployment: NamedDeployment, *, disk: bool = False) -> None:
    """Tables and a line for each fact; with `disk` what volumes take too. Raises DeployError if containers run and a browser
    would not get the login page, or if a daily backup failed or is too old."""
    snapshot, settings = deployment.observe(), deployment.settings
    # A program that reads it gets whole lines; a terminal has its own width.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for table in (_components(snapshot, deployment), _servers(snapshot), _images(snapshot)):
        if table.row_count:
            console.print(_with_whole_names(table))
    for line in _notes(snapshot, deployment):
        console.print(line, markup=False)
    if cautions := tuple(checks.prunable_volumes(snapshot, deployment.name)):
        console.print()
        deployment.display.cautions(cautions)
    if settings is None:
        return
    if disk:
        whole = Deployment(settings.root, deployment.environ, deployment.display)
        usage.show_volumes(whole, whole.observe(files=False))
    pair = None if settings.behind else selection.current(settings, deployment.engine.read_volume)
    console.print()
    if signed := authority.state(deployment.engine, settings, snapshot):
        console.print(signed, markup=False)
    console.print(_certificate(settings, pair), markup=False)
    names = [draw.container_name(settings, one.role) for one in COMPONENTS]
    wrong = None
    if any(name in snapshot.containers and snapshot.containers[name].running for name in names):
        wrong = reachability.trouble(deployment.engine, settings, pair)
        own = f"{settings.own_address} port {settings.listen_port}"
        where = own if settings.behind else settings.public_url
        console.print(f"login page: {wrong or f'comes at {where}'}", markup=False)
        if settings.behind:
            front = reachability.trouble_in_front(settings) or f"leads here from {settings.public_url}"
            console.print(f"proxy in front: {front}", markup=False)
    store = draw.store(settings)
    if returned := rollback.went_back(deployment.engine, store, snapshot):
        console.print(returned, markup=False)
    backups = daily.state(deployment.engine, settings, snapshot)
    for line in backups.lines:
        console.print(line, markup=False)
    if wrong:
        raise DeployError(wanted=f"the login page at {settings.public_url}", found=wrong, fix=_way_on(store, snapshot))
    if backups.wrong:
        fix = "run ./invoke backup, which shows what stands in its way"
        raise DeployError(wanted="a backup of the last day", found=backups.wrong, fix=fix)


def _way_on(store: Store, snapshot: Snapshot) -> str:
    """What helps a hub whose login page does not come."""
    upgraded = last_upgrade(store, snapshot)
    back = f"./invoke rollback brings back the hub of before the upgrade on {op.when(upgraded)}; " if upgraded else ""
    return f"{back}./invoke up"


def _components(snapshot: Snapshot, deployment: NamedDeployment) -> Table:
    where = f" at {deployment.settings.public_url}" if deployment.settings else ""
    table = _table("component", "container", "state", "health", "since", title=f"{deployment.name}{where}")
    missing = {one.role for one in COMPONENTS} - {state.role for state in snapshot.components}
    for state in sorted(snapshot.components, key=lambda one: one.role):
        table.add_row(state.role, state.name, state.state, _health(state, deployment), _since(state))
    for role in sorted(missing):
        table.add_row(role, "does not exist", "", "", "")
    return table


def _notes(snapshot: Snapshot, deployment: NamedDeployment) -> Iterator[str]:
    """What components say of themselves. What the clock says of a certificate has a line of its own."""
    signed = deployment.settings is not None and deployment.settings.acme_email is not None
    telling = {one.role for one in COMPONENTS if one.tells}
    for state in snapshot.components:
        if state.role in telling and state.running and (words := deployment.engine.health(state.name)[1]):
            yield ""
            lines = (line for line in words.splitlines() if not (signed and line.startswith(authority.LINE)))
            yield from (f"{state.role}: {line}" for line in lines)


def _servers(snapshot: Snapshot) -> Table:
    held = {one.user: cards.of_label(one.labels.get(labels.CARDS, "")) for one in snapshot.servers if one.running}
    more = ("cards",) if any(held.values()) else ()
    table = _table("user", "state", "since", *more, title="servers")
    for state in sorted(snapshot.servers, key=lambda one: one.user):
        table.add_row(state.user, state.state, _since(state), *([", ".join(held.get(state.user, ()))] if more else ()))
    return table


def _images(snapshot: Snapshot) -> Table:
    table = _table("image", "built", "MB", title="images")
    now = datetime.now(UTC)
    for image in snapshot.own_images:
        content = image.labels.get(labels.CONTENT, "")[:12]
        names = [one for one in image.references if not one.endswith(f":{content}") and f":{states.TAG}" not in one]
        age = f"{_age((now - image.created).total_seconds())} ago"
        kept = any(f":{states.TAG}" in one for one in image.references)
        built = age if names else f"{age} ({'kept for rollback' if kept else 'an earlier build'})"
        # Without another name the one with the content, which `docker image rm` takes.
        table.add_row("\n".join(names or image.references), built, f"{image.size / 1e6:.0f}")
    return table


def _table(*columns: str, title: str) -> Table:
    """Without lines, so that names fit into 80 columns."""
    made = [Column(name, overflow="fold") for name in columns]
    return Table(*made, title=f"\n{title}", title_justify="left", box=None, padding=(0, 2, 0, 0))


def _with_whole_names(table: Table) -> Table:
    """The other columns give way, as a name in two pieces cannot be copied."""
    for column in table.columns:
        if column.header in _NAMES:
            cells = [line for cell in column.cells for line in str(cell).splitlines()]
            column.width = max(map(len, [str(column.header), *cells]))
    return table


def _health(state: ContainerState, deployment: NamedDeployment) -> Text:
    """The engine's last check. It makes the first one half a minute after a start, so until then the check is made here."""
    health = state.health
    if health == "starting" and state.running and deployment.engine.health(state.name)[0]:
        health = "healthy"
    return _coloured(health)


def _coloured(health: str) -> Text:
    return Text(health, style=_STYLES.get(health, ""))


def _certificate(settings: Settings, pair: Pair | None) -> str:
    if settings.behind:
        return "certificate: the one of the proxy in front, as TLS is outside"
    if pair is None:
        return "certificate: none yet"
    where = f" in the volume {settings.secrets_volume}" if settings.secrets_volume else ""
    kind = f"brought{where}" if pair.made_from is None else "self-made"
    if settings.acme_email:
        kind = "for other names self-made"
    day = f"{pair.expires:%Y-%m-%d}"
    until = f"expires {day} (in {pair.days} days)" if pair.days >= 0 else f"expired on {day}"
    renewed_by_up = pair.made_from is not None and settings.secrets_volume is None
    ends_soon = pair.days <= RENEW_DAYS and not renewed_by_up
    warning = "\nwarning: bring the certificate's successor, then run ./invoke up" if ends_soon else ""
    return f"certificate: {kind}, {until}{warning}"


def _since(state: ContainerState) -> str:
    return state.status.partition(" (")[0]


def _age(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            count = f"{seconds / size:.0f}"
            return f"{count} {unit.removesuffix('s') if count == '1' else unit}"
    return f"{seconds:.0f} seconds"
