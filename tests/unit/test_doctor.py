"""What the doctor says of a config, without a broker."""

import pytest

from broker.doctor import Finding, examine

KEEPS = Finding(
    "warning",
    "server",
    "granian keeps a client that says nothing after the TLS handshake, or over HTTP/2, for as "
    "long as it likes, and of a message of a WebSocket up to 64 MiB; where strangers reach "
    'the broker, put a proxy in front, or set server.http_server = "hypercorn"',
)


@pytest.mark.parametrize(
    ("host", "http_server", "warned"),
    [
        ("0.0.0.0", "granian", [KEEPS]),
        ("broker.example", "granian", [KEEPS]),
        ("127.0.0.1", "granian", []),
        ("0.0.0.0", "hypercorn", []),
    ],
)
async def test_a_server_that_clients_can_hold_is_named_where_they_reach_it(
    tmp_path, host, http_server, warned
):
    path = tmp_path / "broker.toml"
    path.write_text(f'[server]\nhost = "{host}"\nhttp_server = "{http_server}"\n')

    findings = await examine(path)

    assert [finding for finding in findings if finding.subject == "server"] == warned
