"""Jupyter Server's extension for course material: links of nbgitpuller, behind a page that asks first.

It promises that a link alone changes nothing: what it names is checked, shown, and fetched when its user has said so. It
fetches only from repositories that COURSE_REPOSITORIES names, only below the folder `courses`, and nothing of its user's is
lost. It imports its parts only in a server.
"""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "course_material"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    from course_material import server

    server.load(serverapp)
