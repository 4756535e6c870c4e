"""Which cards (GPUs) of a host are free, and how the engine is asked for one: one rule for hub, filter and plan. Pure.

A card is written as in GPUS: NVIDIA's number or UUID, a name of the Container Device Interface (CDI), or paths of devices with +
between. The container of a server holds its cards by a label. There is no other record, so nobody can forget one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from . import labels

# Between cards, and between the devices of one.
BETWEEN, AND = ",", "+"
DEVICES = "/dev/"
# Seconds in which a container that was made must be started; later it holds no card.
STARTED_WITHIN = 60.0
_RUN = frozenset(("running", "paused", "restarting"))
_MADE = "created"
# Images that are built on NVIDIA's ask for all cards in this variable; some engines' runtime obeys it for every container.
NVIDIA_VARIABLE, NONE = "NVIDIA_VISIBLE_DEVICES", "void"
# A container as the engine lists it.
Listed = Mapping[str, Any]


def own_device(card: str) -> str:
    """What tells a card from all others: its first device. Those behind it, such as /dev/kfd, may be many cards'."""
    return card.partition(AND)[0]


def is_path(card: str) -> bool:
    return card.startswith(DEVICES)


def is_of_nvidia(card: str) -> bool:
    """Whether NVIDIA's own driver hands it out."""
    return not is_path(card) and "=" not in card


def label(cards: Iterable[str]) -> str:
    return BETWEEN.join(cards)


def of_label(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(BETWEEN)))


def request(cards: Sequence[str]) -> dict[str, Any]:
    """The part of a container's HostConfig that gives it these cards, which are all of one form; nothing where there are none."""
    if not cards:
        return {}
    if is_path(cards[0]):
        paths = dict.fromkeys(path for card in cards for path in card.split(AND))
        return {"Devices": [{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"} for path in paths]}
    driver = "nvidia" if is_of_nvidia(cards[0]) else "cdi"
    capabilities = {"Capabilities": [["gpu"]]} if driver == "nvidia" else {}
    return {"DeviceRequests": [{"Driver": driver, "DeviceIDs": list(cards), **capabilities}]}


def environment(known: Sequence[str], cards: Sequence[str]) -> dict[str, str]:
    """What keeps a server from cards that are not its own, where the deployment has `known` ones."""
    by_driver = bool(cards) and is_of_nvidia(cards[0])
    return {NVIDIA_VARIABLE: NONE} if known and not by_driver else {}


def holders(containers: Iterable[Listed], now: float, but: str = "") -> dict[str, Listed]:
    """Own device -> the container that holds its card, of those that the engine lists, at `now` (seconds since the epoch).

    A container that ended holds none. `but` is the id of a container that is about to start: its cards are left out, and so are
    the cards of containers that were made after it and do not run. So of two that were made for one card the first has it.
    """
    there = list(containers)
    mine = next((one for one in there if one["Id"] == but), None)
    return {
        own_device(card): one
        for one in there
        if one is not mine and _holds(one, now) and not (mine and one["State"] == _MADE and _age(one) > _age(mine))
        for card in of_label((one.get("Labels") or {}).get(labels.CARDS, ""))
    }


def _holds(container: Listed, now: float) -> bool:
    is_new = container["State"] == _MADE and now - float(container["Created"]) < STARTED_WITHIN
    return container["State"] in _RUN or is_new


def _age(container: Listed) -> tuple[float, str]:
    return float(container["Created"]), str(container["Id"])


def free(known: Iterable[str], held: Collection[str]) -> list[str]:
    """The cards of the deployment that nobody holds, in their order; `held` are own devices."""
    return [card for card in known if own_device(card) not in held]
