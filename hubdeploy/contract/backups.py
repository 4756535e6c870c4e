"""What the library and a backup's helper share: where things lie in the helper. Pure."""

from __future__ import annotations

# The volume that only helpers of backups mount: the password, the operator's files, copies of databases.
DOCUMENTS = "/documents"
# In it: what is wanted, the password, what restic needs for the repository, the operator's files, copies of databases, what
# the last run did.
WANTED, PASSWORD, VARIABLES = "backup.json", "password", "access/variables"
FILES, DATABASES, MANIFEST, RECEIPT = "files", "databases", "manifest.json", "receipt.json"
# The volume with the repository, where that is a volume.
REPOSITORY = "/repository"
# Each volume lies below, read-only, under its own name.
VOLUMES = "/volumes"
# What the helper prints is lines of JSON, with one of these keys.
PROGRESS, RESULT = "progress", "receipt"


def helper_name(deployment: str) -> str:
    """The container's name, of which there is one at a time."""
    return f"{deployment}-job-backup"
