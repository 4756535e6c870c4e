"""The image family, one row an image. Data only: which settings a build takes is named here and looked up elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Member:
    """An image of ours: its folder, what it is built on (None: BASE_IMAGE), its build arguments (argument -> field of
    Settings), the disk that its build roughly needs (bytes, rounded up from builds of this family), whether users' servers may
    run it, and what its build context gets from elsewhere (name there -> path in the checkout, a file or a folder)."""

    name: str
    folder: str
    parent: str | None
    arguments: Mapping[str, str]
    disk: int
    serves_users: bool = False
    shared: Mapping[str, str] = field(default_factory=dict)


_GB = 1000**3
FAMILY = {
    member.name: member
    for member in (
        Member("anaconda3", "anaconda3", None, {"PYTHON_DISTRIBUTION": "python_distribution"}, 3 * _GB),
        Member(
            "base-notebook",
            "base-notebook",
            "anaconda3",
            {"NB_USER": "nb_user", "NB_UID": "nb_uid", "NOTEBOOK_DIR": "notebook_dir"},
            1 * _GB,
            serves_users=True,
            shared={"quick.py": "jupyterhub/quick.py"},
        ),
        Member("minimal-notebook", "minimal-notebook", "base-notebook", {}, 3 * _GB, serves_users=True),
        Member(
            "hub",
            "jupyterhub",
            None,
            {},
            1 * _GB,
            shared={"contract": "hubdeploy/contract"}
            | {name: name for name in ("guard", "filter", "clock", "backup", "crowd")},
        ),
        Member("proxy", "proxy", None, {}, 1 * _GB),
    )
}


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
