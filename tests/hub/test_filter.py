"""The filter of a real deployment: what a hub that was taken over reaches, and what users see while it is away."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.hub.walls import hub_log

# Tries, as the hub's own root, what would be a way to the engine, to keys, or into the filter; prints what worked.
_TAKE_OVER = """
import json, os, socket
def reads(path):
    try:
        open(path, "rb").read()
        return True
    except OSError:
        return False
def writes(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
def connects(path):
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
        return True
    except OSError:
        return False
everything = [os.path.join(at, name) for root in ("/run", "/srv", "/etc", "/var", "/data")
              for at, _, names in os.walk(root) for name in names]
print(json.dumps({
    "engine": connects("/run/docker.sock") or connects("/var/run/docker.sock"),
    "keys": [path for path in everything if path.endswith(".pem") and b"PRIVATE KEY" in open(path, "rb").read()],
    "filter's folder": writes("/run/filter/planted"),
    "guard's folder": writes("/run/guard/planted"),
    "filter": connects("/run/filter/engine.sock"),
}))
"""
_ASK = """
import json
from engine import client
engine = client()
answer = engine.get(engine._url("/info"))
print(json.dumps([answer.status_code, answer.json()["message"]]))
"""
_BURST = 20


def _in_hub(hub: Clone, code: str) -> Any:
    found = hub.container(hub.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", code], user="0")
    assert isinstance(found.output, bytes)
    assert found.exit_code == 0, found.output.decode()
    return json.loads(found.output)


def test_a_hub_that_was_taken_over_reaches_the_filter_and_no_key(hub: Clone) -> None:
    found = _in_hub(hub, _TAKE_OVER)
    assert found == {"engine": False, "keys": [], "filter's folder": False, "guard's folder": False, "filter": True}


def test_what_the_filter_refuses_is_logged_and_counted_in_status(hub: Clone) -> None:
    status, message = _in_hub(hub, _ASK)
    assert (status, message) == (403, "the filter refuses this: no such request")
    assert re.search(
        r"filter: refused (a request|\d+ requests) of the hub; see `./invoke logs --of filter`", hub.invoke("status")
    )
    assert 'refused: GET "/v1.41/info": "no such request"' in hub.invoke("logs", "--of", "filter", "--no-follow")


def test_a_filter_that_is_away_stops_new_servers_and_never_running_ones(
    hub: Clone, logged_in: Callable[[str], Person]
) -> None:
    linus, grace, away = logged_in("linus"), logged_in("grace"), hub.container(f"{hub.name}-filter")
    grace.start_server()
    kernel = grace.open_kernel()
    if hub.has_container(hub.server_name("linus")):
        hub.stop_server(linus)
    away.kill()
    try:
        linus.call("POST", "/hub/api/users/linus/server")
        until(lambda: "The filter does not answer" in hub_log(hub), 20, "the hub says why no server starts")
        assert kernel.run("print(6 * 7)") == "42\n"
        assert "filter" in hub.invoke("plan")
    finally:
        away.start()
    until(lambda: away.exec_run(["/usr/bin/python3", "-m", "filter.question"]).exit_code == 0, 20, "the filter answers")
    linus.start_server()
    hub.stop_server(linus)
    kernel.close()


def test_guard_and_filter_that_die_under_a_burst_of_starts_let_nobody_in_where_they_should_not(
    hub: Clone, new_clone: Callable[..., Clone]
) -> None:
    names = [f"s{number:02}" for number in range(_BURST)]
    crowd = new_clone("\n".join(["keeper", *names]), USER_MEMORY_LIMIT="512M")
    crowd.share_images_of(hub)
    crowd.up()
    people = {name: crowd.person(name) for name in ["keeper", *names]}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: _logs_in(crowd, person), people.values()))
    keeper = people.pop("keeper")
    keeper.start_server()
    kernel = keeper.open_kernel()
    guard, away = (crowd.container(f"{crowd.name}-{role}") for role in ("guard", "filter"))

    with ThreadPoolExecutor(_BURST) as pool:
        asked = pool.map(lambda one: one.call("POST", f"/hub/api/users/{one.name}/server"), people.values())
        time.sleep(1)
        for component in (guard, away):
            component.kill()
        time.sleep(1)
        for component in (guard, away):
            component.start()
        assert {answer.status_code for answer in asked} <= {201, 202, 500}
    until(lambda: not any(_is_pending(one) for one in people.values()), 120, "each start came to an end")

    started = [name for name, one in people.items() if one.servers()]

    def running() -> set[str]:
        return {name for name in names if crowd.has_container(crowd.server_name(name))}

    until(lambda: running() == set(started), 20, "nothing is left of the starts that failed")
    assert _isolated(crowd) == {crowd.server_name(name) for name in [*started, "keeper"]}
    log = hub_log(crowd)
    for name in set(names) - set(started):
        assert re.search(f"server of {name}: .*(kept apart|filter does not answer|does not answer)", log), name
    assert kernel.run("print(6 * 7)") == "42\n"
    kernel.close()
    for name in set(names) - set(started):
        people[name].start_server()
    assert len(_isolated(crowd)) == _BURST + 1
    # So many servers would slow down the tests that follow.
    crowd.remove()


def _logs_in(hub: Clone, person: Person) -> None:
    assert person.log_in(hub.user_password).status_code == 200
    person.take_token()


def _is_pending(person: Person) -> bool:
    return any(one["pending"] for one in person.servers().values())


def _isolated(hub: Clone) -> set[str]:
    """The users' servers of which the guard says that they are kept apart."""
    found, guard = set(), hub.container(f"{hub.name}-guard")
    for one in hub.containers():
        if one.labels[labels.ROLE] == labels.SERVER:
            mac = one.attrs["NetworkSettings"]["Networks"][hub.settings.network_name]["MacAddress"]
            code = f"from guard import question; print(question.ask({mac!r}))"
            answer: Any = guard.exec_run(["/usr/bin/python3", "-c", code]).output
            found |= {one.name} if answer.decode().strip() == "isolated" else set()
    return {str(name) for name in found}
