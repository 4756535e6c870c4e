"""What the library and a backup's helper share: where things lie in the helper. Pure."""

from __future__ import annotations

# The volume that only helpers of backups mount: the password, the operator's files, copies of databases.
DOCUMENTS = "/documents"
# In it: what is wanted, the password, what restic needs for the repository, the operator's files, copies of databases, what
# the last run did.
WANTED, PASSWORD, VARIABLES = "backup.json", "password", "access/variables"
FILES, DATABASES, MANIFEST, RECEIPT = "files", "databases", "manifest.json", "receipt.json"
# What decides what a backup does, as one digest: so `up` knows whether all of it is there.
TOLD = "told"
# The receipt of the last drill.
PROOF = "proof.json"
# The volume with the repository, where that is a volume.
REPOSITORY = "/repository"
# What backups call the volume with the hub's databases, and one with a certificate that somebody brought.
DATA, BROUGHT = "data", "brought"
# Each volume lies below, read-only, under its own name.
VOLUMES = "/volumes"
# What a snapshot of a whole deployment is tagged with, and one of a user who left; so many days that one is kept.
WHOLE, ARCHIVE = "hub", "forgotten"
ARCHIVED_DAYS = 365
# Bytes: restic keeps the index of a repository there, 100 MB of it for 2 GB of small files.
MEMORY = 1024**3
# What the helper prints is lines of JSON, with one of these keys.
PROGRESS, RESULT = "progress", "receipt"
# What one who proves a throw-away deployment has seen of it.
LOGIN_PAGE, SERVER = "login_page", "server"


def helper_name(deployment: str) -> str:
    """The container's name, of which there is one at a time."""
    return f"{deployment}-job-backup"
