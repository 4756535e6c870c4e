"""Groups of userlist in JupyterHub's database, beside those that a login brings and those that an admin makes.

They are marked there. What a user may do by such a group follows from the contract, never from the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contract.documents import User
from jupyterhub import orm
from sqlalchemy.orm import Session, object_session

MARK = {"from": "userlist"}


def listed(users: Iterable[User]) -> dict[str, tuple[str, ...]]:
    """User -> their groups of userlist."""
    return {user.name: user.groups for user in users}


def is_listed(group: orm.Group) -> bool:
    return bool(group.properties == MARK)


def give(user: orm.User, names: Iterable[str]) -> None:
    """Puts a user of the database into groups of userlist, which are made if need be. It may be called again."""
    session: Session = object_session(user)  # type: ignore[assignment]
    for name in names:
        group = orm.Group.find(session, name)
        if group is None:
            group = orm.Group(name=name)
            session.add(group)
        group.properties = MARK
        if group not in user.groups:
            user.groups.append(group)
    session.commit()


def take_away(session: Session, wanted: Mapping[str, Iterable[str]]) -> None:
    """Takes users out of groups of userlist that they left; `wanted`: user -> theirs. A group without members goes. Nothing is
    committed."""
    for group in session.query(orm.Group):
        if is_listed(group):
            group.users = [user for user in group.users if group.name in wanted.get(user.name, ())]
            if not group.users:
                session.delete(group)
