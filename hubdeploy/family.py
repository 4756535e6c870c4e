"""The image family: one row an image. A new image is one folder, one row here, and one task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hubdeploy.settings import Settings


@dataclass(frozen=True)
class Member:
    """An image of ours: its folder, what it is built on (None: BASE_IMAGE), which settings its build takes as
    arguments, the disk it roughly needs while it is built (bytes, rounded up from builds of this family), and whether
    users' servers may run it."""

    name: str
    folder: str
    parent: str | None
    arguments: tuple[str, ...]
    disk: int
    serves_users: bool = False


_GB = 1000**3
FAMILY = {
    member.name: member
    for member in (
        Member("anaconda3", "anaconda3", None, ("PYTHON_DISTRIBUTION",), 3 * _GB),
        Member(
            "base-notebook",
            "base-notebook",
            "anaconda3",
            ("NB_USER", "NB_UID", "NOTEBOOK_DIR"),
            1 * _GB,
            serves_users=True,
        ),
        Member("minimal-notebook", "minimal-notebook", "base-notebook", (), 3 * _GB, serves_users=True),
        Member("hub", "jupyterhub", None, (), 1 * _GB),
        Member("proxy", "proxy", None, (), 1 * _GB),
    )
}


def arguments(member: Member, settings: Settings) -> dict[str, str]:
    """The member's build arguments, without PARENT."""
    values = {
        "PYTHON_DISTRIBUTION": settings.python_distribution,
        "NB_USER": settings.nb_user,
        "NB_UID": str(settings.nb_uid),
        "NOTEBOOK_DIR": settings.notebook_dir,
    }
    return {name: values[name] for name in member.arguments}


def notebook_member(settings: Settings) -> str | None:
    """Which of our images DOCKER_NOTEBOOK_IMAGE names; None if it is foreign."""
    names = {settings.image_reference(member.name): member.name for member in FAMILY.values() if member.serves_users}
    return names.get(settings.notebook_image)


def needed(settings: Settings) -> tuple[str, ...]:
    """The images that this deployment runs."""
    notebook = notebook_member(settings)
    return ("proxy", "hub", *((notebook,) if notebook else ()))


def with_ancestors(names: Iterable[str]) -> tuple[str, ...]:
    """The named images and all they are built on, parents first."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        parent = FAMILY[name].parent
        if parent is not None:
            add(parent)
        ordered.setdefault(name)

    for name in names:
        add(name)
    return tuple(ordered)
