"""A company's own certificate authority, and a web site whose certificate it signed: what EXTRA_CA_BUNDLE is for.

The authority's certificate is the same in every run, byte for byte: images that trust it are in the builder's cache.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Signs certificates; `pem` is its own. Everybody can know its key: trust it in tests only."""

    def __init__(self) -> None:
        # An Ed25519 signature has no chance in it, so equal words give an equal certificate.
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"authority of the tests").digest())
        self._name = _named("hubdeploy's tests")
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.pem = builder.sign(self._key, None).public_bytes(_PEM)

    def pair(self, host: str) -> tuple[bytes, bytes]:
        """Certificate and key, as PEM, for a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(host))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return builder.sign(self._key, None).public_bytes(_PEM), private

    def tls(self, host: str, folder: Path) -> ssl.SSLContext:
        """What a server on `host` shows; `folder` keeps its files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self.pair(host)
        (folder / "site.crt").write_bytes(certificate)
        (folder / "site.key").write_bytes(key)
        context.load_cert_chain(folder / "site.crt", folder / "site.key")
        return context


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@contextmanager
def site(address: str, tls: ssl.SSLContext) -> Iterator[str]:
    """URL of a web site on this machine while it is entered."""
    server = ThreadingHTTPServer((address, 0), _Answering)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://{address}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
