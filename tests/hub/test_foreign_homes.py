"""Homes on an image of others, which starts as root: they are filled from the image, belong to the user, last, and lead
root nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.hub.clone import Clone
from tests.hub.foreign_image import build_docker_stacks
from tests.hub.person import Person
from tests.hub.test_homes import make_home

pytestmark = pytest.mark.slow

# The image's own user, whose home is in the image.
_USER = "jovyan"
_LOOK = """
import json, os
home = os.path.expanduser("~")
found = {f"{folder}/{name}".removeprefix(home): os.lstat(f"{folder}/{name}").st_uid
         for folder, folders, files in os.walk(home) for name in (*folders, *files)}
print(json.dumps({"home": home, "uid": os.getuid(), "owner": os.stat(home).st_uid, "found": found}))
"""


@pytest.fixture(scope="module", params=["1000", "1815"], ids=["the image's number", "another number"])
def foreign(request: pytest.FixtureRequest, clone: Clone, new_clone: Callable[..., Clone]) -> Iterator[Clone]:
    """A deployment whose users' servers run the stand-in for an image of docker-stacks."""
    image = build_docker_stacks(clone.settings)
    made = new_clone("ada\neve\n", DOCKER_NOTEBOOK_IMAGE=image, NB_USER=_USER, NB_UID=request.param)
    made.share_images_of(clone)
    made.up()
    yield made
    made.remove()


def _enter(hub: Clone, user: str) -> Person:
    person = hub.person(user)
    assert person.log_in(hub.user_password).status_code == 200
    person.take_token()
    return person


def test_a_home_is_filled_from_the_image_belongs_to_the_user_and_lasts(foreign: Clone) -> None:
    ada = _enter(foreign, "ada")
    ada.start_server()
    kernel = ada.open_kernel()
    seen = json.loads(kernel.run(_LOOK))
    kernel.run("import os; os.chdir(os.path.expanduser('~')); open('.bashrc', 'a').write('# mine\\n')")
    kernel.close()
    foreign.stop_server(ada)
    uid = foreign.settings.nb_uid
    assert (seen["home"], seen["uid"], seen["owner"]) == (f"/home/{_USER}", uid, uid)
    assert {"/.bashrc", "/.profile", "/work"} <= seen["found"].keys()
    assert set(seen["found"].values()) == {uid}

    ada.start_server()
    kernel = ada.open_kernel()
    assert kernel.run("import os; print(open(os.path.expanduser('~/.bashrc')).read()[-7:-1])") == "# mine\n"
    kernel.close()
    foreign.stop_server(ada)


def test_a_link_in_the_home_hands_over_no_folder_of_the_system(foreign: Clone) -> None:
    eve = _enter(foreign, "eve")
    home = make_home(foreign, "eve")
    foreign.client.containers.run(
        foreign.settings.notebook_image, ["-c", f"rm -rf ~/work && ln -s /etc ~/work && chown {foreign.settings.nb_uid} ~"],
        entrypoint="/bin/bash", user="0", volumes={home: {"bind": f"/home/{_USER}"}}, remove=True,
        environment={"HOME": f"/home/{_USER}"},
    )  # fmt: skip
    eve.start_server()
    kernel = eve.open_kernel()
    look = (
        "import os; print(os.stat('/etc').st_uid, os.path.exists('/etc/passwd'), os.listdir(os.path.expanduser('~')))"
    )
    owner, there, listed = kernel.run(look).split(maxsplit=2)
    kernel.close()
    foreign.stop_server(eve)
    assert (owner, there) == ("0", "True")
    assert "my-home" in listed
