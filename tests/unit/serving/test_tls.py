"""Which certificates are of use."""

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from broker.config import Config, ServerConfig
from broker.errors import ConfigError
from broker.serving.tls import Certificate, certificate_of

AUTHORITY = trustme.CA()
ISSUED, OTHER = AUTHORITY.issue_cert("127.0.0.1"), AUTHORITY.issue_cert("127.0.0.1")


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ISSUED.cert_chain_pems[0].write_to_path("cert.pem")
    ISSUED.private_key_pem.write_to_path("key.pem")
    OTHER.private_key_pem.write_to_path("other.pem")
    Path("text.pem").write_text("not a certificate")
    key = serialization.load_pem_private_key(ISSUED.private_key_pem.bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    Path("locked.pem").write_bytes(key.private_bytes(*formats))


def config(chain, key):
    return Config(server=ServerConfig(tls_certificate=chain, tls_key=key))


def test_a_certificate_and_its_key_are_taken():
    found = certificate_of(config("cert.pem", "key.pem"))

    assert found == Certificate(Path("cert.pem"), Path("key.pem"))


def test_without_any_there_is_no_tls():
    assert certificate_of(Config()) is None


@pytest.mark.parametrize(
    ("chain", "key", "problem"),
    [
        (
            "none.pem",
            "key.pem",
            "tls_certificate: none.pem cannot be read: No such file or directory",
        ),
        ("cert.pem", "none.pem", "tls_key: none.pem cannot be read: No such file or directory"),
        ("text.pem", "key.pem", "tls_certificate: text.pem holds no PEM certificate"),
        ("key.pem", "cert.pem", "tls_certificate: key.pem holds no PEM certificate"),
        ("cert.pem", "text.pem", "tls_key: text.pem holds no PEM key without a password"),
        ("cert.pem", "locked.pem", "tls_key: locked.pem holds no PEM key without a password"),
        (
            "cert.pem",
            "other.pem",
            "tls_key: other.pem is not the key of the certificate in cert.pem",
        ),
    ],
)
def test_what_is_of_no_use_is_refused_by_its_key(chain, key, problem):
    with pytest.raises(ConfigError) as caught:
        certificate_of(config(chain, key))

    assert str(caught.value) == f"server.{problem}"
