"""The certificate for development: made once, for this machine only, whatever comes between."""

import fcntl
import os
import socket
import ssl
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography import x509

from broker.errors import ConfigError
from broker.serving import development
from broker.serving.development import find, find_or_make, own_names
from broker.serving.selfsigned import sign

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_it_is_private_and_holds_for_a_year(tmp_path):
    made = find_or_make(tmp_path, now=NOW)

    assert made.is_new
    assert made.expires_at == NOW + 365 * DAY
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "dev-cert.pem": 0o600,
        "dev-key.pem": 0o600,
    }


def test_its_key_is_nobody_elses_from_the_first_byte(tmp_path, monkeypatch):
    modes = []

    def fsync(descriptor):
        modes.append(os.fstat(descriptor).st_mode & 0o777)

    monkeypatch.setattr("os.fsync", fsync)
    previous = os.umask(0)
    try:
        find_or_make(tmp_path)
    finally:
        os.umask(previous)

    assert modes[:2] == [0o600, 0o600]


def test_it_is_kept_until_a_month_before_its_end(tmp_path):
    made = find_or_make(tmp_path, now=NOW)
    kept = find_or_make(tmp_path, now=NOW + 334 * DAY)
    renewed = find_or_make(tmp_path, now=NOW + 335 * DAY)

    assert (kept.is_new, kept.expires_at) == (False, made.expires_at)
    assert (renewed.is_new, renewed.expires_at) == (True, NOW + 700 * DAY)


def test_it_is_replaced_by_force(tmp_path):
    first = find_or_make(tmp_path).files.chain.read_bytes()

    again = find_or_make(tmp_path, force=True)
    assert again.is_new
    assert again.files.chain.read_bytes() != first


def test_one_from_the_future_is_replaced(tmp_path):
    find_or_make(tmp_path, now=NOW)

    assert find_or_make(tmp_path, now=NOW - DAY).is_new


@pytest.mark.parametrize("name", ["dev-cert.pem", "dev-key.pem"])
@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_one_that_is_not_whole_is_replaced(tmp_path, name, content):
    other = sign(["localhost"], since=NOW, until=NOW + 365 * DAY)
    others = {"dev-cert.pem": other.certificate, "dev-key.pem": other.key}
    find_or_make(tmp_path, now=NOW)
    (tmp_path / name).write_bytes(others[name] if content is None else content)
    (tmp_path / "dev-key.pem.partial").touch()  # as one leaves that is killed

    assert find(tmp_path, now=NOW) is None
    assert find_or_make(tmp_path, now=NOW).is_new
    assert find(tmp_path, now=NOW) is not None
    assert len(list(tmp_path.iterdir())) == 2


def test_one_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "dev-cert.pem").mkdir()

    with pytest.raises(ConfigError, match=r"^.*/dev-cert\.pem cannot be read: Is a directory$"):
        find(tmp_path)


def test_one_process_at_a_time_makes_it(tmp_path, monkeypatch):
    refused = []

    def sign_and_look(*args, **options):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(True)
        os.close(descriptor)
        return sign(*args, **options)

    monkeypatch.setattr("broker.serving.selfsigned.sign", sign_and_look)
    find_or_make(tmp_path)

    assert refused == [True]


def test_it_says_no_more_than_whose_key_it_is(tmp_path):
    files = find_or_make(tmp_path, now=NOW).files
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)

    assert [str(name.value) for name in names] == own_names()
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert (usage.critical, usage.value.key_cert_sign) == (True, False)
    assert certificate.public_key().curve.name == "secp256r1"
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < 397 * DAY


def make(directory):
    made = find_or_make(Path(directory))
    return made.is_new, made.files.chain.read_bytes()


def test_processes_that_start_together_make_one(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(make, [str(tmp_path)] * 8))

    assert sorted(is_new for is_new, _ in made) == [False] * 7 + [True]
    assert len({chain for _, chain in made}) == 1


@pytest.mark.parametrize("host", ["under_score", "", "ünï", "a" * 64])
def test_a_machine_whose_name_is_no_host_name_is_localhost(monkeypatch, host):
    monkeypatch.setattr("socket.gethostname", lambda: host)

    assert own_names() == ["localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize("flags", [ssl.VERIFY_DEFAULT, ssl.VERIFY_X509_STRICT])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname(), "other"])
def test_who_trusts_the_file_trusts_this_machine_only(tmp_path, name, flags):
    files = find_or_make(tmp_path).files
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(files.chain, files.key)
    trusting = ssl.create_default_context(cafile=files.chain)
    trusting.verify_flags |= flags

    if name == "other":
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            shake_hands(serving, trusting, name)
    else:
        shake_hands(serving, trusting, name)


def shake_hands(serving, trusting, name):
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
    client.do_handshake()


def test_without_the_library_the_remedy_is_one_line(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "broker.serving.selfsigned")
    monkeypatch.delattr("broker.serving.selfsigned")
    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(ConfigError) as caught:
        development.find_or_make(tmp_path)

    assert str(caught.value) == (
        "a certificate for development is made by the library cryptography, which is not "
        "installed; install it with: pip install 'replika-broker[tls]'"
    )
