"""The key that encrypts what the hub's database keeps of logins. It is made once and kept as the cookie secret is: in the data
volume, for the hub alone. It never stands in a document, an environment or a log.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

log = logging.getLogger("auth-key")

FILE = "jupyterhub_auth_key"
_BYTES = 32


def kept(path: Path) -> str:
    """The key in hexadecimal digits; a new one if the file is absent or holds none. With a new key each user who needs a
    proof of their groups logs in again."""
    try:
        found = path.read_text().strip()
        if len(bytes.fromhex(found)) == _BYTES:
            path.chmod(0o600)
            return found
        log.warning("%s holds no key: a new one is made", path)
    except FileNotFoundError:
        pass
    except ValueError:
        log.warning("%s holds no key: a new one is made", path)
    made = secrets.token_hex(_BYTES)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return made
