"""Draws docs/deployment.svg: containers, networks and volumes of a deployment with default settings.

The picture comes from the blueprint, so it shows what `up` creates and cannot go stale: a test draws it again and
compares the bytes. `described` turns the blueprint into a Drawing, and is all that knows the blueprint. Everything below
lays out any number of boxes. Equal input gives equal bytes; no font, clock or library decides anything. The module is
long because half of it is what an SVG needs: colours for light and dark, and lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from hubdeploy.blueprint import documents, draw
from hubdeploy.blueprint.component import Facts
from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.contract.documents import Secret
from hubdeploy.settings.declarations import Settings, defaults
from hubdeploy.tls.certificates import Pair

PICTURE = Path(__file__).parents[1] / "docs" / "deployment.svg"
COMMAND = ".venv/test/bin/python -m develop.picture"


@dataclass(frozen=True)
class Box:
    """A container, or with `stacked` many of one kind. `networks` and `stores` are names; `published` are addresses that
    browsers reach."""

    title: str
    lines: tuple[str, ...]
    networks: tuple[str, ...]
    stores: tuple[str, ...]
    published: tuple[str, ...] = ()
    stacked: bool = False


@dataclass(frozen=True)
class Network:
    name: str
    note: str = ""


@dataclass(frozen=True)
class Store:
    """What containers mount: a volume, or a path of the host. `lines` say where each container has it."""

    name: str
    lines: tuple[str, ...]
    kind: Literal["volume", "path"] = "volume"
    stacked: bool = False


@dataclass(frozen=True)
class Drawing:
    boxes: tuple[Box, ...]
    networks: tuple[Network, ...]
    stores: tuple[Store, ...]


def described(settings: Settings) -> Drawing:
    """What the blueprint for these settings holds."""
    facts = Facts(0, None, {}, Pair(b"", Secret(b"")), Secret(""))
    containers = [one.container(settings, facts) for one in COMPONENTS]
    boxes = [
        Box(
            one.role,
            (one.name, one.image),
            tuple(attachment.network for attachment in one.attachments),
            tuple(mount.source for mount in one.mounts),
            tuple(f"{port.address}:{port.port}" for port in one.published),
        )
        for one in containers
    ]
    volumes = documents.user_volumes(settings)
    servers = Box(
        "users' servers",
        (settings.server_name_template, settings.notebook_image),
        (settings.network_name,),
        tuple(volume.name for volume in volumes),
        stacked=True,
    )
    places: dict[str, list[str]] = {}
    paths = set()
    for one in containers:
        for mount in one.mounts:
            places.setdefault(mount.source, []).append(f"{one.role}: {mount.target}")
            paths |= {mount.source} if mount.kind == "bind" else set()
    # The others are mounted by helpers alone.
    for volume in draw.volumes(settings):
        places.setdefault(volume.name, ["helpers of backups"])
    stores = [Store(name, tuple(lines), "path" if name in paths else "volume") for name, lines in places.items()]
    stores += [Store(volume.name, (f"server: {volume.target}",), stacked=True) for volume in volumes]
    networks = [Network(one.name, "no way out" if one.internal else "") for one in draw.networks(settings)]
    return Drawing((*boxes, servers), tuple(networks), tuple(stores))


# -- layout: lengths are pixels ---------------------------------------------------------------------------------------

_LETTER = 7.3  # A monospaced letter of 12 pixels is 7.2 wide.
_TITLE_LETTER = 8.6  # A bold letter of 14 pixels, as wide as they come on average.
_LINE = 18
_PADDING = 14
_GAP = 48
_MARGIN = 20
_BAR = 28
_BAR_STEP = 42
_LANE = 14
_STACK = 6  # How far the sheets of a stack stand out behind the first one.
_COLOURS = 3

_STYLE = """\
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
.title { font: bold 14px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif }
.small { fill: #59636e }
.paper { fill: #ffffff }
.host { fill: #f6f8fa; stroke: #d1d9e0 }
.box { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5 }
.outside { fill: #ffffff; stroke: #59636e; stroke-width: 1.5 }
.volume { fill: #fff8c5; stroke: #9a6700; stroke-width: 1.5 }
.path { fill: #ffebe9; stroke: #d1242f; stroke-width: 1.5; stroke-dasharray: 5 3 }
.line { fill: none; stroke: #59636e; stroke-width: 1.5 }
.mount { fill: none; stroke: #9a6700; stroke-width: 1.5 }
.head { fill: #59636e }
.net0 { fill: #dafbe1; stroke: #1a7f37; stroke-width: 1.5 } .tap0 { fill: #1a7f37; stroke: #1a7f37; stroke-width: 2 }
.net1 { fill: #fbefff; stroke: #8250df; stroke-width: 1.5 } .tap1 { fill: #8250df; stroke: #8250df; stroke-width: 2 }
.net2 { fill: #fff1e5; stroke: #bc4c00; stroke-width: 1.5 } .tap2 { fill: #bc4c00; stroke: #bc4c00; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.small { fill: #9198a1 }
.paper { fill: #0d1117 }
.host { fill: #151b23; stroke: #3d444d }
.box { fill: #10233f; stroke: #4493f8 }
.outside { fill: #0d1117; stroke: #9198a1 }
.volume { fill: #2d2407; stroke: #d29922 }
.path { fill: #301416; stroke: #f85149 }
.line { stroke: #9198a1 }
.mount { stroke: #d29922 }
.head { fill: #9198a1 }
.net0 { fill: #12261e; stroke: #3fb950 } .tap0 { fill: #3fb950; stroke: #3fb950 }
.net1 { fill: #211b36; stroke: #ab7df8 } .tap1 { fill: #ab7df8; stroke: #ab7df8 }
.net2 { fill: #2b1c10; stroke: #db6d28 } .tap2 { fill: #db6d28; stroke: #db6d28 }
}"""


@dataclass(frozen=True)
class Place:
    """Where something is drawn: left and upper edge, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    def port(self, number: int, count: int) -> float:
        """The x of one of so many lines that end at this place, evenly spread."""
        return self.x + self.width * (number + 1) / (count + 1)


@dataclass(frozen=True)
class Layout:
    browsers: Place
    host: Place
    bars: tuple[Place, ...]
    boxes: tuple[Place, ...]
    stores: tuple[Place, ...]
    width: float
    height: float


def laid_out(drawing: Drawing) -> Layout:
    """Networks as bars above the boxes, in the order given; what the boxes mount below, near those that mount it."""
    browsers_width = _PADDING * 2 + _TITLE_LETTER * len("browsers")
    published = [text for box in drawing.boxes for text in box.published]
    host_x = _MARGIN + browsers_width + _GAP / 2
    boxes_x = host_x + _GAP / 2 + _LETTER * max(map(len, published), default=0)
    bars_y = _MARGIN + _LINE + _PADDING * 2
    boxes_y = bars_y + _BAR_STEP * len(drawing.networks) + _PADDING
    box_height = _PADDING * 2 + _LINE * (1 + max(len(box.lines) for box in drawing.boxes))
    widths = [_PADDING * 2 + _text_width(box.title, box.lines) for box in drawing.boxes]
    boxes = _row(widths, boxes_x, boxes_y, box_height, _GAP)
    lanes = _LANE * (len(drawing.stores) + 1)
    store_height = _PADDING * 2 + _LINE * (1 + max(len(store.lines) for store in drawing.stores))
    # From left to right as the boxes that mount them, so that few lines cross.
    order = sorted(range(len(drawing.stores)), key=lambda at: _middle_of_mounting(drawing, drawing.stores[at]))
    widths = [_PADDING * 2 + _text_width("", _written(drawing.stores[at])) for at in order]
    row = _row(widths, host_x + _PADDING * 2, boxes[0].bottom + _PADDING + lanes, store_height, _GAP / 2)
    stores = tuple(row[order.index(at)] for at in range(len(order)))
    right = max(place.right for place in (*boxes, *stores)) + _PADDING + _STACK * 2
    host = Place(host_x, _MARGIN, right - host_x, max(place.bottom for place in stores) + _PADDING * 2 - _MARGIN)
    bars = []
    for number, network in enumerate(drawing.networks):
        joined = [place for box, place in zip(drawing.boxes, boxes, strict=True) if network.name in box.networks]
        bars.append(Place(joined[0].x, bars_y + number * _BAR_STEP, joined[-1].right - joined[0].x, _BAR))
    browsers = Place(_MARGIN, boxes_y, browsers_width, box_height)
    return Layout(browsers, host, tuple(bars), boxes, stores, host.right + _MARGIN, host.bottom + _MARGIN)


def _text_width(title: str, lines: Sequence[str]) -> float:
    return max(_TITLE_LETTER * len(title), *(_LETTER * len(line) for line in lines))


def _written(store: Store) -> tuple[str, ...]:
    return (f"{store.kind} {store.name}", *store.lines)


def _middle_of_mounting(drawing: Drawing, store: Store) -> float:
    """Where the boxes that mount a store stand on average, counted from the left; the last place if none does."""
    mounting = [at for at, box in enumerate(drawing.boxes) if store.name in box.stores]
    return sum(mounting) / len(mounting) if mounting else len(drawing.boxes)


def _row(widths: Sequence[float], x: float, y: float, height: float, gap: float) -> tuple[Place, ...]:
    """Places of these widths side by side, from `x` on."""
    places = []
    for width in widths:
        places.append(Place(round(x), round(y), round(width), round(height)))
        x = places[-1].right + gap
    return tuple(places)


# -- SVG --------------------------------------------------------------------------------------------------------------


def svg(drawing: Drawing) -> str:
    """The picture as SVG text; it follows the reader's choice of light or dark."""
    layout = laid_out(drawing)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" height="{layout.height:.0f}"'
        f' viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" role="img">',
        "<title>Containers, networks and volumes of a deployment</title>",
        f"<style>\n{_STYLE}\n</style>",
        _rect(Place(0, 0, layout.width, layout.height), "paper"),
        _rect(layout.host, "host", 10),
        _text(layout.host.x + _PADDING, layout.host.y + _PADDING + 12, "the engine's host", "title"),
        *_taps(drawing, layout),
        *_bars(drawing, layout),
        *_mounts(drawing, layout),
        *_boxes(drawing, layout),
        *_published(drawing, layout),
        *_stores(drawing, layout),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _taps(drawing: Drawing, layout: Layout) -> Iterable[str]:
    """A line from each box to the networks that it joins. It passes behind the bars of others."""
    for box, place in zip(drawing.boxes, layout.boxes, strict=True):
        for number, (network, bar) in enumerate(zip(drawing.networks, layout.bars, strict=True)):
            if network.name in box.networks:
                x = place.port(number, len(drawing.networks))
                yield f'<path class="tap{number % _COLOURS}" d="M{x:.0f} {place.y:.0f}V{bar.bottom:.0f}"/>'


def _bars(drawing: Drawing, layout: Layout) -> Iterable[str]:
    for number, (network, bar) in enumerate(zip(drawing.networks, layout.bars, strict=True)):
        yield _rect(bar, f"net{number % _COLOURS}", 6)
        text = f"network {network.name}{f', {network.note}' if network.note else ''}"
        yield _text(bar.x + _PADDING, bar.y + 18, text)
        for box, place in zip(drawing.boxes, layout.boxes, strict=True):
            if network.name in box.networks:
                x = place.port(number, len(drawing.networks))
                yield f'<circle class="tap{number % _COLOURS}" cx="{x:.0f}" cy="{bar.bottom:.0f}" r="4"/>'


def _mounts(drawing: Drawing, layout: Layout) -> Iterable[str]:
    """A line from each box to what it mounts. Each store has a lane of its own, in which the lines of all boxes that mount
    it join, so lines to different stores never lie on one another.
    """
    for number, (store, target) in enumerate(zip(drawing.stores, layout.stores, strict=True)):
        lane = layout.boxes[0].bottom + _PADDING + _LANE * (number + 0.5)
        for box, place in zip(drawing.boxes, layout.boxes, strict=True):
            if store.name in box.stores:
                below = sorted(box.stores, key=_position(drawing, layout))
                start = place.port(below.index(store.name), len(below))
                path = f"M{start:.0f} {place.bottom:.0f}V{lane:.0f}H{target.centre:.0f}V{target.y:.0f}"
                yield f'<path class="mount" d="{path}"/>'


def _position(drawing: Drawing, layout: Layout) -> Callable[[str], float]:
    places = {store.name: place.x for store, place in zip(drawing.stores, layout.stores, strict=True)}
    return places.__getitem__


def _boxes(drawing: Drawing, layout: Layout) -> Iterable[str]:
    for box, place in zip(drawing.boxes, layout.boxes, strict=True):
        for sheet in (2, 1, 0) if box.stacked else (0,):
            moved = Place(place.x + sheet * _STACK, place.y + sheet * _STACK, place.width, place.height)
            yield _rect(moved, "box", 6)
        yield _text(place.x + _PADDING, place.y + _PADDING + 12, box.title, "title")
        yield from _lines(place.x + _PADDING, place.y + _PADDING + 12 + _LINE, box.lines)


def _published(drawing: Drawing, layout: Layout) -> Iterable[str]:
    """An arrow from the browsers to each box that publishes a port; to one further right it passes above the boxes."""
    there = layout.browsers
    yield _rect(there, "outside", 6)
    yield _text(there.x + _PADDING, there.y + there.height / 2 + 5, "browsers", "title")
    for number, (box, place) in enumerate(zip(drawing.boxes, layout.boxes, strict=True)):
        if not box.published:
            continue
        y = place.y + place.height / 2
        if number == 0:
            yield f'<path class="line" d="M{there.right:.0f} {y:.0f}H{place.x - 8:.0f}"/>'
            yield f'<path class="head" d="M{place.x:.0f} {y:.0f}l-10 -5v10z"/>'
        else:
            y, down = there.y - _PADDING / 2, place.x + _PADDING
            yield f'<path class="line" d="M{there.centre:.0f} {there.y:.0f}V{y:.0f}H{down:.0f}V{place.y:.0f}"/>'
            yield f'<path class="head" d="M{down:.0f} {place.y:.0f}l-4 -7h8z"/>'
        yield from _lines(layout.host.x + 8, y - 8 - _LINE * (len(box.published) - 1), box.published)


def _stores(drawing: Drawing, layout: Layout) -> Iterable[str]:
    for store, place in zip(drawing.stores, layout.stores, strict=True):
        for sheet in (2, 1, 0) if store.stacked else (0,):
            moved = Place(place.x + sheet * _STACK, place.y + sheet * _STACK, place.width, place.height)
            yield _cylinder(moved) if store.kind == "volume" else _rect(moved, "path", 6)
        y = place.y + _PADDING + 14
        name, *lines = _written(store)
        yield _text(place.x + _PADDING, y, name)
        yield from _lines(place.x + _PADDING, y + _LINE, lines)


def _cylinder(place: Place) -> str:
    curve = f"{place.width / 2:.0f} 6 0 0"
    left, right, top, bottom = place.x, place.right, place.y + 6, place.bottom - 6
    return (
        f'<path class="volume" d="M{left:.0f} {top:.0f}V{bottom:.0f}A{curve} 0 {right:.0f} {bottom:.0f}V{top:.0f}'
        f'A{curve} 0 {left:.0f} {top:.0f}A{curve} 0 {right:.0f} {top:.0f}"/>'
    )


def _rect(place: Place, kind: str, radius: int = 0) -> str:
    size = f'width="{place.width:.0f}" height="{place.height:.0f}"'
    return f'<rect class="{kind}" x="{place.x:.0f}" y="{place.y:.0f}" {size} rx="{radius}"/>'


def _lines(x: float, y: float, lines: Sequence[str]) -> Iterable[str]:
    for number, line in enumerate(lines):
        yield _text(x, y + number * _LINE, line, "small")


def _text(x: float, y: float, text: str, kind: str = "name") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'


def picture() -> str:
    """docs/deployment.svg as it must be. Every name begins with NAME there, as in the documents."""
    return svg(described(defaults(name="NAME")))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
