"""Looks at the chain of a brought certificate: its order, and what is missing in it. What it finds are cautions: many
browsers find the rest by themselves, other programs do not. It reads this machine's authorities, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from OpenSSL import crypto

from hubdeploy.errors import Caution

# Where systems keep the authorities that their programs trust.
MACHINE_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, ..._ISSUER_CERT_LOCALLY and ..._UNABLE_TO_VERIFY_LEAF_SIGNATURE.
_NO_ISSUER = (2, 20, 21)


def cautions(
    certificate: bytes, name: str, authorities: Collection[bytes], bundles: Sequence[str] = MACHINE_BUNDLES
) -> tuple[Caution, ...]:
    """What is odd in the chain (PEM) of the file `name`, which begins with the host's own certificate. `authorities` (PEM)
    are trusted beside those of the machine's `bundles`; where it has none, nothing counts as missing."""
    chain = x509.load_pem_x509_certificates(certificate)
    bundle = next((path for path in bundles if Path(path).is_file()), None)
    missing = _without_issuer(chain, authorities, bundle) if bundle else None
    found = [_out_of_order(chain, name)] if _first_out_of_order(chain) is not None else []
    if missing is not None:
        found.append(_missing(missing, name))
    return tuple(found)


def _first_out_of_order(chain: Sequence[x509.Certificate]) -> int | None:
    """The place of the first certificate whose issuer is in the chain, but not right behind it."""
    for place, one in enumerate(chain[:-1]):
        elsewhere = any(other.subject == one.issuer for other in chain if other is not one)
        if one.issuer != one.subject and chain[place + 1].subject != one.issuer and elsewhere:
            return place
    return None


def _out_of_order(chain: Sequence[x509.Certificate], name: str) -> Caution:
    place = _first_out_of_order(chain) or 0
    behind, issuer = _shown(chain[place + 1].subject), _shown(chain[place].issuer)
    found = f"the chain in {name} is in the wrong order: behind {_shown(chain[place].subject)} stands {behind}"
    return Caution(
        found, f"put {issuer}, which signed it, right behind it: each certificate is followed by its signer's"
    )


def _missing(one: x509.Certificate, name: str) -> Caution:
    issuer = _shown(one.issuer)
    found = f"an intermediate certificate is missing in {name}: {issuer}, which signed {_shown(one.subject)}"
    where = _offered_at(one)
    offer = f"it is offered at {where}" if where else "authorities offer it, often as chain or fullchain"
    return Caution(found, f"append it to the file ({offer}); if {issuer} is your own authority, set EXTRA_CA_BUNDLE")


def _without_issuer(
    chain: Sequence[x509.Certificate], authorities: Collection[bytes], bundle: str
) -> x509.Certificate | None:
    """The certificate whose issuer is neither in the chain nor a known authority; None if every issuer is known."""
    store = crypto.X509Store()
    store.load_locations(bundle, None)
    for pem in authorities:
        store.add_cert(crypto.X509.from_cryptography(x509.load_pem_x509_certificate(pem)))
    leaf, *others = (crypto.X509.from_cryptography(one) for one in chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        if error.errors[0] in _NO_ISSUER:
            return error.certificate.to_cryptography()
    return None


def _offered_at(one: x509.Certificate) -> str | None:
    """The address at which the authority offers its certificate, as the signed one says."""
    try:
        access = one.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    offers = (item for item in access if item.access_method == AuthorityInformationAccessOID.CA_ISSUERS)
    return next((_printable(str(item.access_location.value)) for item in offers), None)


def _shown(name: x509.Name) -> str:
    return _printable(name.rfc4514_string()) or "a certificate without a subject"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
