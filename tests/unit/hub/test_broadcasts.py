"""Notices of admins: who gets which, for how long, what a notice may hold, and who may send one."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from jupyterhub import orm

from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import LiveHub

broadcasts, notices, audit = (hub_image.load(name) for name in ("broadcasts", "notices", "audit"))
HTML = "Save <b>now</b> <script>alert(1)</script>"


class Place(SimpleNamespace):
    """A database with users and groups, and a hub's messages on a clock."""

    def opened(self) -> None:
        """A new hub on the same files."""
        self.sent = broadcasts.Broadcasts(self.folder / broadcasts.FILE, lambda: self.now)
        self.notices = notices.Notices(self.folder / notices.FILE, broadcasts=self.sent)

    def user(self, name: str, *groups: str) -> Any:
        made = orm.User(name=name, groups=[self.group(one) for one in groups])
        self.db.add(made)
        self.db.commit()
        return made

    def group(self, name: str) -> Any:
        return orm.Group.find(self.db, name) or orm.Group(name=name)

    def texts(self, user: Any) -> list[str]:
        return [one.text for one in self.notices.unread(user)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")() as db:
        made = Place(folder=tmp_path, now=1000.0, db=db)
        made.opened()
        yield made


def test_everybody_gets_a_notice_to_everybody_and_a_group_its_own(place: Place) -> None:
    ada, bob = place.user("ada", "physics", "staff"), place.user("bob", "chemistry")
    place.sent.send("To all", "", "boss", 60)
    place.sent.send("To physics", "physics", "boss", 60)
    assert place.texts(ada) == ["To all", "To physics"]
    assert place.texts(bob) == ["To all"]
    bob.groups = [place.group("physics")]
    assert place.texts(bob) == ["To all", "To physics"]


def test_a_notice_is_shown_for_its_time_by_every_hub_until_it_is_taken_back(place: Place) -> None:
    ada = place.user("ada")
    first, second = place.sent.send("First", "", "boss", 10), place.sent.send("Second", "", "boss", 20)
    place.opened()
    assert place.texts(ada) == ["First", "Second"]
    place.now += 600
    assert place.texts(ada) == ["Second"]
    assert place.sent.take_back(first.number) is None
    assert place.sent.take_back(second.number) == second
    assert place.texts(ada) == []
    place.opened()
    assert place.texts(ada) == []


def test_each_dismisses_a_notice_for_themselves_and_never_a_later_one(place: Place) -> None:
    ada, bob = place.user("ada"), place.user("bob")
    first = place.sent.send("First", "", "boss", 10)
    place.notices.mark_read(ada, first.id)
    assert (place.texts(ada), place.texts(bob)) == ([], ["First"])
    place.opened()
    assert place.texts(ada) == []
    place.sent.take_back(first.number)
    place.sent.send("Second", "", "boss", 10)
    assert place.texts(ada) == ["Second"]
    assert [one.text for one in place.sent.to(ada)] == ["Second"], (
        "the hub's pages show it also to who has dismissed it"
    )


def test_a_notice_to_a_group_cannot_be_dismissed_by_others(place: Place) -> None:
    ada = place.user("ada")
    sent = place.sent.send("To physics", "physics", "boss", 10)
    place.notices.mark_read(ada, sent.id)
    ada.groups = [place.group("physics")]
    assert place.texts(ada) == ["To physics"]


def test_a_server_that_waits_hears_of_a_notice_and_of_its_end_at_once(place: Place) -> None:
    ada, bob = place.user("ada", "physics"), place.user("bob")

    async def story() -> None:
        mark, _ = await place.notices.changed(ada, "")
        others, _ = await place.notices.changed(bob, "")
        waiting = asyncio.ensure_future(place.notices.changed(ada, mark))
        bobs = asyncio.ensure_future(place.notices.changed(bob, others))
        await asyncio.sleep(0)
        sent = place.sent.send("To physics", "physics", "boss", 10)
        place.notices.wake()
        mark, (found,) = await asyncio.wait_for(waiting, 60)
        assert (found.id, found.text) == (sent.id, "To physics")
        waiting = asyncio.ensure_future(place.notices.changed(ada, mark))
        await asyncio.sleep(0)
        place.sent.take_back(sent.number)
        place.notices.wake()
        assert (await asyncio.wait_for(waiting, 60))[1] == []
        assert not bobs.done()
        bobs.cancel()

    asyncio.run(story())


def test_a_user_who_is_deleted_while_their_server_waits_gets_nothing_more(place: Place) -> None:
    ada = place.user("ada", "physics")

    async def story() -> None:
        mark, _ = await place.notices.changed(ada, "")
        waiting = asyncio.ensure_future(place.notices.changed(ada, mark, within=0.2))
        await asyncio.sleep(0)
        place.db.delete(ada)
        place.db.commit()
        place.sent.send("To physics", "physics", "boss", 10)
        place.notices.wake()
        assert await asyncio.wait_for(waiting, 60) == (mark, [])

    asyncio.run(story())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub")) as started:
        for group, user in (("physics", "ann"), ("chemistry", "bob")):
            started.call("POST", f"/groups/{group}").raise_for_status()
            started.call("POST", f"/groups/{group}/users", json={"users": [user]}).raise_for_status()
        yield started


@pytest.fixture
def clean(hub: LiveHub) -> Iterator[LiveHub]:
    """Without a notice before and after."""
    yield hub
    for one in shown(hub):
        hub.call("DELETE", f"/broadcasts/{one['number']}").raise_for_status()


def send(hub: LiveHub, text: Any, group: Any = "", minutes: Any = 60) -> requests.Response:
    return hub.call("POST", "/broadcasts", json={"text": text, "group": group, "minutes": minutes})


def shown(hub: LiveHub) -> list[dict[str, Any]]:
    return list(hub.call("GET", "/broadcasts").json()["notices"])


def browser(hub: LiveHub, name: str) -> requests.Session:
    window = requests.Session()
    passwords = hub_image.SECRETS["shared-password"]
    assert hub.log_in(name, passwords["admin_password" if name == "kaben" else "user_password"], window).ok
    return window


def home(hub: LiveHub, window: requests.Session) -> str:
    return window.get(f"{hub.url}/hub/home", timeout=30).text


def xsrf(page: str) -> dict[str, str]:
    found = re.search(r'xsrf_token: "([^"]+)"', page)
    assert found
    return {"X-XSRFToken": found[1]}


def entries(hub: LiveHub) -> list[tuple[str, str]]:
    return [(one.event, one.by) for one in audit.entries(hub.folder) if "notice" in one.event]


def test_the_hubs_pages_show_a_groups_notice_to_its_members_and_to_nobody_else(clean: LiveHub) -> None:
    ann, bob = browser(clean, "ann"), browser(clean, "bob")
    assert send(clean, "For physics alone", "physics").status_code == 201
    assert "For physics alone" in home(clean, ann)
    assert "For physics alone" not in home(clean, bob)
    assert "For physics alone" not in requests.get(f"{clean.url}/hub/login", timeout=30).text
    headers = {"Authorization": f"token {clean.call('POST', '/users/bob/tokens').json()['token']}"}
    answer = requests.get(f"{clean.url}/hub/api/users/bob/notices?known=x", headers=headers, timeout=30)
    assert answer.json()["notices"] == []


def test_the_log_says_who_sent_what_to_whom_and_took_it_back(clean: LiveHub) -> None:
    before = len(entries(clean))
    number = send(clean, "Two\r\nlines", "physics").json()["number"]
    send(clean, "To all")
    assert clean.call("DELETE", f"/broadcasts/{number}").status_code == 204
    assert clean.call("DELETE", f"/broadcasts/{number}").status_code == 404
    assert entries(clean)[before:] == [
        ("notice to physics: Two / lines", "kaben"),
        ("notice to everybody: To all", "kaben"),
        ("notice taken back to physics: Two / lines", "kaben"),
    ]


def test_html_is_text_on_the_hubs_pages(clean: LiveHub) -> None:
    assert send(clean, HTML).json()["text"] == HTML
    page = home(clean, browser(clean, "ann"))
    assert "<script>alert(1)" not in page
    assert "Save &lt;b&gt;now&lt;/b&gt; &lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "text",
    ["", " \n ", "a" * 1001, "bell\a", "\x1b[2J", "nul\0", "turned\u202eround", "half\u2066turned", "\x9b31m", 7, None, ["text"]],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_control_characters_and_long_texts_are_refused(hub: LiveHub, text: Any) -> None:
    assert send(hub, text).status_code == 400
    assert shown(hub) == []


@pytest.mark.parametrize(
    ("group", "minutes"),
    [("nobody", 60), (["physics"], 60), ({"a": 1}, 60), ("", 0), ("", 10081), ("", "60"), ("", True), ("", 1.5), ("", None)],
)  # fmt: skip
def test_a_notice_to_no_group_or_for_no_time_is_refused(hub: LiveHub, group: Any, minutes: Any) -> None:
    assert send(hub, "Text", group, minutes).status_code == 400
    assert hub.call("POST", "/broadcasts", data="[1]").status_code == 400
    assert shown(hub) == []


def test_letters_of_all_languages_and_pictures_made_of_several_are_text(clean: LiveHub) -> None:
    for text in ("Räume\u00a0: Übung", "שלום", "👩\u200d🔬 at 9:00"):
        assert send(clean, text).status_code == 201


def test_there_are_never_more_than_people_read(clean: LiveHub) -> None:
    statuses = [send(clean, f"Notice {number}").status_code for number in range(broadcasts.MOST + 2)]
    assert statuses == [201] * broadcasts.MOST + [409, 409]


def test_a_user_neither_sends_nor_reads_nor_takes_back_what_admins_send(clean: LiveHub) -> None:
    number = send(clean, "To physics", "physics").json()["number"]
    window = browser(clean, "ann")
    headers = xsrf(home(clean, window))
    program = {"Authorization": f"token {clean.call('POST', '/users/ann/tokens').json()['token']}"}
    notice = {"text": "From ann", "group": "", "minutes": 60}
    url = f"{clean.url}/hub/api/broadcasts"
    for caller, given in ((window, headers), (requests, program), (requests, {})):
        assert caller.get(url, headers=given, timeout=30).status_code == 403
        assert caller.post(url, json=notice, headers=given, timeout=30).status_code == 403
        assert caller.delete(f"{url}/{number}", headers=given, timeout=30).status_code == 403
    assert [one["text"] for one in shown(clean)] == ["To physics"]


def test_who_may_change_only_some_users_sends_nothing(clean: LiveHub) -> None:
    """An admin's own token, made for one group."""
    asked = {"scopes": ["admin:users!group=physics", "list:users"]}
    token = clean.call("POST", "/users/kaben/tokens", json=asked).json()["token"]
    given = {"Authorization": f"token {token}"}
    notice = {"text": "To all", "group": "", "minutes": 60}
    assert requests.post(f"{clean.url}/hub/api/broadcasts", json=notice, headers=given, timeout=30).status_code == 403


def test_another_site_cannot_send_with_an_admins_cookies(clean: LiveHub) -> None:
    window = browser(clean, "kaben")
    notice = {"text": "From elsewhere", "group": "", "minutes": 60}
    url = f"{clean.url}/hub/api/broadcasts"
    assert window.post(url, json=notice, timeout=30).status_code == 403
    assert shown(clean) == []
    page = window.get(f"{clean.url}/hub/admin", timeout=30).text
    assert window.post(url, json=notice, headers=xsrf(page), timeout=30).status_code == 201
    number = shown(clean)[0]["number"]
    assert window.delete(f"{url}/{number}", timeout=30).status_code == 403
    assert len(shown(clean)) == 1


def test_a_hub_that_is_replaced_still_shows_it(tmp_path: Path) -> None:
    with live_hub.running(tmp_path) as hub:
        send(hub, "Before")
    with live_hub.running(tmp_path) as hub:
        assert [one["text"] for one in shown(hub)] == ["Before"]
        assert "Before" in home(hub, browser(hub, "ann"))
    with sqlite3.connect(tmp_path / broadcasts.FILE) as file:
        assert file.execute("select count(*) from broadcast").fetchone() == (1,)
