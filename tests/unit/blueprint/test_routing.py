"""Traefik's files: what they say, and that equal input gives equal bytes."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.blueprint import pages, routing
from hubdeploy.blueprint.components import proxy
from hubdeploy.contract.documents import Secret
from hubdeploy.tls.certificates import Pair

PROXY = Path(__file__).parents[3] / "proxy"
PASSWORD = "a-long-random-password"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def files(
    certificate: bytes = b"CERT", key: bytes = b"KEY", password: str = PASSWORD, *, tls_alone: bool = False
) -> dict[str, bytes]:
    written = routing.dynamic_files(Secret(password), Pair(certificate, Secret(key)), tls_alone=tls_alone)
    # Ours in the dynamic directory by their names, the certificate's by their paths.
    folder = f"{routing.DYNAMIC_DIRECTORY}/"
    return {path.removeprefix(folder): content.reveal() for path, content in written.items()}


def toml(content: bytes) -> dict[str, Any]:
    return tomllib.loads(content.decode())


def default_certificate(content: dict[str, bytes]) -> dict[str, str]:
    pair: dict[str, str] = toml(content["tls.toml"])["tls"]["stores"]["default"]["defaultCertificate"]
    return pair


def test_routes_without_tls_of_their_own_are_served_by_tls() -> None:
    # the hub's routes carry none: without this each request is 404
    assert "tls" in toml(routing.static_config())["entryPoints"]["https"]["http"]


def test_only_https_listens_on_all_addresses() -> None:
    entry_points = toml(routing.static_config())["entryPoints"]
    everywhere = {name for name, point in entry_points.items() if point["address"].startswith(":")}
    assert everywhere == {"https"}


def test_new_routes_are_taken_at_once() -> None:
    assert toml(routing.static_config())["providers"]["providersThrottleDuration"] == "0s"


def test_nothing_is_sent_home() -> None:
    assert set(toml(routing.static_config())["global"].values()) == {False}


def test_equal_input_gives_equal_bytes() -> None:
    assert routing.static_config() == routing.static_config()
    assert list(files().items()) == list(files().items())


def test_tls_toml_names_the_certificate_and_comes_last() -> None:
    content = files()
    assert list(content)[-1] == "tls.toml"
    assert {content[path] for path in default_certificate(content).values()} == {b"CERT", b"KEY"}


def test_the_key_lies_where_the_hub_does_not_look() -> None:
    assert not [path for path in default_certificate(files()).values() if path.startswith(routing.DYNAMIC_DIRECTORY)]


def test_another_certificate_or_key_goes_into_another_folder() -> None:
    folders = {
        default_certificate(files(certificate, key))["keyFile"]
        for certificate, key in ((b"CERT", b"KEY"), (b"CERT2", b"KEY"), (b"CERT", b"KEY2"), (b"CERTK", b"EY"))
    }
    assert len(folders) == 4


def test_the_api_asks_for_the_hubs_password_and_the_file_does_not_hold_it() -> None:
    content = files()["api.toml"]
    assert PASSWORD.encode() not in content
    (login,) = toml(content)["http"]["middlewares"]["hub-only"]["basicAuth"]["users"]
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    assert login == "hub:{SHA}" + digest


def test_the_api_is_on_its_own_entry_point_only() -> None:
    (router,) = toml(files()["api.toml"])["http"]["routers"].values()
    assert router["entryPoints"] == ["auth_api"]
    assert router["middlewares"] == ["hub-only"]


def test_a_password_that_looks_like_toml_stays_a_password() -> None:
    assert set(toml(files(password='"]\n[http]')["api.toml"])) == {"http"}


@pytest.mark.parametrize("tls_alone", [False, True])
def test_browsers_are_told_to_ask_by_tls_alone_only_where_nothing_else_can_be_meant(tls_alone: bool) -> None:
    (middleware,) = toml(files(tls_alone=tls_alone)["headers.toml"])["http"]["middlewares"].values()
    assert ("stsSeconds" in middleware["headers"]) == tls_alone


def test_pages_take_the_place_of_the_proxys_words_and_keep_the_status() -> None:
    http = toml(files()["pages.toml"])["http"]
    errors = {name: one["errors"] for name, one in http["middlewares"].items()}
    assert {name: one["query"] for name, one in errors.items()} == {
        "hub-away": "/hub.html",
        "server-away": "/server.html",
        "no-route": "/hub.html",
    }
    assert errors["hub-away"]["status"] == errors["server-away"]["status"] == ["502", "504"]
    assert all(one["query"].removeprefix("/") in pages.pages("lab") for one in errors.values())


def test_no_route_is_taken_by_the_page_before_any_of_the_hubs() -> None:
    (router,) = toml(files()["pages.toml"])["http"]["routers"].values()
    assert router["priority"] == 1
    assert "text/html" in router["rule"]


def test_the_proxys_image_serves_the_pages_where_traefik_asks_for_them() -> None:
    script, dockerfile = ((PROXY / name).read_text() for name in ("start-proxy.sh", "Dockerfile"))
    assert f"busybox httpd -p {routing.PAGES_ADDRESS} -h {proxy.PAGES_DIRECTORY}\n" in script
    assert f"http://{routing.PAGES_ADDRESS}/hub.html" in dockerfile
    assert f"mkdir {proxy.DIRECTORY} {proxy.PAGES_DIRECTORY}\n" in dockerfile
    (server,) = toml(files()["pages.toml"])["http"]["services"]["pages"]["loadBalancer"]["servers"]
    assert server["url"] == f"http://{routing.PAGES_ADDRESS}"


@pytest.mark.parametrize("name", pages.pages("lab"))
def test_a_page_needs_no_other_file(name: str) -> None:
    page = pages.pages("<lab> & co", PNG)[name].decode()
    assert "&lt;lab&gt; &amp; co</header>" in page
    assert not re.search(r"""\b(src|href|url)\b\s*[=(]\s*["'/](?!data:)""", page)
    assert "$" not in page
    assert 'role="status"' in page


@pytest.mark.parametrize("name", pages.pages("lab"))
def test_a_page_shows_the_operators_logo_and_without_one_the_title_alone(name: str) -> None:
    (picture,) = re.findall(r'<header><img src="data:image/png;base64,([^"]*)" alt="">', _page(name, PNG))
    assert base64.b64decode(picture) == PNG
    assert "<header>lab</header>" in _page(name, b"")


def _page(name: str, logo: bytes) -> str:
    return pages.pages("lab", logo)[name].decode()
