"""Carries out the steps for files of this machine. It decides nothing."""

from __future__ import annotations

from hubdeploy import files
from hubdeploy.plan import operations as op
from hubdeploy.settings import env_local


def apply(operation: op.LocalOperation) -> None:
    match operation:
        case op.SecretsRemembered():
            values = {key: value.reveal() for key, value in operation.values.items()}
            env_local.remember(operation.path, values, operation.reason)
        case op.CertificateWritten():
            operation.key_path.parent.mkdir(parents=True, exist_ok=True)
            # In this order: if it is cut short, a certificate without a key stays, which is known to be self-made.
            operation.key_path.unlink(missing_ok=True)
            files.replace(operation.certificate_path, operation.pair.certificate, mode=0o644)
            files.replace(operation.key_path, operation.pair.key.reveal(), mode=0o600)
