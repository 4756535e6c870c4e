"""Prints what the hub has on record of its users, as JSON, for `./invoke access`: whom an admin has added or made an admin,
each user's groups that userlist does not name, and when each account was active last. It changes nothing.
"""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import database
from accounts import RECORD, read_record
from groups import MARK

_GROUPS = """
select users.name, groups.name, groups.properties from users
join user_group_map on user_group_map.user_id = users.id join groups on groups.id = user_group_map.group_id
"""


def main(data: str) -> None:
    record = read_record(Path(data) / RECORD, [], {})
    groups: dict[str, list[str]] = {}
    accounts: dict[str, str | None] = {}
    file = Path(data) / database.FILE
    if database.columns_of(file, "user_group_map"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as connected:
            for user, group, properties in connected.execute(_GROUPS):
                if json.loads(properties or "{}") != MARK:
                    groups.setdefault(user, []).append(group)
            # In UTC, as SQLite holds it.
            accounts = dict(connected.execute("select name, last_activity from users where name is not null"))
    said = {"added": sorted(record.added), "promoted": sorted(record.promoted), "groups": groups, "accounts": accounts}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
