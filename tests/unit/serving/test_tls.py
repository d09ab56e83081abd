"""Which certificates are of use."""

import logging
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from broker.config import BrokerConfig, Config, ServerConfig, TlsConfig
from broker.errors import ConfigError
from broker.serving.certificate import Certificate
from broker.serving.tls import certificate_of, check_certificate

AUTHORITY = trustme.CA()
ISSUED, OTHER = AUTHORITY.issue_cert("127.0.0.1"), AUTHORITY.issue_cert("127.0.0.1")
DEVELOPMENT = Config(server=ServerConfig(tls="dev"), broker=BrokerConfig(data_dir="data"))


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
    for file in tmp_path.iterdir():
        file.chmod(0o600)


def config(chain, key):
    return Config(server=ServerConfig(tls=TlsConfig(cert=chain, key=key)))


def test_a_certificate_and_its_key_are_taken():
    found = certificate_of(config("cert.pem", "key.pem"))

    assert found == Certificate(Path("cert.pem"), Path("key.pem"))


def test_without_any_there_is_no_tls():
    assert certificate_of(Config()) is None


@pytest.mark.parametrize("look", [certificate_of, check_certificate])
@pytest.mark.parametrize(
    ("chain", "key", "problem"),
    [
        ("none.pem", "key.pem", "cert: none.pem cannot be read: No such file or directory"),
        ("cert.pem", "none.pem", "key: none.pem cannot be read: No such file or directory"),
        ("text.pem", "key.pem", "cert: text.pem holds no PEM certificate"),
        ("key.pem", "cert.pem", "cert: key.pem holds no PEM certificate"),
        ("cert.pem", "text.pem", "key: text.pem holds no PEM key without a password"),
        ("cert.pem", "locked.pem", "key: locked.pem holds no PEM key without a password"),
        ("cert.pem", "other.pem", "key: other.pem is not the key of the certificate in cert.pem"),
    ],
)
def test_what_is_of_no_use_is_refused_by_its_key(look, chain, key, problem):
    with pytest.raises(ConfigError) as caught:
        look(config(chain, key))

    assert str(caught.value) == f"server.tls.{problem}"


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o620, 0o644, 0o666])
def test_a_key_that_others_can_read_or_change_is_refused(mode):
    Path("my key.pem").write_bytes(Path("key.pem").read_bytes())
    Path("my key.pem").chmod(mode)

    with pytest.raises(ConfigError) as caught:
        certificate_of(config("cert.pem", "my key.pem"))

    assert str(caught.value) == (
        f"server.tls.key: others may read or change my key.pem (its mode is {mode:04o}); "
        "run: chmod 600 'my key.pem'"
    )


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o700])
def test_a_key_that_its_group_alone_may_read_is_taken(mode):
    Path("key.pem").chmod(mode)

    assert certificate_of(config("cert.pem", "key.pem")) is not None


def test_one_for_development_is_made_in_the_data_dir_and_every_start_warns(caplog):
    check_certificate(DEVELOPMENT)
    assert not Path("data").exists()

    with caplog.at_level(logging.WARNING, "broker.tls"):
        first, second = certificate_of(DEVELOPMENT), certificate_of(DEVELOPMENT)

    assert first == second == Certificate(Path("data/dev-cert.pem"), Path("data/dev-key.pem"))
    assert Path("data").stat().st_mode & 0o777 == 0o700
    assert (
        caplog.messages
        == [
            'server.tls: "dev" is a self-signed certificate, for development only; '
            "clients need SSL_CERT_FILE=data/dev-cert.pem"
        ]
        * 2
    )
    check_certificate(DEVELOPMENT)


@pytest.mark.parametrize("look", [certificate_of, check_certificate])
def test_one_for_development_whose_key_others_can_read_is_refused(look):
    made = certificate_of(DEVELOPMENT)
    made.key.chmod(0o644)

    with pytest.raises(ConfigError, match=r"^server\.tls: .* run: chmod 600 data/dev-key\.pem$"):
        look(DEVELOPMENT)
