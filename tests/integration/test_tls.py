"""HTTPS, with real clients, whatever speaks it."""

import shutil
import socket
import ssl
import subprocess

import httpx
import pytest
import trustme
from served import BROKER, HTTP_SERVERS, Served, begin, read_all

from broker.cli.client import Away, Client


CURL = shutil.which("curl")
TLS = {"cert": "cert.pem", "key": "key.pem"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An authority `ca.pem`, and what it issued: `cert.pem` and `key.pem`."""
    directory = tmp_path_factory.mktemp("keys")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    (directory / "key.pem").chmod(0o600)
    return directory


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def secure(request, keys, tmp_path_factory):
    served = start(request.param, keys, tmp_path_factory.mktemp("served"))
    yield served
    if served.process.poll() is None:
        served.end()


def start(http_server, keys, directory):
    for name in TLS.values():
        shutil.copy(keys / name, directory)
    return Served(directory, http_server=http_server, tls=TLS)


@pytest.fixture
def trusting(keys, monkeypatch):
    """Clients trust the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))
    return ssl.create_default_context(cafile=keys / "ca.pem")


def shake_hands(secure, context):
    connection = socket.create_connection(("127.0.0.1", secure.port))
    return context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_the_screen_and_the_clients_say_https(secure, trusting):
    with httpx.Client(base_url=secure.url, verify=trusting) as client:
        ready = client.get("/readyz")
    published = secure.run("publish", "hello", "in secret", "--create")
    consumed = secure.run("consume", "hello")

    assert secure.url.startswith("https://127.0.0.1:")
    assert ready.json()["status"] == "ready"
    assert published.exit_code == 0, published.stderr
    assert consumed.stdout == "in secret\n"


def test_a_client_that_does_not_trust_the_certificate_is_told_what_to_do(secure):
    with pytest.raises(Away, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
        Client(secure.url).call("GET", "/readyz")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("offered", [["http/1.1"], []])
def test_tls_from_1_2_on_is_spoken_and_http_1_1_unless_asked(secure, trusting, version, offered):
    trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion[version]
    if offered:
        trusting.set_alpn_protocols(offered)
    with shake_hands(secure, trusting) as connection:
        assert connection.selected_alpn_protocol() != "h2"
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_older_tls_is_refused(secure, trusting):
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        shake_hands(secure, trusting)


def test_plain_http_is_not_answered(secure):
    with socket.create_connection(("127.0.0.1", secure.port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: b\r\n\r\n")
        try:
            answer = read_all(connection)
        except ConnectionResetError:
            answer = b""

    assert not answer.startswith(b"HTTP/")


def test_a_signal_ends_what_goes_on_over_tls(secure, trusting):
    secure.run("queue", "create", "empty")
    with shake_hands(secure, trusting), shake_hands(secure, trusting) as polling:
        begin(polling, "/queues/empty/messages/lease", b'{"wait": 20}')
        polling.sendall(b'{"wait": 20}')
        code = secure.end()
        answer = read_all(polling)

    assert code == 0
    assert answer.endswith(b'{"messages":[],"paused":false}')


def test_the_certificate_for_development_is_all_that_clients_need(tmp_path, monkeypatch):
    served = Served(tmp_path, tls="dev")
    trusted = str(tmp_path / "dev-cert.pem")
    url = served.url.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    with httpx.Client(base_url=served.url) as client:
        ready = client.get("/readyz")
    queues = served.run("queue", "list")
    if CURL is not None:
        command = [CURL, "-sS", "--cacert", trusted, f"{url}/healthz"]
        curl = subprocess.run(command, capture_output=True, text=True)
        assert (curl.stdout, curl.stderr) == ('{"status":"ok"}', "")
    served.end()

    assert ready.json()["status"] == "ready"
    assert queues.exit_code == 0, queues.stderr
    [warning] = served.screen["warnings"]
    assert warning == (
        'server.tls: "dev" is a self-signed certificate, for development only; '
        f"clients need SSL_CERT_FILE={trusted}"
    )
    assert served.log().count("for development only") == 1
    assert f"[warning  ] {warning} [broker.tls]\n" in served.log()


def test_the_screen_warns_of_the_certificate_for_development(tmp_path):
    (tmp_path / "broker.toml").write_text(
        '[server]\nport = 0\ntls = "dev"\n[broker]\nplugins = ["memory"]\nanonymous = true\n'
    )
    process = subprocess.Popen(
        [*BROKER, "serve"], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    process.terminate()
    process.communicate()
    screen = "".join(lines)

    assert process.returncode == 0
    assert (
        '  warning   server.tls: "dev" is a self-signed certificate, for development only; '
        f"clients need SSL_CERT_FILE={tmp_path}/dev-cert.pem\n"
    ) in screen
    assert "  export BROKER_URL=https://127.0.0.1:" in screen


def test_the_certificate_for_development_is_78_in_production(tmp_path):
    (tmp_path / "broker.toml").write_text(
        '[server]\ntls = "dev"\n[broker]\nenvironment = "production"\n'
    )
    done = subprocess.run([*BROKER, "serve"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 78
    assert 'server.tls: "dev" is refused with broker.environment = "production"' in done.stderr
    assert not (tmp_path / "dev-key.pem").exists()


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_a_certificate_of_no_use_is_one_line_and_78(tmp_path, command):
    (tmp_path / "broker.toml").write_text(
        '[server]\ntls = { cert = "cert.pem", key = "key.pem" }\n'
        '[broker]\nplugins = ["memory"]\nanonymous = true\n'
    )
    done = subprocess.run([*BROKER, *command], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 78
    path = tmp_path / "cert.pem"
    assert done.stderr == (
        f"broker: server.tls.cert: {path} cannot be read: No such file or directory\n"
    )
