"""The surroundings of the model: the wire instead of an engine, a copy of the image folders without secrets, one RSA key,
and random values that are the same each time. All that does not depend on the settings is done once.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from unittest import mock

import docker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hubdeploy import family
from hubdeploy.blueprint import contexts
from hubdeploy.blueprint.contexts import Context
from hubdeploy.commands import discovery
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates
from tests.agreement.wire import Wire

CHECKOUT = Path(__file__).parents[2]
ENVIRON = {"DOCKER_HOST": "tcp://engine:2375"}
BROUGHT_BY = "Somebody Else"
KEYS = "https://keys.example.org:8443/jwks"
_KEPT_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
_new_key, _read_bundle, _read_context = certificates.new_key, certificates.read_bundle, contexts.read


@contextmanager
def crossed(settings: Settings) -> Iterator[Wire]:
    """Inside, deployments are loaded with `settings` and talk to the wire."""
    wire = _wire()
    volume = {}
    if settings.secrets_volume:
        certificate, key = brought(settings.hub_host)
        volume = {f"{settings.name}.crt": certificate, f"{settings.name}.key": key}
    wire.clear(volume)
    with ExitStack() as stack:
        for target, name, stand_in in (
            (loading, "load", lambda root, environ: settings),
            (docker, "APIClient", lambda **_: wire),
            (subprocess, "Popen", wire.run_command),
            (certificates, "new_key", _key),
            (certificates, "read_bundle", bundle),
            (contexts, "read", _context),
            (discovery, "fetch", lambda url, bundle: provider(settings.oidc_issuer)),
            (secrets, "token_hex", lambda count: "5e" * count),
            (secrets, "token_urlsafe", lambda count: "A" * (count * 4 // 3)),
            (secrets, "choice", lambda choices: choices[0]),
        ):
            stack.enter_context(mock.patch.object(target, name, stand_in))
        yield wire


@cache
def _wire() -> Wire:
    return Wire()


def new_folder() -> Path:
    """A temporary folder that lives as long as the process."""
    _KEPT_FOLDERS.append(tempfile.TemporaryDirectory(prefix="agreement-"))
    return Path(_KEPT_FOLDERS[-1].name)


@cache
def checkout() -> Path:
    """One new_checkout() for all callers that write nothing into it."""
    return new_checkout()


def new_checkout() -> Path:
    """The image folders and cert.conf, without the certificates and installers that this machine may hold."""
    root = new_folder()
    private = shutil.ignore_patterns("secrets", "installers", "__pycache__")
    shared = {path for member in family.FAMILY.values() for path in member.shared.values()}
    for name in {member.folder for member in family.FAMILY.values()} | {
        one for one in shared if (CHECKOUT / one).is_dir()
    }:
        shutil.copytree(CHECKOUT / name, root / name, ignore=private)
    return root


def provider(issuer: str | None) -> dict[str, Any]:
    """What a provider says of itself. Its keys are on a host of their own."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": KEYS,
        "scopes_supported": ["openid", "groups"],
    }


class _Kept(Context):
    """A context whose files are read once."""

    @cached_property
    def _digest(self) -> str:
        return super().digest()

    @cached_property
    def _tar(self) -> bytes:
        target = BytesIO()
        super().write_tar(target)
        return target.getvalue()

    def digest(self) -> str:
        return self._digest

    def write_tar(self, target: IO[bytes]) -> None:
        target.write(self._tar)


def _context(
    folder: Path,
    list_files: contexts.ListFiles,
    authorities: Sequence[bytes] = (),
    shared: Mapping[str, Path] | None = None,
) -> Context:
    return _kept_context(folder, list_files, tuple(authorities), tuple((shared or {}).items()))


@lru_cache(maxsize=64)
def _kept_context(
    folder: Path, list_files: contexts.ListFiles, authorities: tuple[bytes, ...], shared: tuple[tuple[str, Path], ...]
) -> Context:
    return _Kept(_read_context(folder, list_files, authorities, dict(shared)).files)


def bundle(path: Path, key: str = "") -> tuple[bytes, ...]:
    """The certificates of a bundle, read once."""
    state = path.stat()
    return _kept_bundle(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=32)
def _kept_bundle(path: Path, modified: int, size: int) -> tuple[bytes, ...]:
    return _read_bundle(path)


@cache
def _key(bits: int) -> Any:
    return _new_key(bits)


@cache
def authority() -> Path:
    """A bundle with one certificate, for EXTRA_CA_BUNDLE."""
    path = new_folder() / "authority.pem"
    path.write_bytes(brought("authority.example")[0])
    return path


def file_like(named: Path) -> Path:
    """A file that a setting of this value may name: a picture, or a bundle of authorities."""
    return picture() if named.suffix == ".svg" else authority()


@cache
def picture() -> Path:
    """A logo, for HUB_LOGO. A certificate is in it: the search gives every setting of a file every file."""
    path = new_folder() / "logo.svg"
    path.write_bytes(b"<svg><desc>\n" + authority().read_bytes() + b"</desc></svg>")
    return path


@lru_cache(maxsize=64)
def brought(host: str) -> tuple[bytes, bytes]:
    """Certificate and key as somebody may bring them for `host`: without the mark of a self-made one. The key is
    elliptic, as an RSA key takes longer to check than all the rest."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BROUGHT_BY)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
