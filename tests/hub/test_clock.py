"""What happens by itself in a running deployment, and who may ask for it."""

from __future__ import annotations

import json
from typing import Any

from tests.hub.clone import Clone
from tests.hub.waiting import until

_ASK = """
import json
from filter import question
try:
    print(json.dumps(question.ask(SOCKET, "POST", "/jobs/login-page", 30)))
except OSError as error:
    print(json.dumps(str(error)))
"""


def _asked(hub: Clone, name: str, socket: str) -> Any:
    words = ["/usr/bin/python3", "-c", _ASK.replace("SOCKET", f"question.{socket}")]
    found = hub.container(name).exec_run(words)
    assert isinstance(found.output, bytes)
    return json.loads(found.output)


def test_status_shows_what_each_job_found_last(hub: Clone) -> None:
    until(lambda: "not run yet" not in hub.invoke("status"), 60, "the jobs run")
    lines = hub.invoke("status").splitlines()
    assert any(line.startswith("clock: login-page: comes (2") for line in lines)
    assert any(line.startswith("clock: free-disk: ") and " GB free (2" in line for line in lines)


def test_the_clock_sees_what_a_browser_would_see_and_the_hub_may_not_ask(hub: Clone) -> None:
    clock, proxy = f"{hub.name}-clock", hub.container(hub.settings.proxy_name)
    assert _asked(hub, clock, "JOBS_SOCKET") == {"code": 0, "words": "comes"}
    proxy.kill()
    try:
        seen = _asked(hub, clock, "JOBS_SOCKET")
    finally:
        proxy.start()
        until(lambda: _asked(hub, clock, "JOBS_SOCKET")["code"] == 0, 30, "the login page comes")
    where = f"127.0.0.1 port {hub.port}"
    assert (seen["code"], seen["words"].partition(": ")[0]) == (1, f"nobody answers with TLS at {where}")
    assert _asked(hub, hub.settings.hub_name, "SOCKET") == "the filter refuses this: no such request"
    assert _asked(hub, hub.settings.hub_name, "JOBS_SOCKET").startswith("[Errno 2]")
