"""What a job of the clock is to the engine. Pure. The filter makes jobs from this alone; the clock chooses by name."""

from __future__ import annotations

from typing import Any

from . import labels, logs
from .documents import Job, Jobs

# Nobody's, on the host and in every image.
USER = "65534:65534"
ROOT = "0:0"
# Characters; a variable has at most 128 KiB.
LONGEST_LOG = 30_000
MEMORY = 256 * 1024**2
PIDS = 64


def container_name(jobs: Jobs, job: Job) -> str:
    return f"{jobs.labels[labels.DEPLOYMENT]}-job-{job.name}"


def carried(jobs: Jobs) -> dict[str, str]:
    """The labels of a job's container."""
    return {**jobs.labels, labels.ROLE: labels.JOB}


def creation(jobs: Jobs, job: Job, log: str = "") -> dict[str, Any]:
    """The body of the engine's request that makes the job's container. `log` is for one that reads a log."""
    program, *arguments = job.command
    mounts = [(one, True) for one in job.volumes] + [(one, False) for one in job.writes]
    return {
        "Image": job.image,
        "Entrypoint": [program],
        "Cmd": arguments,
        "User": ROOT if job.writes else USER,
        "Env": [f"LOG={log[-LONGEST_LOG:]}"] if job.reads_log else [],
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
                {"Type": "volume", "Source": one.name, "Target": one.target, "ReadOnly": read_only}
                for one, read_only in mounts
            ],
        },
    }
