"""What every answer of the proxy has, and what none says."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable

import pytest
import requests

from tests.hub.clone import Clone
from tests.hub.person import Person


@pytest.fixture
def running(hub: Clone, logged_in: Callable[[str], Person]) -> Person:
    person = logged_in("linus")
    person.start_server()
    return person


@pytest.mark.parametrize("path", ["/hub/login", "/hub/api/", "/user/linus/api/status", "/user/linus/lab", "/nothing"])
def test_answers_name_no_version_and_keep_other_sites_out(running: Person, path: str) -> None:
    headers = running.call("GET", path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "same-origin"
    assert not {"Server", "X-JupyterHub-Version", "Strict-Transport-Security"} & headers.keys()


def test_who_forges_where_they_come_from_changes_nothing(hub: Clone, running: Person) -> None:
    """In the users' network too: a server may ask the proxy."""
    forged = {"X-Forwarded-For": "192.0.2.99", "X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "http"}
    answer = running.call("GET", "/hub/login", headers=forged, allow_redirects=False)
    assert "elsewhere.example" not in f"{answer.headers}{answer.text}"
    code = f"""
import ssl, urllib.request
unchecked = ssl._create_unverified_context()
asked = urllib.request.Request("https://{hub.settings.proxy_name}:8443/hub/login", headers={forged!r})
print("elsewhere.example" in urllib.request.urlopen(asked, context=unchecked).read().decode())
"""
    kernel = running.open_kernel()
    assert kernel.run(code) == "False\n"
    kernel.close()
    assert "192.0.2.99" not in hub.container(hub.settings.hub_name).logs(tail=1000).decode()


def test_cookies_of_a_login_are_sent_by_tls_alone_and_no_script_reads_them(hub: Clone) -> None:
    browser, login = requests.Session(), f"{hub.url}/hub/login"
    browser.verify, browser.trust_env = str(hub.settings.certificate_path), False
    answers = [browser.get(login, timeout=30)]
    form = {"username": "ada", "password": hub.user_password, "_xsrf": browser.cookies["_xsrf"]}
    answers.append(browser.post(login, data=form, timeout=30, allow_redirects=False))
    assert answers[1].status_code == 302
    lines = [line for answer in answers for line in answer.raw.headers.getlist("Set-Cookie")]
    cookies = {line.partition("=")[0]: line.lower() for line in lines}
    assert {"jupyterhub-hub-login", "jupyterhub-session-id"} <= cookies.keys()
    assert [name for name, line in cookies.items() if "; secure" not in line] == []
    assert [name for name, line in cookies.items() if "; httponly" not in line and name != "_xsrf"] == []


def test_old_versions_of_tls_are_refused(hub: Clone) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", hub.settings.hub_port), timeout=10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(plain, server_hostname="localhost")
