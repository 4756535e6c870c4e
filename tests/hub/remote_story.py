"""A user's story on a host that only its own engine's containers reach: this file is run in one of them, by a Python
that has requests and websocket-client. It prints what the user saw as one JSON document, for the test to judge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.hub.person import Kernel, Person
from tests.hub.waiting import until

HERE = Path(__file__).parent
CERTIFICATE, PASSWORD = HERE / "certificate.pem", HERE / "password"
_STOP_WITHIN = 60


def enter(person: Person) -> dict[str, object]:
    """The answer of the login form."""
    return {"login": person.log_in(PASSWORD.read_text()).status_code}


def tell(person: Person) -> dict[str, object]:
    """The whole story; at its end a kernel runs that holds a value."""
    seen = enter(person)
    person.take_token()
    person.start_server()
    kernel = person.open_kernel()
    seen["cell"] = kernel.run("import numpy\nprint('six times seven is', numpy.prod([6, 7]))")
    seen["written"] = kernel.run("print(open('found-again.txt', 'w').write('still here'))")
    kernel.close()

    _stop_server(person)
    seen["stopped"] = person.call("GET", f"/user/{person.name}/api").status_code
    person.start_server()
    kernel = person.open_kernel()
    seen["found"] = kernel.run("kept = 41\nprint(open('found-again.txt').read())")
    kernel.close()
    return seen | {"kernel": kernel.path.rpartition("/")[2]}


def settle(person: Person) -> dict[str, object]:
    """A server that stays."""
    seen = enter(person)
    person.take_token()
    person.start_server()
    return seen


def go_on(person: Person, kernel: str) -> dict[str, object]:
    """The value in the kernel of an earlier story."""
    seen = enter(person)
    person.take_token()
    return seen | {"kept": Kernel(person, kernel).run("print(kept + 1)")}


def find(person: Person, path: str) -> dict[str, object]:
    """What a kernel reads in a file of the user's."""
    seen = enter(person)
    person.take_token()
    person.start_server()
    kernel = person.open_kernel()
    seen["found"] = kernel.run(f"print(open({path!r}).read())")
    kernel.close()
    return seen


def _stop_server(person: Person) -> None:
    path = f"/hub/api/users/{person.name}"
    answer = person.call("DELETE", f"{path}/server")
    assert answer.status_code in (202, 204), answer.text
    until(
        lambda: not person.call("GET", path).json()["servers"], _STOP_WITHIN, f"the server of {person.name} has stopped"
    )


if __name__ == "__main__":
    _, url, name, chapter, *arguments = sys.argv
    chapters: dict[str, Callable[..., dict[str, object]]] = {
        "enter": enter,
        "tell": tell,
        "go-on": go_on,
        "settle": settle,
        "find": find,
    }
    print(json.dumps(chapters[chapter](Person(url, name, CERTIFICATE), *arguments)))
