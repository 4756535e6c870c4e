"""The program behind `./invoke invite`: it makes and withdraws invitations in the data volume, whether the hub runs or not.

It is given digests of tokens, which are no secret, and never a token. It changes the invitations of the users that are named,
and nothing else. What it prints is one line of JSON.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import database
import passwords
from audit import Audit

INVITE, INVITE_MISSING, WITHDRAW = "invite", "invite-missing", "withdraw"
# In the log of changes: who it was.
_WHO = "command line"


def main(arguments: Sequence[str]) -> dict[str, object]:
    """`arguments`: the data directory, what to do, and NAME:DIGEST of each user, or NAME to withdraw. The answer is what was
    done, by name: until when the link is good in seconds since the epoch, or true where one was withdrawn; null for a user
    whom the hub does not know. invite-missing leaves out who has a password."""
    folder, what, *rest = arguments
    audit, store = Audit(Path(folder)), passwords.Passwords(Path(folder) / passwords.FILE)
    accounts, statuses = passwords.accounts(Path(folder) / database.FILE), store.statuses()
    done: dict[str, object] = {}
    for one in rest:
        name, _, digest = one.rpartition(":") if what != WITHDRAW else (one, "", "")
        account = accounts.get(name)
        if account is None:
            done[name] = None
        elif what == WITHDRAW:
            done[name] = store.withdraw(account)
            audit.record("link withdrawn", user=name, by=_WHO)
        elif what == INVITE or statuses.get(account, passwords.Status()).password_since is None:
            done[name] = store.invite(account, digest)
            audit.record("link made", user=name, by=_WHO)
    return done


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
