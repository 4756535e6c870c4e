"""The program behind `./invoke forget`: says what the hub has of one user, or removes it, on the data volume.

It removes while the hub is stopped, as a running hub keeps users in its memory. It may be killed at any point and run again. What
it prints is one line of JSON.
"""

import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import accounts
import database
import passwords
from audit import Audit
from jupyterhub import orm

SHOW, REMOVE = "show", "remove"
# In the log of changes: who it was.
_WHO = "command line"
_TOKENS = "select count(*) from api_tokens where user_id = ? and session_id is null"
_SESSIONS = "select count(distinct session_id) from api_tokens where user_id = ?"


def main(arguments: Sequence[str]) -> dict[str, object]:
    """`arguments`: the data directory, what to do, and the user's name. The answer is what the hub has of the user now."""
    folder, what, name = arguments
    if what == REMOVE:
        _remove(Path(folder), name)
    return _found(Path(folder), name)


def _found(folder: Path, name: str) -> dict[str, object]:
    """`account`: the hub knows the user; `by_admin`: an admin has added them, or made them an admin."""
    account = passwords.accounts(folder / database.FILE).get(name)
    record = accounts.read_record(folder / accounts.RECORD, [], {})
    found: dict[str, object] = {"account": account is not None, "by_admin": name in record.added | record.promoted}
    if account is None:
        return found
    number = account.partition(" ")[0]
    with closing(sqlite3.connect(f"file:{folder / database.FILE}?mode=ro", uri=True, timeout=5)) as connected:
        for key, question in (("tokens", _TOKENS), ("sessions", _SESSIONS)):
            (found[key],) = connected.execute(question, (number,)).fetchone()
    if (folder / passwords.FILE).exists():
        status = passwords.Passwords(folder / passwords.FILE).statuses().get(account, passwords.Status())
        found |= {"password": status.password_since is not None, "invitation": status.invited_until is not None}
    return found


def _remove(folder: Path, name: str) -> None:
    account = passwords.accounts(folder / database.FILE).get(name)
    # First what is found by the account, then the account.
    if account is not None and (folder / passwords.FILE).exists():
        passwords.Passwords(folder / passwords.FILE).forget(account)
    with accounts.opened(folder / database.FILE) as session:
        user = orm.User.find(session, name) if session else None
        if session and user:
            session.delete(user)
            session.commit()
    named = accounts.Named(folder / accounts.RECORD)
    if name in named.added | named.promoted:
        named.dismiss(name)
    if account is not None:
        Audit(folder).record("user forgotten", user=name, by=_WHO)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
