"""How failed logins are slowed down, on a clock that stands still."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.unit.hub import hub_image

ADDRESS = "192.0.2.7"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def module() -> ModuleType:
    return hub_image.load("tries")


def fail(tries: object, times: int, name: str = "ann", address: str = ADDRESS) -> list[int]:
    return [tries.begin(name, address) for _ in range(times)]  # type: ignore[attr-defined]


def test_pauses_grow_and_are_bounded(module: ModuleType, clock: Clock) -> None:
    tries = module.Tries(clock)
    assert fail(tries, 6) == [0, 0, 0, 0, 0, 2]
    pauses = []
    for _ in range(60):
        pauses.append(tries.begin("ann", ADDRESS))
        clock.now += pauses[-1]
        assert tries.begin("ann", ADDRESS) == 0
    assert pauses[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert set(pauses[9:]) == {300}


def test_a_try_during_a_pause_does_not_lengthen_it(module: ModuleType, clock: Clock) -> None:
    tries = module.Tries(clock)
    fail(tries, 105)
    clock.now += 2
    assert tries.begin("ann", ADDRESS) == 0


def test_other_names_and_other_addresses_go_on(module: ModuleType, clock: Clock) -> None:
    tries = module.Tries(clock)
    fail(tries, 6)
    assert (tries.begin("bob", ADDRESS), tries.begin("ann", "192.0.2.8")) == (0, 0)


def test_one_network_of_ipv6_is_one_address(module: ModuleType, clock: Clock) -> None:
    tries = module.Tries(clock)
    assert [tries.begin("ann", f"2001:db8::{one}") for one in range(6)][-1] == 2
    assert tries.begin("ann", "2001:db8:0:1::1") == 0


def test_a_success_and_an_hour_make_forget(module: ModuleType, clock: Clock) -> None:
    tries = module.Tries(clock)
    fail(tries, 5)
    tries.succeeded("ann", ADDRESS)
    assert fail(tries, 5) == [0] * 5
    clock.now += 3601
    assert fail(tries, 5) == [0] * 5


def test_its_size_is_bounded(module: ModuleType, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    tries = module.Tries(clock)
    fail(tries, 6)
    for name in ("a", "b", "c"):
        tries.begin(name, ADDRESS)
    assert tries.begin("ann", ADDRESS) == 0
