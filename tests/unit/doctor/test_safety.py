"""Who may come in, and who can listen."""

import pytest

KEEPS = (
    "warning",
    "http-server",
    "server.http_server",
    "granian keeps a client that says nothing after the TLS handshake, or over HTTP/2, for as "
    "long as it likes, and of a message of a WebSocket up to 64 MiB",
)

OVERHEARD = "others on the way can read passwords, tokens and messages"


@pytest.mark.parametrize(
    ("host", "http_server", "warned"),
    [
        ("0.0.0.0", "granian", [KEEPS]),
        ("broker.example", "granian", [KEEPS]),
        ("127.0.0.1", "granian", []),
        ("0.0.0.0", "hypercorn", []),
    ],
)
def test_a_server_that_clients_can_hold_is_named_where_they_reach_it(
    configure, doctor, host, http_server, warned
):
    configure("memory", server=f'host = "{host}"\nhttp_server = "{http_server}"')

    assert [found for found in doctor("http-server") if found.level != "ok"] == warned


def test_a_server_that_is_not_installed_is_an_error(configure, doctor, monkeypatch):
    monkeypatch.setattr("broker.serving.find_spec", lambda _: None)
    configure("memory")

    [(level, check, subject, _)] = doctor()

    assert (level, check, subject) == ("error", "http-server", "server.http_server")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "broker.example"])
def test_everybody_on_the_network_may_not_do_everything(configure, doctor, host):
    configure("memory", server=f'host = "{host}"\ntrusted_proxies = ["192.0.2.9"]')

    [(level, check, subject, _)] = doctor()

    assert (level, check, subject) == ("error", "anonymous", "broker.anonymous")


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ('host = "0.0.0.0"', [f"plain HTTP at 0.0.0.0: {OVERHEARD}"]),
        ('host = "::"', [f"plain HTTP at ::: {OVERHEARD}"]),
        ('host = "0.0.0.0"\ntrusted_proxies = ["192.0.2.9"]', []),
        ('host = "0.0.0.0"\ntls = "dev"', []),
        ('host = "localhost"', []),
        ('host = "::1"', []),
    ],
)
def test_plain_http_is_named_where_others_can_listen(configure, doctor, server, warned):
    configure("memory", server=server)

    assert [f.text for f in doctor("plain-http") if f.level == "warning"] == warned
