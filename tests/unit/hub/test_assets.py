"""JupyterLab's files on their way to a browser: gathered in the notebook image, taken by the hub, named by the page."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from hubdeploy.contract import labels
from tests.archive import tar
from tests.unit.hub import hub_image

NOTEBOOK = Path(__file__).parents[3] / "base-notebook"
MAIN, CORE, PART = "main.00112233445566aa.js", "jlab_core.0123456789abcdef.js", "219.fedcba9876543210.js"
CARRIED = {labels.DEPLOYMENT: "lab"}
A, B = "a" * 16, "b" * 16


def notebook_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, NOTEBOOK / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gather_assets, shared_assets = notebook_module("gather_assets"), notebook_module("shared_assets")
assets = hub_image.load("assets")


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """JupyterLab's own files: the script that its page names loads one part of two."""
    page = f'<script src="{{{{page_config.fullStaticUrl}}}}/{MAIN}?v=00112233445566aa"></script>'
    files = {"index.html": page, MAIN: "t.e(219)", CORE: "core", PART: "part", "77.0000000000000000.js": "later"}
    return write(tmp_path / "static", files | {"third-party-licenses.json": "{}", "a.woff": "font"})


@pytest.fixture
def extensions(tmp_path: Path) -> list[Path]:
    """Two folders of extensions: the first one has a `plot` of its own."""
    mine = {"plot/package.json": "{}", "plot/static/remoteEntry.js": "mine"}
    of_conda = {
        "plot/package.json": "{}", "plot/static/remoteEntry.js": "other", "plot/static/big.js": "big",
        "@org/tool/package.json": "{}", "@org/tool/static/remoteEntry.0011223344556677.js": "tool",
        "@org/tool/static/9.8899aabbccddeeff.js": "nine",
    }  # fmt: skip
    return [write(tmp_path / "mine", mine), write(tmp_path / "conda", of_conda)]


# -- put in front of plotly's extension ---------------------------------------------------------------------------------


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **build: str) -> Path:
    """Where the stand-in of an extension with this `_build` lies, if one is made."""
    package = {"name": "jupyterlab-plotly", "version": "7.1.0", "jupyterlab": {"_build": build}}
    write(folder, {"original/package.json": json.dumps(package)})
    made, script = folder / "mine", NOTEBOOK / "deferred" / "plotly.js"
    monkeypatch.setattr("sys.argv", ["", str(folder / "original"), str(made), str(script)])
    notebook_module("defer_plotly").main()
    return made


def test_plotlys_stand_in_has_its_name_and_finds_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stand_in(tmp_path, monkeypatch, load="static/remoteEntry.aa.js", mimeExtension="./mimeExtension")
    package = json.loads((made / "package.json").read_text())
    assert (package["name"], package["version"]) == ("jupyterlab-plotly", "7.1.0")
    script = (made / package["jupyterlab"]["_build"]["load"]).read_text()
    assert 'new URL("remoteEntry.aa.js", ' in script


def test_a_plotly_that_brings_more_than_a_renderer_has_no_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not stand_in(tmp_path, monkeypatch, load="a.js", mimeExtension="./m", extension="./e").exists()


# -- gathered in the image ----------------------------------------------------------------------------------------------


def test_equal_files_have_one_address_and_other_files_another(static: Path, extensions: list[Path]) -> None:
    first = gather_assets.digest(gather_assets.gathered(static, extensions))
    assert gather_assets.digest(gather_assets.gathered(static, extensions)) == first
    (extensions[1] / "@org/tool/static/9.8899aabbccddeeff.js").write_text("ten")
    assert gather_assets.digest(gather_assets.gathered(static, extensions)) != first


def test_the_first_visit_is_listed_as_the_page_asks_for_it(static: Path, extensions: list[Path]) -> None:
    files = gather_assets.gathered(static, extensions)
    assert json.loads(files["first-visit.json"]) == [
        f"static/{MAIN}?v=00112233445566aa",
        f"static/{CORE}?v=0123456789abcdef",
        f"static/{PART}?v=fedcba9876543210",
        "labextensions/plot/static/remoteEntry.js",
        "labextensions/@org/tool/static/9.8899aabbccddeeff.js?v=8899aabbccddeeff",
        "labextensions/@org/tool/static/remoteEntry.0011223344556677.js",
    ]


def test_an_extension_of_the_first_folder_wins_and_finds_the_other_ones_files(
    static: Path, extensions: list[Path]
) -> None:
    files = gather_assets.gathered(static, extensions)
    assert files["labextensions/plot/static/remoteEntry.js"] == b"mine"
    assert files["labextensions/plot/static/big.js"] == b"big"


def test_what_compresses_lies_there_compressed(static: Path, tmp_path: Path) -> None:
    gather_assets.write(gather_assets.gathered(static, []), tmp_path / "out")
    assert gzip.decompress((tmp_path / "out" / "static" / f"{CORE}.gz").read_bytes()) == b"core"
    assert (tmp_path / "out" / "static" / "a.woff").read_bytes() == b"font"
    assert not list(tmp_path.glob("out/static/*licenses*"))


# -- named by JupyterLab's page -----------------------------------------------------------------------------------------


def test_the_page_takes_from_the_hub_what_the_image_brought_and_no_extension_of_the_user(tmp_path: Path) -> None:
    folder = write(tmp_path, {"labextensions/@org/tool/static/remoteEntry.js.gz": ""})
    own = {"name": "mine", "load": "static/remoteEntry.js"}
    config = {
        "fullStaticUrl": "/user/ann/static/lab",
        "fullLabextensionsUrl": "/user/ann/lab/extensions",
        "federated_extensions": [{"name": "@org/tool", "load": "static/remoteEntry.js", "extension": "./x"}, own],
    }
    found = shared_assets.shared(config, f"/hub/static/assets/{A}", folder)
    assert found["fullStaticUrl"] == f"/hub/static/assets/{A}/static"
    # JupyterLab joins these three with slashes, and the browser resolves the dots.
    joined = "/user/ann/lab/extensions/@org/tool/" + found["federated_extensions"][0]["load"]
    resolved = str(Path("/", *resolved_parts(joined)))
    assert resolved == f"/hub/static/assets/{A}/labextensions/@org/tool/static/remoteEntry.js"
    assert found["federated_extensions"][0]["extension"] == "./x"
    assert found["federated_extensions"][1] == own
    assert config["fullStaticUrl"] == "/user/ann/static/lab"


def resolved_parts(path: str) -> list[str]:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part:
            parts.append(part)
    return parts


def test_a_changed_jupyterlab_is_served_by_its_own_server(static: Path, tmp_path: Path) -> None:
    gather_assets.write(gather_assets.gathered(static, []), tmp_path / "out")
    assert shared_assets.are_of(static, tmp_path / "out")
    (static / "index.html").write_text("main.ffffffffffffffff.js")
    assert not shared_assets.are_of(static, tmp_path / "out")
    assert not shared_assets.are_of(static, tmp_path / "of another image")


# -- taken by the hub ---------------------------------------------------------------------------------------------------


class Engine:
    """Images by name: their id, and their archive of assets if they have any."""

    def __init__(self, **images: tuple[str, bytes | None]) -> None:
        self.images, self.taken, self.servers = images, list[str](), list[str]()

    def inspect_image(self, image: str) -> dict[str, Any]:
        for name, (image_id, archive) in self.images.items():
            if image in (name, image_id):
                return {"Id": image_id, "Config": {"Labels": {labels.ASSETS: "/assets"} if archive else None}}
        raise ImageNotFound(image)

    def containers(self, filters: dict[str, list[str]]) -> list[dict[str, str]]:
        assert f"{labels.ROLE}={labels.SERVER}" in filters["label"]
        return [{"ImageID": one} for one in self.servers]

    timeout = 60

    def _url(self, path: str, image: str) -> str:
        assert path == "/images/{0}/assets"
        return image

    def get(self, image: str, timeout: int) -> SimpleNamespace:
        """The filter's answer to the one request that docker-py does not have."""
        self.taken.append(image)
        return SimpleNamespace(content=next(found for image_id, found in self.images.values() if image_id == image))

    def _raise_for_status(self, answer: SimpleNamespace) -> None:
        """The answer is one."""


def archive(digest: str, **files: bytes) -> bytes:
    return tar({f"assets/{digest}/{name}": content for name, content in {"first-visit.json": b"[]", **files}.items()})


def test_each_image_is_asked_once_for_its_files_also_by_a_hub_that_restarted(tmp_path: Path) -> None:
    engine = Engine(new=("sha256:1", archive(A)))
    served = assets.Assets(tmp_path / "served")
    assert [served.take(engine, "new") for _ in range(2)] == [A, A]
    assert assets.Assets(tmp_path / "served").take(engine, "new") == A
    assert engine.taken == ["sha256:1"]


def test_an_image_rebuilt_under_its_name_gives_its_new_files(tmp_path: Path) -> None:
    served = assets.Assets(tmp_path / "served")
    assert served.take(Engine(new=("sha256:1", archive(A))), "new") == A
    assert served.take(Engine(new=("sha256:2", archive(B))), "new") == B
    assert {path.name for path in (tmp_path / "served").iterdir() if path.is_dir()} == {A, B}


def test_a_new_hub_has_the_files_of_servers_that_run_on_an_older_image(tmp_path: Path) -> None:
    engine = Engine(new=("sha256:2", archive(B)), old=("sha256:1", archive(A)))
    engine.servers = ["sha256:1"]
    served = assets.Assets(tmp_path)
    served.take_all(engine, ["new"], CARRIED)
    assert (tmp_path / A).is_dir()
    assert served.take(engine, "new") == B


def test_a_hub_that_starts_forgets_what_no_server_needs(tmp_path: Path) -> None:
    engine = Engine(new=("sha256:2", archive(B)), old=("sha256:1", archive(A)))
    engine.servers = ["sha256:1"]
    assets.Assets(tmp_path).take_all(engine, ["new"], CARRIED)
    engine.servers = []
    assets.Assets(tmp_path).take_all(engine, ["new"], CARRIED)
    assert {path.name for path in tmp_path.iterdir()} == {B, "2.image"}


@pytest.mark.parametrize("image", ["foreign", "missing"])
def test_an_image_without_files_is_asked_for_none(image: str, tmp_path: Path) -> None:
    engine = Engine(foreign=("sha256:3", None))
    served = assets.Assets(tmp_path)
    assert served.take(engine, image) == ""
    assert served.first_visit() == []
    assert engine.taken == []


def test_the_hubs_pages_name_the_first_visit_below_the_digest(tmp_path: Path) -> None:
    served = assets.Assets(tmp_path)
    first = {"first-visit.json": b'["static/main.js?v=1"]'}
    served.take(Engine(new=("sha256:1", archive(A, **first))), "new")
    assert served.first_visit("new") == [f"assets/{A}/static/main.js?v=1"]


def test_the_first_visit_is_that_of_the_users_own_image_and_before_a_login_that_of_the_first_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "SERVED", assets.Assets(tmp_path))
    first, second = ({"first-visit.json": b'["%s.js"]' % name} for name in (b"first", b"second"))
    engine = Engine(
        one=("sha256:1", archive(A, **first)), two=("sha256:2", archive(B, **second)), other=("sha256:3", None)
    )
    assets.SERVED.take_all(engine, ["one", "two"], CARRIED)

    def reader(image: str = "") -> SimpleNamespace:
        return SimpleNamespace(spawners={"": SimpleNamespace(image=image)} if image else {})

    for _ in range(2):
        assert assets.first_visit(None) == assets.first_visit(reader()) == [f"assets/{A}/first.js"]
        assert assets.first_visit(reader("two")) == [f"assets/{B}/second.js"]
        assert assets.first_visit(reader("other")) == []
        assets.SERVED.take(engine, "other")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {A, B}


def test_an_archive_gives_files_and_none_outside_its_folder(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for name in (f"assets/{A}/first-visit.json", f"assets/{A}/../../out.js", f"assets/{A}/in.js"):
            made.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo(f"assets/{A}/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    assert assets.unpacked(packed.getvalue(), tmp_path / "served") == A
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert found == {f"served/{A}/first-visit.json", f"served/{A}/in.js"}


def test_files_that_cannot_be_taken_leave_nothing(tmp_path: Path) -> None:
    engine = Engine(new=("sha256:1", b"no archive"))
    assert assets.Assets(tmp_path).take(engine, "new") == ""
    assert list(tmp_path.iterdir()) == []


# -- sent to a browser --------------------------------------------------------------------------------------------------


SCRIPT = b"script" * 100


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's static files: a script of its pages; and in another folder an image's script and font, beside a secret."""
    files = {"static/a.js.gz": gzip.compress(SCRIPT), "static/a.woff": b"font"}
    hubs = write(tmp_path / "served", {"js/page.js": SCRIPT.decode()})
    (hubs / "js/page.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(assets, "SERVED", assets.Assets(tmp_path / "volume" / "assets"))
    assets.unpacked(archive(A, **files), assets.SERVED.folder)
    for place in (tmp_path, tmp_path / "volume"):
        (place / "secret.js").write_bytes(b"secret")
    return hubs


def answer(folder: Path, path: str, **headers: str) -> HTTPResponse:
    """What a hub with these static files answers."""
    handlers = [("/hub/static/(.*)", assets.FilesHandler, {"path": str(folder)})]

    async def ask() -> HTTPResponse:
        socket, port = bind_unused_port()
        server = HTTPServer(Application(handlers))
        server.add_socket(socket)
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(
                f"http://127.0.0.1:{port}{path}", headers=headers, decompress_response=False, raise_error=False
            )
        finally:
            server.stop()
            client.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("accepted", ["gzip, deflate, br", "identity", ""])
def test_a_script_is_sent_compressed_to_who_takes_it_and_kept_for_good(served: Path, accepted: str) -> None:
    found = answer(served, f"/hub/static/assets/{A}/static/a.js?v=1", **{"Accept-Encoding": accepted})
    compressed = "gzip" in accepted
    assert found.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert (gzip.decompress(found.body) if compressed else found.body) == SCRIPT
    assert "javascript" in found.headers["Content-Type"]
    assert found.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in found.headers["Cache-Control"]


def test_a_font_is_sent_as_it_lies(served: Path) -> None:
    found = answer(served, f"/hub/static/assets/{A}/static/a.woff", **{"Accept-Encoding": "gzip"})
    assert (found.body, found.headers.get("Content-Encoding")) == (b"font", None)


@pytest.mark.parametrize(
    "path",
    [
        f"{A}/static/none.js",
        f"{B}/static/a.js",
        f"{A}/../../secret.js",
        f"{A}/../../../secret.js",
        "../secret.js",
        "..%2fsecret.js",
        "%2e%2e/secret.js",
        f"{A}/%2e%2e/%2e%2e/%2e%2e/secret.js",
        "x/a.js",
    ],
)
def test_what_is_no_asset_is_not_found(served: Path, path: str) -> None:
    assert answer(served, f"/hub/static/assets/{path}").code in (403, 404)


@pytest.mark.parametrize(("query", "kept"), [("?v=1", "max-age=315360000"), ("", "no-cache")])
def test_the_hubs_pages_get_their_files_compressed_and_kept_by_version(served: Path, query: str, kept: str) -> None:
    found = answer(served, f"/hub/static/js/page.js{query}", **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(found.body) == SCRIPT
    assert found.headers["Cache-Control"] == kept
