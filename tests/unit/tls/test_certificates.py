"""The self-made certificate and what is refused of a brought one."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates, selection
from hubdeploy.tls.certificates import Pair

CONF = "[ req ]\ndefault_bits = 1024\ndistinguished_name = dn\nprompt = no\n[ dn ]\nC = US\nO = Cryptic Labs\nCN = localhost\n"


@pytest.fixture
def deployment(tmp_path: Path) -> Settings:
    (tmp_path / "userlist").write_text("kaben\n")
    (tmp_path / "jupyterhub" / "secrets").mkdir(parents=True)
    (tmp_path / "jupyterhub" / "cert.conf").write_text(CONF)
    return loading.load(tmp_path, {})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    path = tmp_path_factory.mktemp("conf") / "cert.conf"
    path.write_text(CONF)
    return certificates.make(certificates.read_request(path, "hub.example.org"))


def no_volume(name: str) -> dict[str, Secret[bytes]]:
    raise AssertionError("no volume is to be read")


def write(deployment: Settings, pair: Pair) -> None:
    deployment.certificate_path.write_bytes(pair.certificate)
    deployment.key_path.write_bytes(pair.key.reveal())


def test_it_names_the_host_and_this_machine_and_lasts_a_year(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "c.crt"
    path.write_bytes(pair.certificate)
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
    assert set(decoded["subjectAltName"]) == {
        ("DNS", "hub.example.org"),
        ("DNS", "localhost"),
        ("IP Address", "127.0.0.1"),
    }
    assert (("organizationName", "Cryptic Labs"),) in decoded["subject"]
    assert timedelta(days=364) < pair.expires - datetime.now(UTC) <= timedelta(days=365)


def test_the_key_shows_in_no_repr(pair: Pair) -> None:
    assert "PRIVATE" not in repr(pair)


def test_1024_bits_are_raised_and_the_cause_says_so(deployment: Settings) -> None:
    _, cause = selection.decide(deployment, no_volume)
    assert "asks for 1024 bits, 2048 are used" in (cause or "")


def test_a_fine_self_made_pair_is_kept(deployment: Settings) -> None:
    made, _ = selection.decide(deployment, no_volume)
    write(deployment, made)
    assert selection.decide(deployment, no_volume) == (made, None)


def test_a_host_that_it_names_already_leaves_it_alone(deployment: Settings) -> None:
    # Found by test_settings_sequences.py: people had to trust a new certificate for no reason.
    made, _ = selection.decide(deployment, no_volume)
    write(deployment, made)
    assert selection.decide(replace(deployment, hub_host="127.0.0.1"), no_volume) == (made, None)


def test_another_cert_conf_makes_it_anew(deployment: Settings) -> None:
    made, _ = selection.decide(deployment, no_volume)
    write(deployment, made)
    selection.conf_path(deployment).write_text(CONF.replace("Cryptic", "Open"))
    again, cause = selection.decide(deployment, no_volume)
    assert again != made
    assert "cert.conf or the names in it changed" in (cause or "")


def test_thirty_days_before_its_end_it_is_made_anew(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "VALID_DAYS", 29)
    made, _ = selection.decide(deployment, no_volume)
    write(deployment, made)
    _, cause = selection.decide(deployment, no_volume)
    assert "it is valid until" in (cause or "")


def test_a_brought_pair_is_never_touched(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_MADE_BY", "brought by ")
    made, _ = selection.decide(deployment, no_volume)
    monkeypatch.undo()
    write(deployment, made)
    assert selection.decide(deployment, no_volume) == (made, None)


def test_a_key_of_another_certificate_is_refused(deployment: Settings, pair: Pair) -> None:
    other, _ = selection.decide(deployment, no_volume)
    write(deployment, Pair(pair.certificate, other.key))
    with pytest.raises(InputError, match=r"\.key: does not belong to"):
        selection.decide(deployment, no_volume)


def test_an_expired_brought_certificate_is_kept_and_known_to_be_expired(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_MADE_BY", "brought by ")
    monkeypatch.setattr(certificates, "VALID_DAYS", 0)
    made, _ = selection.make(deployment, "for this test")
    monkeypatch.undo()
    write(deployment, made)
    found, cause = selection.decide(deployment, no_volume)
    assert (found, cause, found.days) == (made, None, -1)


@pytest.mark.parametrize("host", ["hub.example.org", "localhost", "127.0.0.1"])
def test_a_certificate_is_for_the_names_in_it(pair: Pair, host: str) -> None:
    assert certificates.is_for(pair, host)


@pytest.mark.parametrize("host", ["example.org", "a.hub.example.org", "10.0.0.1", "xhub.example.org"])
def test_a_certificate_is_for_no_other_name(pair: Pair, host: str) -> None:
    assert not certificates.is_for(pair, host)


def test_a_wildcard_stands_for_one_label(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "names", lambda _: ("*.example.org",))
    assert certificates.is_for(pair, "Hub.example.org")
    assert not certificates.is_for(pair, "example.org")
    assert not certificates.is_for(pair, "a.hub.example.org")


def test_a_brought_certificate_for_another_host_is_refused(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_MADE_BY", "brought by ")
    made, _ = selection.decide(deployment, no_volume)
    monkeypatch.undo()
    write(deployment, made)
    elsewhere = replace(deployment, hub_host="hub.example.org")
    with pytest.raises(InputError, match=r"is for localhost, 127\.0\.0\.1, not for HUB_HOST=hub\.example\.org"):
        selection.decide(elsewhere, no_volume)


def test_a_certificate_for_another_host_in_the_secrets_volume_is_refused(deployment: Settings, pair: Pair) -> None:
    elsewhere = replace(deployment, hub_host="other.example.org", secrets_volume="lab-secrets")
    files = {f"{deployment.name}.crt": Secret(pair.certificate), f"{deployment.name}.key": pair.key}
    with pytest.raises(InputError, match=r"not for HUB_HOST=other\.example\.org"):
        selection.decide(elsewhere, lambda _: files)
    assert selection.decide(replace(elsewhere, hub_host="hub.example.org"), lambda _: files)[1] is None


def test_a_key_without_its_certificate_is_refused(deployment: Settings, pair: Pair) -> None:
    write(deployment, pair)
    deployment.certificate_path.unlink()
    with pytest.raises(InputError, match="stands alone"):
        selection.decide(deployment, no_volume)


def test_a_brought_certificate_without_its_key_is_refused(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_MADE_BY", "brought by ")
    made, _ = selection.decide(deployment, no_volume)
    monkeypatch.undo()
    deployment.certificate_path.write_bytes(made.certificate)
    with pytest.raises(InputError, match="stands alone"):
        selection.decide(deployment, no_volume)


def test_a_self_made_certificate_without_its_key_is_made_anew(deployment: Settings, pair: Pair) -> None:
    deployment.certificate_path.write_bytes(pair.certificate)
    again, cause = selection.decide(deployment, no_volume)
    assert again != pair
    assert cause is not None


@pytest.mark.parametrize("line", ["C = USA", "CN = " + "x" * 65])
def test_a_subject_that_fits_no_certificate_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "cert.conf"
    path.write_text(f"[ req ]\ndistinguished_name = dn\nprompt = no\n[ dn ]\n{line}\n")
    with pytest.raises(InputError, match=r"cert\.conf: "):
        certificates.read_request(path, "localhost")


def test_alternative_names_are_read_from_their_section(tmp_path: Path) -> None:
    path = tmp_path / "cert.conf"
    path.write_text(
        CONF.replace("= no\n", "= no\nx509_extensions = x\n") + "[ x ]\nsubjectAltName = @alt\n[ alt ]\nDNS.1 = b.c\n"
    )
    assert "b.c" in certificates.read_request(path, "localhost").names


@pytest.mark.parametrize("content", [b"", b"no pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(deployment: Settings, pair: Pair, content: bytes) -> None:
    write(deployment, Pair(content, pair.key))
    with pytest.raises(InputError, match="holds no certificate"):
        selection.decide(deployment, no_volume)


def test_a_bundle_without_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing\n")
    with pytest.raises(InputError, match="holds no certificate"):
        certificates.read_bundle(path)


def test_a_bundle_is_split_without_repeats(tmp_path: Path, pair: Pair) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"# roots\n" + pair.certificate * 2)
    assert certificates.read_bundle(path) == (pair.certificate,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ req ]\n", "names no section"),
        ("[ req ]\ndistinguished_name = dn\nprompt = no\n[ dn ]\nNOPE = x\n", "is not a part of a subject"),
        ("nonsense\n", "cannot be read"),
    ],
)
def test_a_bad_cert_conf_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "cert.conf"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        certificates.read_request(path, "localhost")
