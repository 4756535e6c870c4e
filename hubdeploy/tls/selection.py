"""Decides which certificate the proxy serves: brought in a volume, brought as files, or self-made. Writes nothing: it
returns the pair, and the cause if the pair is new and must be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError, Problem, read_file
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates
from hubdeploy.tls.certificates import Pair

ReadVolume = Callable[[str], Mapping[str, Secret[bytes]]]


def decide(settings: Settings, read_volume: ReadVolume) -> tuple[Pair, str | None]:
    """The pair to serve, and the cause if it is new and must be written (else None). A brought pair is checked and never
    replaced."""
    pair = current(settings, read_volume)
    cause = _cause_to_make(settings, pair)
    if pair is not None and (cause is None or settings.secrets_volume is not None):
        return pair, None
    return make(settings, cause or "there is none")


def current(settings: Settings, read_volume: ReadVolume) -> Pair | None:
    """The existing pair, checked; None if there is none."""
    if settings.secrets_volume is not None:
        return _from_volume(settings, settings.secrets_volume, read_volume)
    return from_files(settings)


def make(settings: Settings, cause: str) -> tuple[Pair, str]:
    """A new self-made pair, and the whole cause."""
    pair = certificates.make(_request(settings))
    raised = certificates.raised_bits(conf_path(settings))
    if raised:
        cause += f"; cert.conf asks for {raised} bits, {certificates.LEAST_BITS} are used as browsers refuse fewer"
    return pair, cause


def from_files(settings: Settings) -> Pair | None:
    """The pair under jupyterhub/secrets; None if there is none. It is checked, unless it is self-made and due."""
    certificate, key = settings.certificate_path, settings.key_path
    existing = [path for path in (certificate, key) if path.exists()]
    if not existing:
        return None
    found = {path: read_file(path, path.name, "a certificate and its key, as PEM") for path in existing}
    pair = Pair(found.get(certificate, b""), Secret(found.get(key, b"")))
    if existing == [certificate] and _is_self_made(pair):
        # An `up` that was killed while it wrote the pair leaves this.
        return None
    if len(existing) == 1:
        other = key if existing == [certificate] else certificate
        fix = "bring the missing file, or delete this one: a self-made pair is made then"
        wanted = "a certificate and its key"
        raise InputError([Problem(existing[0].name, "", f"stands alone: {other.name} is missing", wanted, fix)])
    try:
        certificates.check(pair, certificate_name=certificate.name, key_name=key.name)
    except InputError:
        if not (_is_self_made(pair) and _is_due(pair)):
            raise
    if not _is_self_made(pair):
        _refuse_other_host(settings, pair, "delete both files: a self-made pair is made then")
        _refuse_beside_authority(settings)
    return pair


def conf_path(settings: Settings) -> Path:
    return settings.root / "jupyterhub" / "cert.conf"


def _request(settings: Settings) -> certificates.Request:
    return certificates.read_request(conf_path(settings), settings.hub_host, bears_host=settings.acme_email is None)


def _cause_to_make(settings: Settings, pair: Pair | None) -> str | None:
    """Why the self-made pair has to be made (anew); None for a brought pair and for one that is fine."""
    if pair is None:
        return "there is no certificate yet"
    if pair.made_from is None:
        return None
    if pair.made_from != _request(settings).fingerprint:
        return "cert.conf or the names in it changed"
    return f"it is valid until {pair.expires:%Y-%m-%d} only" if _is_due(pair) else None


def _is_due(pair: Pair) -> bool:
    """True with less than RENEW_DAYS left."""
    return pair.expires < datetime.now(UTC) + timedelta(days=certificates.RENEW_DAYS)


def _is_self_made(pair: Pair) -> bool:
    try:
        return pair.made_from is not None
    except (ValueError, IndexError):
        return False


def _from_volume(settings: Settings, volume: str, read_volume: ReadVolume) -> Pair:
    files = read_volume(volume)
    names = (f"{settings.name}.crt", f"{settings.name}.key")
    missing = [name for name in names if name not in files]
    if missing:
        wanted = f"{names[0]} and {names[1]} in the volume {volume}"
        fix = f"copy the files into the volume {volume}, or take SECRETS_VOLUME away"
        raise InputError(
            [Problem("SECRETS_VOLUME", "", f"{' and '.join(missing)} missing in the volume {volume}", wanted, fix)]
        )
    pair = Pair(files[names[0]].reveal(), files[names[1]])
    certificates.check(pair, certificate_name=names[0], key_name=names[1])
    _refuse_other_host(settings, pair, "take SECRETS_VOLUME away")
    return pair


def _refuse_beside_authority(settings: Settings) -> None:
    """Raises InputError if an authority is to sign another one."""
    if settings.acme_email is None:
        return
    found = f"is a certificate that was brought, and ACME_EMAIL={settings.acme_email} asks an authority for one"
    fix = f"delete ACME_EMAIL, or move {settings.certificate_path.name} and {settings.key_path.name} away"
    raise InputError([Problem(settings.certificate_path.name, "ACME_EMAIL", found, "one of the two", fix)])


def _refuse_other_host(settings: Settings, pair: Pair, else_: str) -> None:
    """Raises InputError if the certificate is for other names: browsers would warn, and programs refuse it."""
    host = settings.hub_host
    if certificates.is_for(pair, host):
        return
    names = ", ".join(certificates.names(pair)) or "no name (browsers do not read the subject's CN)"
    fix = f"set HUB_HOST to the name that users type, bring a certificate for {host}, or {else_}"
    found = f"is for {names}, not for HUB_HOST={host}"
    raise InputError([Problem(settings.certificate_path.name, "HUB_HOST", found, "one that fits HUB_HOST", fix)])
