"""Brings JupyterHub's database to the schema of this JupyterHub, keeps a copy of the old file, and repairs accounts that
lost their name.

Never touches a database that is up to date and whole. It may be killed at any point and run again.
"""

import json
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from contract import states
from jupyterhub import dbutil, orm
from sqlalchemy import create_engine, inspect
from sqlalchemy.orm import Session

log = logging.getLogger("database")

# In the data directory; start.py and the hub use the same file.
FILE = states.DATABASE


def upgrade_if_needed(file: Path) -> None:
    """Upgrades the database in `file`. If it is older than JupyterHub 0.9, users and their admin flags are kept; tokens and
    groups stay in the copy."""
    if is_too_old(file):
        carry_users_over(file)
    elif is_of_version_2(file):
        upgrade_from_version_2(file)
    else:
        dbutil.upgrade_if_needed(url(file), log=log)


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def is_too_old(file: Path) -> bool:
    """True if JupyterHub cannot upgrade it. Its step from 0.8 to 0.9 (99a28a4418e1, which brings users.created) calls a
    method that datetime does not have, and a later one wants a table that 0.7 did not have yet: seen up to 6.1.1."""
    columns = columns_of(file, orm.User.__tablename__)
    return bool(columns) and "created" not in columns


def columns_of(file: Path, table: str) -> set[str]:
    """The names of a table's columns; none if there is no such table."""
    engine = create_engine(url(file))
    try:
        known = inspect(engine)
        return {column["name"] for column in known.get_columns(table)} if known.has_table(table) else set()
    finally:
        engine.dispose()


def carry_users_over(file: Path) -> None:
    dbutil.backup_db_file(str(file), log)
    with closing(sqlite3.connect(file)) as old:
        users = old.execute("SELECT name, admin FROM users ORDER BY id").fetchall()
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with orm.new_session_factory(url(new))() as session:
        session.add_all(orm.User(name=name, admin=bool(admin)) for name, admin in users)
        session.commit()
        session.get_bind().dispose()
    os.replace(new, file)
    log.warning(
        "the database is older than JupyterHub 0.9: its %d users came over, tokens and groups did not", len(users)
    )


def is_of_version_2(file: Path) -> bool:
    """True if JupyterHub fails to upgrade it once a server was started: its step to version 3 (651f5419b74d) loads the server's
    user with a column that a later step makes. Seen in 6.1.1."""
    scoped = "allowed_scopes" in columns_of(file, orm.OAuthClient.__tablename__)
    return not scoped and "oauth_client_id" in columns_of(file, orm.Spawner.__tablename__)


def upgrade_from_version_2(file: Path) -> None:
    """Upgrades a copy in which servers are apart from their clients, gives each its client back, with the scope that JupyterHub's
    step would have given it, and puts the copy in the database's place."""
    dbutil.backup_db_file(str(file), log)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(new)) as copy:
        old.backup(copy)
        servers = copy.execute(
            "SELECT spawners.id, oauth_client_id, users.name, spawners.name FROM spawners JOIN users ON users.id = user_id"
            " WHERE oauth_client_id IS NOT NULL"
        ).fetchall()
        copy.execute("UPDATE spawners SET oauth_client_id = NULL")
        copy.commit()
    dbutil.upgrade(url(new))
    with closing(sqlite3.connect(new)) as copy, copy:
        for server, client, user, name in servers:
            copy.execute("UPDATE spawners SET oauth_client_id = ? WHERE id = ?", (client, server))
            (scopes,) = copy.execute(
                "SELECT allowed_scopes FROM oauth_clients WHERE identifier = ?", (client,)
            ).fetchone()
            scopes = sorted({*json.loads(scopes or "[]"), f"access:servers!server={user}/{name}"})
            copy.execute(
                "UPDATE oauth_clients SET allowed_scopes = ? WHERE identifier = ?", (json.dumps(scopes), client)
            )
    os.replace(new, file)


def restore_names(session: Session) -> None:
    """Gives a user without a name the name that their running server was registered under, and removes the row where there
    is none or another row has it. A change in JupyterHub 6.1.1's admin page left such rows (see users.py); with one of
    them the page lists nobody."""
    for user in session.query(orm.User).filter(orm.User.name.is_(None)).all():
        registered = (spawner.oauth_client_id for spawner in user._orm_spawners if spawner.name == "")
        # JupyterHub's own pattern of a default server's client id
        name = unquote((next(registered, "") or "").removeprefix("jupyterhub-user-"))
        if name and orm.User.find(session, name) is None:
            user.name = name
            log.warning("user %d had lost the name %s and has it again", user.id, name)
        else:
            log.warning("user %d had lost the name and is removed: add them again if the userlist does not", user.id)
            session.delete(user)
        session.flush()
    session.commit()
