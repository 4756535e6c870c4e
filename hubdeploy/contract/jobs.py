"""What a job of the clock is to the engine. Pure. The filter makes jobs from this alone; the clock chooses by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import labels, logs
from .documents import Job, Jobs, Volume
from .servers import may_name

# Nobody's, on the host and in every image.
USER = "65534:65534"
ROOT = "0:0"
# Characters; a variable has at most 128 KiB.
LONGEST_LOG = 30_000
PIDS = 64
# The job that measures what takes the disk, and a line of what it prints: first the bytes of each folder, then its files. It does
# several at a time, so that none keeps the others waiting, and tells what it knows when its time is over.
GROWTH = "growth"
MEASURED = re.compile(r"(\d+)\t\./(\S+)")
MEASURE = """
cd "$1"
each() { ls | timeout "$2" xargs -d '\n' -I '{}' -P 8 du -sx "$1" ./'{}'; }
each --block-size=1 10; each --inodes 10; :
"""


def container_name(jobs: Jobs, job: Job) -> str:
    return f"{jobs.labels[labels.DEPLOYMENT]}-job-{job.name}"


def carried(jobs: Jobs) -> dict[str, str]:
    """The labels of a job's container."""
    return {**jobs.labels, labels.ROLE: labels.JOB}


def is_users(jobs: Jobs, name: str, carried: Mapping[str, str]) -> bool:
    """Whether a volume is a user's: by its labels, or by its name where no deployment made it."""
    owner = carried.get(labels.DEPLOYMENT)
    if owner is None:
        return any(may_name(template, name) for template in jobs.user_volumes)
    return owner == jobs.labels[labels.DEPLOYMENT] and labels.UID in carried


def creation(
    jobs: Jobs, job: Job, log: str = "", users: Iterable[str] = (), folders: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The body of the engine's request that makes the job's container. `log` is for one that reads a log, `users` are the volumes
    of users for one that has them, and `folders` folders of the engine's host (name -> path) that lie beside these."""
    program, *arguments = job.command
    everybodys = [Volume(name, f"{job.users_at}/{name}") for name in users] if job.users_at else []
    mounts = [(one, True) for one in (*job.volumes, *everybodys)] + [(one, False) for one in job.writes]
    return {
        "Image": job.image,
        "Entrypoint": [program],
        "Cmd": arguments,
        "User": ROOT if job.writes or job.capabilities else USER,
        "Env": [f"TZ={jobs.timezone}", *([f"LOG={log[-LONGEST_LOG:]}"] if job.reads_log else [])],
        # Locks in a repository name it.
        "Hostname": jobs.labels[labels.DEPLOYMENT],
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": carried(jobs),
        "HostConfig": {
            "NetworkMode": job.network,
            # An engine that gives containers users of their own shares its host's network with no other.
            **({"UsernsMode": "host"} if job.network == "host" else {}),
            "CapDrop": ["ALL"],
            **({"CapAdd": list(job.capabilities)} if job.capabilities else {}),
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "mode=1777,size=64m"},
            "Memory": job.memory,
            "MemorySwap": job.memory,
            "PidsLimit": PIDS,
            "LogConfig": {"Type": logs.DRIVER, "Config": dict(logs.OPTIONS)},
            "RestartPolicy": {"Name": "no"},
            "Mounts": [
                {"Type": "volume", "Source": one.name, "Target": one.target, "ReadOnly": read_only}
                for one, read_only in mounts
            ]
            + [
                {"Type": "bind", "Source": path, "Target": f"{job.users_at}/{name}", "ReadOnly": True}
                for name, path in (folders or {}).items()
            ],
        },
    }
