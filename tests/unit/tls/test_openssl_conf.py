"""cert.conf as OpenSSL reads it: what becomes of prompts, defaults, quotes, variables and names; compared with OpenSSL
itself where that can be asked.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from hubdeploy.errors import InputError
from hubdeploy.tls import certificates

PROMPTS = """\
[ req ]
default_bits = 2048
default_keyfile = server-key.pem
distinguished_name = subject
req_extensions = req_ext
x509_extensions = x509_ext
string_mask = utf8only

[ subject ]
countryName = Which country
countryName_default = YE
countryName_min = 2
countryName_max = 2
stateOrProvinceName = Which state
localityName = Which city
0.organizationName = Which organisation
0.organizationName_default = "Ada, Inc"  # with a comma
organizationalUnitName = Which unit
organizationalUnitName_default = Lab \\
  of Ada
commonName = hub.example
commonName_default = hub.example
commonName_max = 64
emailAddress = Email Address
emailAddress_default = ops@hub.example

[ x509_ext ]
subjectKeyIdentifier = hash
subjectAltName = critical, @alternate_names

[ req_ext ]
subjectAltName = @alternate_names

[ alternate_names ]
DNS.1 = hub.example
DNS.2 = *.hub.example
IP.1 = 192.0.2.7
"""
PLAIN = "[ req ]\ndistinguished_name = dn\nprompt = no\n[ dn ]\nCN = localhost\n"


def request(tmp_path: Path, text: str) -> certificates.Request:
    path = tmp_path / "cert.conf"
    path.write_text(text, encoding="utf-8")
    return certificates.read_request(path, "localhost")


def subject(tmp_path: Path, text: str) -> dict[str, str]:
    return {x509.ObjectIdentifier(oid)._name: value for oid, value in request(tmp_path, text).subject}


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputError) as refused:
        request(tmp_path, text)
    return str(refused.value)


def test_without_prompt_no_a_value_is_a_prompt_and_the_default_is_the_value(tmp_path: Path) -> None:
    assert subject(tmp_path, PROMPTS) == {
        "countryName": "YE",
        "organizationName": "Ada, Inc",
        "organizationalUnitName": "Lab   of Ada",
        "commonName": "hub.example",
        "emailAddress": "ops@hub.example",
    }
    assert request(tmp_path, PROMPTS).names == ("localhost", "127.0.0.1", "hub.example", "*.hub.example", "192.0.2.7")


def test_openssl_reads_the_same_subject(tmp_path: Path) -> None:
    ours = request(tmp_path, PROMPTS)
    asked = [
        "req",
        "-new",
        "-x509",
        "-batch",
        "-nodes",
        "-config",
        "cert.conf",
        "-keyout",
        "/dev/null",
        "-out",
        "c.pem",
    ]
    subprocess.run(["openssl", *asked], cwd=tmp_path, check=True, capture_output=True)
    theirs = x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes())
    assert tuple((one.oid.dotted_string, one.value) for one in theirs.subject) == ours.subject
    names = theirs.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in names] == list(ours.names[2:])


def test_with_prompt_no_the_value_is_the_value(tmp_path: Path) -> None:
    text = PROMPTS.replace("string_mask", "prompt = no\nstring_mask").replace("Which country", "DE")
    assert subject(tmp_path, text)["countryName"] == "DE"
    assert subject(tmp_path, text)["organizationName"] == "Which organisation"


def test_questions_without_an_answer_are_refused_with_what_to_write_as_openssl_refuses_them(tmp_path: Path) -> None:
    message = refusal(tmp_path, PLAIN.replace("prompt = no\n", ""))
    assert "dn: gives no value" in message
    assert "write prompt = no under [ req ]" in message


def test_a_default_of_another_length_than_it_says_is_a_problem(tmp_path: Path) -> None:
    text = PROMPTS.replace("commonName_max = 64", "commonName_max = 5")
    assert "commonName_default: is longer than commonName_max says, 5" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("DNS:müller.example.org", "xn--mller-kva.example.org"),
        ("DNS:*.müller.example.org", "*.xn--mller-kva.example.org"),
        ("DNS:Hub.Example.org", "hub.example.org"),
        ("IP:2001:db8::7", "2001:db8::7"),
        ("DNS:a_b.example", "a_b.example"),
    ],
)
def test_a_name_is_in_the_certificate_as_browsers_look_for_it(tmp_path: Path, written: str, name: str) -> None:
    made = certificates.make(request(tmp_path, f"{PLAIN}[ x ]\nsubjectAltName = {written}\n"))
    assert name in certificates.names(made)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("subjectAltName = DNS:hub.example, email:copy", "email:copy is no name or address of a host"),
        ("subjectAltName = email:ops@hub.example", "email:ops@hub.example is no name"),
        ("subjectAltName = URI:https://hub.example", "is no name or address"),
        ("subjectAltName = hub.example", "hub.example is no name or address"),
        ("subjectAltName = IP:hub.example", "IP:hub.example is no name or address"),
        ("subjectAltName = DNS:a b.example", "DNS:a b.example is no name"),
        ("subjectAltName = DNS:-ü.example", "is no name"),
        ("subjectAltName = $ENV::SAN", "the variable SAN of the environment"),
        ("subjectAltName = ${ENV::SAN}", "the variable SAN of the environment"),
        ("subjectAltName = DNS:$host", "refers to a name that is not set"),
        ("subjectAltName = 'DNS:a", "has an open quote"),
        ("nonsense", "cert.conf:7: cannot be read"),
    ],
)
def test_what_is_no_host_is_a_problem_and_no_name(tmp_path: Path, line: str, words: str) -> None:
    assert words in refusal(tmp_path, f"{PLAIN}[ x ]\n{line}\n")


@pytest.mark.parametrize("line", ["email.1 = copy", "email.1 = move", "URI.1 = https://hub.example"])
def test_a_section_of_names_holds_names_of_hosts_only(tmp_path: Path, line: str) -> None:
    text = f"{PLAIN}[ x ]\nsubjectAltName = @names\n[ names ]\nDNS.1 = hub.example\n{line}\n"
    assert "is no name or address" in refusal(tmp_path, text)


def test_variables_of_the_file_are_read_and_a_section_falls_back_to_the_keys_above_all(tmp_path: Path) -> None:
    text = "host = hub.example\ndefault_bits = 3072\n" + PLAIN + "[ x ]\nsubjectAltName = DNS:$host, DNS:w.${host}\n"
    found = request(tmp_path, text)
    assert found.names[2:] == ("hub.example", "w.hub.example")
    assert found.bits == 3072


@pytest.mark.parametrize("field", ["emailAddress = müller@example.org", "C = Ä"])
def test_a_field_that_takes_ascii_only_is_a_problem(tmp_path: Path, field: str) -> None:
    assert "cert.conf: " in refusal(tmp_path, f"{PLAIN}{field}\n")


def test_letters_beyond_ascii_in_the_rest_of_a_subject_are_fine(tmp_path: Path) -> None:
    assert subject(tmp_path, f"{PLAIN}O = Müller & Söhne\n")["organizationName"] == "Müller & Söhne"
