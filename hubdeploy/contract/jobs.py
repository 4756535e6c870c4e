"""What a job of the clock is to the engine. Pure. The filter makes jobs from this alone; the clock chooses by name."""

from __future__ import annotations

from typing import Any

from . import labels, logs
from .documents import Job, Jobs

# Nobody's, on the host and in every image.
USER = "65534:65534"
MEMORY = 256 * 1024**2
PIDS = 64


def container_name(jobs: Jobs, job: Job) -> str:
    return f"{jobs.labels[labels.DEPLOYMENT]}-job-{job.name}"


def carried(jobs: Jobs) -> dict[str, str]:
    """The labels of a job's container."""
    return {**jobs.labels, labels.ROLE: labels.JOB}


def creation(jobs: Jobs, job: Job) -> dict[str, Any]:
    """The body of the engine's request that makes the job's container."""
    program, *arguments = job.command
    return {
        "Image": job.image,
        "Entrypoint": [program],
        "Cmd": arguments,
        "User": USER,
        # The log is then one stream of plain text.
        "Tty": True,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": carried(jobs),
        "HostConfig": {
            "NetworkMode": job.network,
            # An engine that gives containers users of their own shares its host's network with no other.
            **({"UsernsMode": "host"} if job.network == "host" else {}),
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Memory": MEMORY,
            "MemorySwap": MEMORY,
            "PidsLimit": PIDS,
            "LogConfig": {"Type": logs.DRIVER, "Config": dict(logs.OPTIONS)},
            "RestartPolicy": {"Name": "no"},
            "Mounts": [
                {"Type": "volume", "Source": one.name, "Target": one.target, "ReadOnly": True} for one in job.volumes
            ],
        },
    }
