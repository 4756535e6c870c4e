"""Who may enter and who did, as the operator's commands print it, on a running hub."""

from __future__ import annotations

import re

from tests.hub.clone import Clone


def test_access_and_audit_know_what_admins_and_guessers_did(hub: Clone) -> None:
    boss = hub.person("boss")
    assert boss.log_in(hub.admin_password).status_code == 200
    boss.take_token()
    boss.call("POST", "/hub/api/users/visitor").raise_for_status()
    visitor = hub.person("visitor")
    assert [visitor.log_in("a wrong password").status_code for _ in range(6)] == [403] * 5 + [429]
    assert hub.person("my-secret-password").log_in(hub.user_password).status_code == 403

    assert hub.invoke("access", "visitor").splitlines() == [
        "visitor may log in: added in the admin page", "visitor is no admin", "visitor may not use sudo",
    ]  # fmt: skip
    assert re.search(r"^sam +yes +yes +userlist:5, userlist:5 \(sudo\)$", hub.invoke("access"), re.MULTILINE)
    assert "nobody may not log in" in hub.invoke("access", "Nobody")

    told = hub.invoke("audit", "--user", "visitor")
    assert [re.split(" {2,}", line.strip())[1:-1] for line in told.splitlines()[1:]] == [
        ["user added", "visitor"], ["login failed", "visitor"], ["login paused", "visitor"],
    ]  # fmt: skip
    assert "boss" in told
    assert re.search(r"login failed +\S+$", hub.invoke("audit"), re.MULTILINE)
    assert "my-secret-password" not in hub.invoke("audit", "--days", "90")
