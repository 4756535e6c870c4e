"""Brought certificates as they come: in the wrong order, without an intermediate, signed by an authority of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError
from hubdeploy.tls import certificates, chain
from hubdeploy.tls.certificates import Pair

OFFER = "http://ca.example/one.crt"


@dataclass(frozen=True)
class Signed:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> Secret[bytes]:
        plain = serialization.NoEncryption()
        return Secret(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def signed(name: str, by: Signed | None = None, *, authority: bool = True) -> Signed:
    """A certificate that names where its issuer's can be had."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(OFFER))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    )
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


ROOT = signed("Root")
OUTER = signed("Outer", ROOT)
INNER = signed("Inner", OUTER)
HOST = signed("hub.example.org", INNER, authority=False)


@pytest.fixture
def machine(tmp_path: Path) -> list[str]:
    """The authorities that a machine knows: the root among others."""
    path = tmp_path / "authorities.pem"
    path.write_bytes(signed("Another").pem + ROOT.pem)
    return [str(tmp_path / "none.pem"), str(path)]


def found(bundles: list[str], *certificates: Signed, authorities: tuple[bytes, ...] = ()) -> list[str]:
    pem = b"".join(one.pem for one in certificates)
    return [str(one) for one in chain.cautions(pem, "lab.crt", authorities, bundles)]


def test_a_whole_chain_with_or_without_its_root_is_fine(machine: list[str]) -> None:
    assert found(machine, HOST, INNER, OUTER) == []
    assert found(machine, HOST, INNER, OUTER, ROOT) == []


@pytest.mark.parametrize(
    ("given", "missing"), [((HOST,), "CN=Inner"), ((HOST, INNER), "CN=Outer"), ((HOST, OUTER), "CN=Inner")]
)
def test_a_missing_intermediate_is_named_with_where_it_is_offered(
    machine: list[str], given: tuple[Signed, ...], missing: str
) -> None:
    (caution,) = found(machine, *given)
    assert caution.startswith(f"an intermediate certificate is missing in lab.crt: {missing}, which signed")
    assert f"offered at {OFFER}" in caution


def test_the_wrong_order_is_named_and_nothing_is_missing(machine: list[str]) -> None:
    (caution,) = found(machine, HOST, OUTER, INNER)
    assert caution.startswith("the chain in lab.crt is in the wrong order: behind CN=hub.example.org stands CN=Outer")
    assert "put CN=Inner, which signed it, right behind it" in caution


def test_an_authority_of_ones_own_is_known_from_extra_ca_bundle(tmp_path: Path) -> None:
    other = tmp_path / "authorities.pem"
    other.write_bytes(signed("Another").pem)
    assert "CN=Root is your own authority" in found([str(other)], HOST, INNER, OUTER)[0]
    assert found([str(other)], HOST, INNER, OUTER, authorities=(ROOT.pem,)) == []
    assert found([str(other)], HOST, INNER, OUTER, ROOT) == []


def test_a_self_signed_certificate_has_no_chain_to_look_at(machine: list[str]) -> None:
    assert found(machine, signed("hub.example.org", authority=False)) == []


def test_a_machine_without_authorities_knows_nothing_that_is_missing() -> None:
    assert found([], HOST) == []


def test_a_chain_that_does_not_begin_with_the_hosts_own_certificate_is_refused_by_that_name() -> None:
    with pytest.raises(InputError, match=r"lab\.crt: is in the wrong order: the key belongs to certificate 2 in it"):
        certificates.check(Pair(INNER.pem + HOST.pem, HOST.key_pem), certificate_name="lab.crt", key_name="lab.key")
    certificates.check(Pair(HOST.pem + INNER.pem, HOST.key_pem), certificate_name="lab.crt", key_name="lab.key")


def test_a_key_of_none_of_them_does_not_belong_to_it() -> None:
    with pytest.raises(InputError, match="does not belong to"):
        certificates.check(Pair(HOST.pem + INNER.pem, ROOT.key_pem), certificate_name="lab.crt", key_name="lab.key")
