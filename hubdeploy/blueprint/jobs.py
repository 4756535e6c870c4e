"""What happens by itself between two calls of `up`. Pure. A new job is an entry of `jobs`: the filter makes its container, the
clock asks for it, and `status` shows what it found last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hubdeploy.blueprint import backup, routing
from hubdeploy.contract import backups, labels
from hubdeploy.contract import jobs as contract
from hubdeploy.contract.documents import DEPLOYMENT_HEADER, Job, Jobs, Volume, plain
from hubdeploy.settings.declarations import Settings

PYTHON = "/usr/bin/python3"
# Where a job finds a volume of the engine's.
DISK = "/disk"
# What looks after the certificate of an authority, and the same for `up`: it orders whenever the last order failed.
CERTIFICATE, CERTIFICATE_NOW = "certificate", "certificate-now"
BACKUP = "backup"
_ROUTES = "/routes"


def jobs(settings: Settings, kept: Mapping[str, str]) -> Jobs:
    """Every job of the deployment, in the order in which `status` shows them. `kept` are the volumes that a backup takes beside
    users'."""
    image = settings.image_reference("hub")
    return Jobs(
        {labels.DEPLOYMENT: settings.name},
        (
            *(_certificate(settings) if settings.acme_email else ()),
            Job(
                "login-page", image, (PYTHON, "-m", "clock.login_page", *login_page_question(settings)),
                every=300, within=30, network="host",
            ),
            # Any volume shows the disk of them all; this one holds no secret.
            Job("free-disk", image, (PYTHON, "-m", "clock.free_disk", DISK), every=300, within=30,
                volumes=(Volume(settings.routes_volume, DISK),)),
            # The hub asks for it, through the filter.
            Job(contract.GROWTH, image, ("/bin/sh", "-c", contract.MEASURE, contract.GROWTH, backups.VOLUMES), every=None,
                within=30, users_at=backups.VOLUMES, capabilities=backup.READING),
            *(_backup(settings, settings.backup_at, kept) if settings.backup_at else ()),
        ),
        settings.timezone,
        settings.volume_templates,
    )  # fmt: skip


def _certificate(settings: Settings) -> Iterator[Job]:
    where = (settings.own_address, str(settings.listen_port), settings.hub_host, str(settings.acme_days))
    order = routing.order(settings.hub_host, settings.acme_server).decode()
    asked = (
        settings.acme_server, str(settings.http_port), ",".join(settings.acme_dns or ()), settings.acme_staging or "",
    )  # fmt: skip
    command = ("/opt/hub/bin/python", "-m", "clock.certificate", *where, f"{_ROUTES}/{routing.ORDER}", order, *asked)
    # Two may run, one after the other.
    job = Job(
        CERTIFICATE, settings.image_reference("hub"), command, every=300, within=120, network="host",
        writes=(Volume(settings.routes_volume, _ROUTES),), reads_log=settings.proxy_name,
    )  # fmt: skip
    yield job
    yield replace(job, name=CERTIFICATE_NOW, command=(*command, "now"), every=None)


def _backup(settings: Settings, at: str, kept: Mapping[str, str]) -> Iterator[Job]:
    """What `backup` does by hand, in a container of the same name. It finds its documents where `up` put them."""
    taken = backup.mounts(settings, kept.values())
    yield Job(
        BACKUP, settings.image_reference("hub"), (PYTHON, "-m", "backup", "daily", at), every=None, at=at, within=12 * 3600,
        network=backup.network(settings), users_at=backups.VOLUMES, capabilities=backup.READING, memory=backups.MEMORY,
        volumes=tuple(Volume(one.source, one.target) for one in taken if one.read_only),
        writes=tuple(Volume(one.source, one.target) for one in taken if not one.read_only),
    )  # fmt: skip


def as_variable(settings: Settings, kept: Mapping[str, str]) -> str:
    """All of them in one variable of the environment, for filter and clock."""
    return json.dumps(plain(jobs(settings, kept)), separators=(",", ":"), sort_keys=True)


def login_page_question(settings: Settings) -> tuple[str, ...]:
    """The arguments of contract/login_page.py, without a certificate."""
    return (
        "http" if settings.behind else "https",
        settings.own_address,
        str(settings.listen_port),
        settings.hub_host,
        settings.hub_path,
        DEPLOYMENT_HEADER,
        settings.name,
    )
