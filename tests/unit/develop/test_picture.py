"""The picture of a deployment shows what the blueprint holds, and its layout holds for other blueprints."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

from develop import picture
from develop.picture import Box, Drawing, Network, Place, Store
from hubdeploy.blueprint import draw
from hubdeploy.settings.declarations import defaults

DRAWN = picture.described(defaults(name="NAME"))
GUARD = Box(
    "watch", ("NAME-watcher", "NAME/guard:latest"), ("NAME-watch",), ("NAME-rules",), ("0.0.0.0:80", "0.0.0.0:8080")
)
LARGER = Drawing(
    (*DRAWN.boxes, GUARD, replace(GUARD, title="canary", published=(), stores=("NAME-rules", "NAME-data"))),
    (*DRAWN.networks, Network("NAME-watch")),
    (*DRAWN.stores, Store("NAME-rules", ("guard: /rules", "canary: /srv/a-rather-long-path/rules", "hub: /rules"))),
)


def texts(svg: str) -> set[str]:
    """Every text in the picture, which must be well-formed XML."""
    return {element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}


def test_the_picture_is_drawn_from_the_blueprint() -> None:
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(), f"draw it anew: {picture.COMMAND}"


def test_it_names_everything_that_up_creates() -> None:
    found = defaults(name="NAME")
    shown = " ".join(texts(picture.picture()))
    assert all(f"network {one.name}" in shown for one in draw.networks(found))
    assert all(f"volume {one.name}" in shown for one in draw.volumes(found))
    assert all(one in shown for one in (found.proxy_name, found.hub_name, found.server_name_template, "127.0.0.1:443"))


def test_what_is_added_is_drawn() -> None:
    added = {"watch", "canary", "NAME-watcher", "0.0.0.0:8080", "network NAME-watch", "volume NAME-rules"}
    assert added <= texts(picture.svg(LARGER)) - texts(picture.svg(DRAWN))


def apart(one: Place, other: Place) -> bool:
    return one.right < other.x or other.right < one.x or one.bottom < other.y or other.bottom < one.y


def test_nothing_lies_on_anything_else_or_sticks_out() -> None:
    for drawing in (DRAWN, LARGER):
        layout = picture.laid_out(drawing)
        inside = [*layout.bars, *layout.boxes, *layout.stores]
        assert all(apart(one, other) for one, other in combinations([layout.browsers, *inside], 2))
        assert all(layout.host.x < one.x and one.right < layout.host.right for one in inside)
        assert all(layout.host.y < one.y and one.bottom < layout.host.bottom for one in inside)


def test_no_text_is_wider_than_what_it_stands_in() -> None:
    layout = picture.laid_out(LARGER)
    for box, place in zip(LARGER.boxes, layout.boxes, strict=True):
        assert max(map(len, box.lines)) * 7.25 < place.width - 14
    for store, place in zip(LARGER.stores, layout.stores, strict=True):
        assert max(map(len, (f"volume {store.name}", *store.lines))) * 7.25 < place.width - 14
