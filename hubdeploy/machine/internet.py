"""Finds out what this machine reaches on the internet, and whether something on the way intercepts TLS.

Sends HEAD requests with a deadline, nothing else. A missing network is an answer, not an error.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import certifi
import requests

from hubdeploy.errors import DeployError
from hubdeploy.tls.chain import MACHINE_BUNDLES

# A proxy that must look up and re-sign may take seconds; a closed network mostly refuses at once.
_WITHIN = 10.0

Verdict = Literal["trusted", "distrusted", "unreachable"]
Verify = Callable[[str, Path], Verdict]


def bundles(environ: Mapping[str, str]) -> list[Path]:
    """The files of authorities that this machine's programs trust: the system's, then the files that the environment names."""
    named = [environ.get(key, "") for key in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    return [Path(name) for name in dict.fromkeys([*MACHINE_BUNDLES, *named]) if name and Path(name).is_file()]


def package_index() -> str | None:
    """The URL of pip's default package index, which builds use; None without pip."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        return None
    return str(PyPI.simple_url)


def answers(url: str, trusted: Path | None) -> bool:
    """True if `url` answers here; `trusted` holds the authorities, None means the well-known ones."""
    try:
        return requests.head(url, verify=str(trusted or certifi.where()), timeout=_WITHIN, allow_redirects=True).ok
    except requests.RequestException:
        return False


def verdict(url: str, bundle: Path) -> Verdict:
    """Whether the server's certificate is signed by an authority of `bundle`."""
    try:
        requests.head(url, verify=str(bundle), timeout=_WITHIN, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        return "distrusted" if _is_about_the_certificate(error) else "unreachable"
    return "trusted"


def interceptors_bundle(url: str | None, candidates: Sequence[Path], verify: Verify = verdict) -> Path | None:
    """The first of `candidates` that has the authority which intercepts TLS here; None if nothing intercepts it.

    A public server's certificate verifies with the well-known authorities, unless an interceptor replaced it. Raises
    DeployError if no candidate has the interceptor's authority.
    """
    if url is None or verify(url, Path(certifi.where())) != "distrusted":
        return None
    for bundle in candidates:
        if verify(url, bundle) == "trusted":
            return bundle
    raise DeployError(
        wanted=f"a connection to {urlsplit(url).hostname} whose certificate can be trusted",
        found="this network shows a certificate of an authority that neither the public nor this machine knows",
        fix="have your network's authority added to this machine (Debian and Ubuntu: lay its .crt in"
        " /usr/local/share/ca-certificates, then update-ca-certificates), or set EXTRA_CA_BUNDLE to its file",
    )


def _is_about_the_certificate(error: BaseException | None) -> bool:
    """The libraries wrap OpenSSL's refusal several times over."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
