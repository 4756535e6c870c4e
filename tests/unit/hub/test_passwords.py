"""The file of passwords and invitations, with a clock of the test's; which passwords may be chosen."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm

from tests.unit.hub import hub_image

WEEK = 7 * 24 * 3600.0
passwords = hub_image.load("passwords")
rules = hub_image.load("password_rules")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Any:
    return passwords.Passwords(tmp_path / passwords.FILE, clock)


def state(store: Any, digest: str) -> str:
    return str(store.invitation(digest).state)


def test_an_invitation_gives_a_password_once(store: Any) -> None:
    store.invite("ada", "digest")
    assert store.redeem("digest", "first").account == "ada"
    assert store.redeem("digest", "second").state == "used"
    assert store.hash_of("ada") == "first"


def test_an_invitation_lasts_a_week(store: Any, clock: Clock) -> None:
    assert store.invite("ada", "digest") == clock.seconds + WEEK
    clock.seconds += WEEK - 1
    assert state(store, "digest") == "open"
    clock.seconds += 1
    assert store.redeem("digest", "hash").state == "expired"
    assert store.hash_of("ada") is None


def test_a_newer_invitation_withdraws_the_older_one_of_that_account_alone(store: Any) -> None:
    for account, digest in (("ada", "older"), ("bob", "of bob"), ("ada", "newer")):
        store.invite(account, digest)
    assert [state(store, one) for one in ("older", "of bob", "newer")] == ["withdrawn", "open", "open"]


def test_an_invitation_is_withdrawn_by_hand_once(store: Any) -> None:
    store.invite("ada", "digest")
    assert (store.withdraw("ada"), store.withdraw("ada")) == (True, False)
    assert store.redeem("digest", "hash").state == "withdrawn"
    assert store.hash_of("ada") is None


def test_what_was_used_stays_used_when_a_newer_one_comes(store: Any) -> None:
    store.invite("ada", "first")
    store.redeem("first", "hash")
    store.invite("ada", "second")
    assert state(store, "first") == "used"
    assert store.hash_of("ada") == "hash"


def test_a_changed_password_withdraws_the_open_invitation(store: Any) -> None:
    store.invite("ada", "digest")
    store.keep("ada", "hash")
    assert state(store, "digest") == "withdrawn"


def test_nothing_is_known_of_another_token(store: Any) -> None:
    store.invite("ada", "digest")
    assert store.redeem("other", "hash") == passwords.Invitation("unknown")


def test_old_invitations_leave_the_file(store: Any, clock: Clock) -> None:
    store.invite("ada", "digest")
    clock.seconds += 98 * 24 * 3600
    store.invite("bob", "of bob")
    assert state(store, "digest") == "unknown"


def test_a_forgotten_account_has_neither_password_nor_invitation(store: Any) -> None:
    for account in ("ada", "bob"):
        store.keep(account, f"hash of {account}")
        store.invite(account, f"digest of {account}")
    store.keep_only(["bob"])
    assert (store.hash_of("ada"), state(store, "digest of ada")) == (None, "unknown")
    assert (store.hash_of("bob"), state(store, "digest of bob")) == ("hash of bob", "open")


def test_statuses_name_who_has_a_password_or_a_link(store: Any, clock: Clock) -> None:
    store.keep("ada", "hash")
    store.invite("bob", "digest")
    store.invite("cleo", "withdrawn")
    store.withdraw("cleo")
    Status = passwords.Status
    assert store.statuses() == {
        "ada": Status(password_since=clock.seconds),
        "bob": Status(invited_until=clock.seconds + WEEK),
    }


def test_a_renewed_hash_never_brings_an_earlier_password_back(store: Any) -> None:
    store.keep("ada", "old")
    store.keep("ada", "new")
    store.renew("ada", "old", "old, hashed anew")
    assert store.hash_of("ada") == "new"


def test_of_many_at_once_one_gets_the_password(store: Any) -> None:
    store.invite("ada", "digest")
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(store.redeem("digest", "hash").state)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["open", *["used"] * 7]


def test_only_the_hub_may_read_the_file(store: Any) -> None:
    store.keep("ada", "hash")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


@pytest.fixture
def database(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Accounts in a database of JupyterHub's, by SQLite and after JupyterHub did something to it."""
    session = orm.new_session_factory(f"sqlite:///{tmp_path}/jupyterhub.sqlite")()

    def after(name: str) -> dict[str, str]:
        present = orm.User.find(session, name)
        if present:
            session.delete(present)
        else:
            session.add(orm.User(name=name))
        session.commit()
        by_jupyterhub = {user.name: passwords.account(user.id, user.created) for user in session.query(orm.User)}
        by_sqlite: dict[str, str] = passwords.accounts(tmp_path / "jupyterhub.sqlite")
        assert by_sqlite == by_jupyterhub
        return by_sqlite

    return after


def test_who_is_deleted_and_added_again_is_another_account(database: Callable[[str], dict[str, str]]) -> None:
    before = database("ada")["ada"]
    database("ada")
    again = database("ada")["ada"]
    # SQLite gave the same number again.
    assert before.split()[0] == again.split()[0]
    assert before != again


def test_strangers_are_forgotten_and_users_stay(
    store: Any, tmp_path: Path, database: Callable[[str], dict[str, str]]
) -> None:
    ada, bob = database("ada")["ada"], database("bob")["bob"]
    for account in (ada, bob):
        store.keep(account, "hash")
    database("ada")
    passwords.forget_strangers(tmp_path, tmp_path / "jupyterhub.sqlite")
    assert (store.hash_of(ada), store.hash_of(bob)) == (None, "hash")


def test_a_database_without_users_has_no_accounts(tmp_path: Path) -> None:
    assert passwords.accounts(tmp_path / "none.sqlite") == {}
    with closing(sqlite3.connect(tmp_path / "empty.sqlite")) as empty:
        empty.execute("create table other (id)")
    assert passwords.accounts(tmp_path / "empty.sqlite") == {}


@pytest.mark.parametrize(
    "password",
    [
        "violet-otter-42-lamp",
        "correct horse battery",
        "mvk3-xq7p-tt2z",
        "мой дядя самых честных",
        "x7" + "q9" * 3 + "-kelp moss",
    ],
)
def test_a_password_that_nobody_guesses_soon_is_taken(password: str) -> None:
    assert rules.fault(password, "ada") == ""


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("kelp-moss", "at least 10"),
        ("k" * 300, "at most 200"),
        (" " * 12, "can be seen"),
        ("password123", "easy to guess"),
        ("Password2024!", "easy to guess"),
        ("qwertyuiop12", "easy to guess"),
        ("jupyterhub1", "easy to guess"),
        ("aaaaaaaaaaaaaa", "easy to guess"),
        ("adalovelace1", "your name"),
        ("AdaLovelace-adalovelace", "your name"),
    ],
)
def test_a_password_that_somebody_tries_early_is_refused_in_words(password: str, words: str) -> None:
    assert words in rules.fault(password, "adalovelace")


def test_of_a_flood_of_characters_little_is_hashed() -> None:
    assert len(rules.prepared("a" * 10**7)) <= 1000


def test_an_accent_is_the_same_from_every_keyboard() -> None:
    assert rules.prepared("caf\u00e9") == rules.prepared("cafe\u0301")
