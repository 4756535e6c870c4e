"""The steps for files of this machine: secrets that are kept, and a certificate that is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hubdeploy.contract.documents import Secret
from hubdeploy.plan import operations as op
from hubdeploy.plan.steps import Step
from hubdeploy.settings.declarations import Settings, keys_of_fields
from hubdeploy.tls.certificates import Pair


def secret_steps(settings: Settings, made: Mapping[str, Secret[str]]) -> tuple[Step, ...]:
    """`made`: key -> value of the secrets that were generated."""
    if not made:
        return ()
    reason = f"generated: the passwords of the {settings.authenticator} login"
    cause = "nobody set them"
    if (key := keys_of_fields()["backup_password"]) in made:
        reason, cause = "generated", f"nobody set them. Keep {key} elsewhere too: without it nobody can read a backup"
    return (Step(op.SecretsRemembered(settings.local_path, made, reason), cause),)


def certificate_steps(settings: Settings, pair: Pair | None, cause: str | None) -> tuple[Step, ...]:
    """`cause`: why the pair is a new one; None if it is there already, or none is wanted."""
    if pair is None or cause is None:
        return ()
    return (Step(op.CertificateWritten(pair, settings.certificate_path, settings.key_path), cause),)
