"""TLS: makes the self-made certificate, checks any certificate and bundle. No other room imports OpenSSL or cryptography,
so this module is long.

A self-made certificate has a comment that says so and names its inputs, so a certificate that somebody brought is never
taken for ours. A key never shows in a repr or a message.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError, Problem, read_file
from hubdeploy.tls import openssl_conf

VALID_DAYS = 365
# A self-made certificate with fewer days left than this is made anew; from then on there is a warning of a brought one.
# It is usual to renew with a third of 90 days left.
RENEW_DAYS = 30
# What every current browser accepts; the old cert.conf asked for 1024.
LEAST_BITS = 2048
# The Netscape comment: a free text in a certificate, https://oid-base.com/get/2.16.840.1.113730.1.13
_COMMENT = x509.ObjectIdentifier("2.16.840.1.113730.1.13")
_MADE_BY = "self-made by hubdeploy from "
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# A host's name; an underscore is in names that people have.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_ASCII_ONLY = (NameOID.COUNTRY_NAME, NameOID.EMAIL_ADDRESS)
_SUBJECT = {
    "C": NameOID.COUNTRY_NAME, "countryname": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME, "stateorprovincename": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME, "localityname": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME, "organizationname": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "organizationalunitname": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME, "commonname": NameOID.COMMON_NAME,
    "emailaddress": NameOID.EMAIL_ADDRESS,
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What cert.conf and the settings ask of a self-made certificate."""

    subject: tuple[tuple[str, str], ...]
    bits: int
    names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its key, both PEM."""

    certificate: bytes
    key: Secret[bytes]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as a server shows it, in hexadecimal."""
        return hashlib.sha256(_leaf(self.certificate).public_bytes(serialization.Encoding.DER)).hexdigest()

    @property
    def expires(self) -> datetime:
        return _leaf(self.certificate).not_valid_after_utc

    @property
    def days(self) -> int:
        """Whole days that it is valid yet; negative once it has expired."""
        return (self.expires - datetime.now(UTC)).days

    @property
    def made_from(self) -> str | None:
        """The fingerprint of the request that it was self-made from; None if somebody brought it."""
        try:
            extension = _leaf(self.certificate).extensions.get_extension_for_oid(_COMMENT)
        except x509.ExtensionNotFound:
            return None
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        comment = extension.value.value[2:].decode("ascii", "replace")
        return comment.removeprefix(_MADE_BY) if comment.startswith(_MADE_BY) else None


def read_request(path: Path, host: str, *, bears_host: bool = True) -> Request:
    """The request in an OpenSSL `req` file: the subject from its distinguished_name section, the key's size from
    default_bits (raised to 2048); names are localhost, 127.0.0.1 and `host`, and what subjectAltName adds. Without
    `bears_host` it has `host` nowhere: a proxy that has a certificate for a name orders none.
    """
    sections = openssl_conf.read(path)
    section = openssl_conf.value(sections, "req", "distinguished_name") or ""
    where = path.name
    if section not in sections:
        fix = "write distinguished_name = SECTION under [ req ] and that section with lines such as CN = localhost"
        raise InputError(
            [Problem(where, "distinguished_name", "names no section of this file", "the subject's section", fix)]
        )
    subject, problems = _subject(where, sections, section)
    bits = openssl_conf.value(sections, "req", "default_bits") or str(LEAST_BITS)
    if not bits.isdecimal() or int(bits) > 8192:
        problems.append(
            Problem(where, "default_bits", f"{bits} is not a key size", f"{LEAST_BITS} to 8192", f"write {LEAST_BITS}")
        )
    added = []
    for kind, name in openssl_conf.alternative_names(sections):
        read = _alternative_name(kind, name)
        if read is None:
            shown = f"{kind}:{name}" if kind else name
            found = f"{shown if shown.isprintable() else ascii(shown)} is no name or address of a host"
            fix = "write such a name, or take this part away"
            problems.append(Problem(where, "subjectAltName", found, "DNS:hub.example.org or IP:192.0.2.7", fix))
        else:
            added.append(read)
    if problems:
        raise InputError(problems)
    # Equal for HUB_HOST=localhost and 127.0.0.1: after a change nobody must trust a new certificate.
    names = tuple(dict.fromkeys(("localhost", "127.0.0.1", host, *added)))
    if not bears_host:
        names = tuple(one for one in names if one.lower() not in (host.lower(), f"*.{host.lower().partition('.')[2]}"))
        common = NameOID.COMMON_NAME.dotted_string
        subject = (*(one for one in subject if one[0] != common), (common, "localhost"))
    return Request(subject, max(int(bits), LEAST_BITS), names)


def raised_bits(path: Path) -> str | None:
    """The key size in cert.conf if it is too small and was raised; else None."""
    asked = openssl_conf.value(openssl_conf.read(path), "req", "default_bits") or ""
    return asked if asked.isdecimal() and int(asked) < LEAST_BITS else None


def new_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make(request: Request) -> Pair:
    """A self-signed pair, valid from now for 365 days."""
    key = new_key(request.bits)
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in request.subject])
    now = datetime.now(UTC)
    comment = (_MADE_BY + request.fingerprint).encode("ascii")
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A browser's clock may be a little behind ours.
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in request.names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # An IA5String by hand: tag 0x16 and one length byte, as the comment is under 128 bytes.
        .add_extension(x509.UnrecognizedExtension(_COMMENT, bytes([0x16, len(comment)]) + comment), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), Secret(private))


def check(pair: Pair, *, certificate_name: str, key_name: str) -> None:
    """Raises InputError unless the pair belongs together and loads into a TLS context. Whether it has expired is not asked."""
    try:
        leaf, *others = x509.load_pem_x509_certificates(pair.certificate)
    except ValueError:
        raise _unfit(certificate_name, "holds no certificate that can be read", "a PEM certificate") from None
    try:
        # The slow test for primes is left out: a key of other numbers belongs to no certificate.
        key = serialization.load_pem_private_key(pair.key.reveal(), password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unfit(key_name, "holds no key that can be read", "a PEM private key without a passphrase") from None
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.use_certificate(leaf)
        context.use_privatekey(key)  # type: ignore[arg-type]
        context.check_privatekey()
    except (SSL.Error, TypeError):
        place = next((number for number, one in enumerate(others, start=2) if _is_key_of(key, one)), None)
        if place:
            found = f"is in the wrong order: the key belongs to certificate {place} in it"
            wanted = "the host's own certificate first, then the one that signed it, and so on"
            problem = Problem(certificate_name, "", found, wanted, "put the certificates into this order")
            raise InputError([problem]) from None
        raise _unfit(
            key_name, f"does not belong to {certificate_name}", "the key that the certificate was made for"
        ) from None


def _is_key_of(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def names(pair: Pair) -> tuple[str, ...]:
    """The names and addresses that a certificate is for, as browsers read them: its subject's CN does not count."""
    try:
        found = _leaf(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress)))


def is_for(pair: Pair, host: str) -> bool:
    """True if a browser accepts the certificate for `host`; `*` stands for one label, the first (RFC 9525, 6.3)."""
    either = {host.lower(), f"*.{host.lower().partition('.')[2]}"}
    return any(name.lower() in either for name in names(pair))


def read_bundle(path: Path, key: str = "EXTRA_CA_BUNDLE") -> tuple[bytes, ...]:
    """Every certificate of a PEM file, in order, without repeats; raises InputError when there is none. `key` names it."""
    found = []
    # Bundles hold a few old roots with odd serial numbers. The operator cannot change that, so nothing warns of it.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    for pem in dict.fromkeys(_PEM.findall(read_file(path, str(path), "a PEM file of certificates"))):
        try:
            x509.load_pem_x509_certificate(pem)
        except ValueError:
            continue
        found.append(pem + b"\n")
    if not found:
        wanted = "a PEM file with at least one certificate"
        raise InputError([Problem(key, "", f"{path} holds no certificate", wanted, "correct the path")])
    return tuple(found)


def _subject(
    where: str, sections: openssl_conf.Sections, section: str
) -> tuple[tuple[tuple[str, str], ...], list[Problem]]:
    """The subject's parts as (object id, value), and what is wrong with them."""
    parts, problems = [], []
    fields, wrong_lengths = openssl_conf.subject(sections, section)
    wanted = "a value that fits a subject"
    if not fields:
        found = "gives no value: without prompt = no the values there are questions, and KEY_default the answers"
        fix = "write prompt = no under [ req ] if these are the values"
        problems.append(Problem(where, section, found, "a subject, such as CN = localhost", fix))
    problems += [Problem(where, key, found, wanted, "correct the value") for key, found in wrong_lengths]
    for one in fields:
        oid = _SUBJECT.get(one.name) or _SUBJECT.get(one.name.lower())
        if oid is None:
            known = "C, ST, L, O, OU, CN or emailAddress"
            problems.append(Problem(where, one.key, "is not a part of a subject", known, "delete the line"))
            continue
        try:
            x509.NameAttribute(oid, one.value)
            if oid in _ASCII_ONLY:
                one.value.encode("ascii")
        except UnicodeEncodeError:
            problems.append(Problem(where, one.key, "holds letters beyond ASCII", wanted, "write it in ASCII"))
        except ValueError as error:
            problems.append(Problem(where, one.key, str(error), wanted, "correct the value"))
        parts.append((oid.dotted_string, one.value))
    return tuple(parts), problems


def _alternative_name(kind: str, name: str) -> str | None:
    """A name as it stands in a certificate, in ASCII (IDNA); None if it is no host's."""
    if kind == "IP":
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return None
    if kind != "DNS":
        return None
    # Imported here: it is seldom needed.
    import idna

    wildcard, rest = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        ascii_name = rest.lower() if rest.isascii() else idna.encode(rest, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
    return wildcard + ascii_name if _DNS_NAME.match(ascii_name) else None


def _unfit(name: str, found: str, wanted: str) -> InputError:
    fix = "bring a pair that fits, or delete both files: a self-made pair is made then"
    return InputError([Problem(name, "", found, wanted, fix)])


def _leaf(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
