"""URLs of a Redis, right and wrong."""

import pytest
from pydantic import SecretStr, ValidationError

from broker_sse.config import SseConfig
from broker_sse.redis_url import EXPECTED, RedisUrl, read_redis_url

LOCAL = {"host": "localhost", "port": 6379, "db": 0}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://localhost", RedisUrl("tcp", "localhost:6379", LOCAL)),
        ("valkey://localhost:6379/", RedisUrl("tcp", "localhost:6379", LOCAL)),
        ("redis://h:1/2", RedisUrl("tcp", "h:1", {"host": "h", "port": 1, "db": 2})),
        (
            "redis://ann:a%40b,c@[::1]/3",
            RedisUrl(
                "tcp",
                "[::1]:6379",
                {"username": "ann", "password": "a@b,c", "host": "::1", "port": 6379, "db": 3},
            ),
        ),
        (
            "rediss://:p@localhost?ssl_ca_certs=/ca.pem",
            RedisUrl(
                "tls", "localhost:6379", {"password": "p", "ssl_ca_certs": "/ca.pem", **LOCAL}
            ),
        ),
        ("unix:///run/r.sock", RedisUrl("unix", "/run/r.sock", {"path": "/run/r.sock"})),
        ("redis+unix:///r%20s?db=4", RedisUrl("unix", "/r s", {"path": "/r s", "db": 4})),
    ],
)
def test_a_url_is_read(text, url):
    assert read_redis_url(text) == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", EXPECTED),
        ("localhost:6379", EXPECTED),
        ("http://localhost", EXPECTED),
        ("redis://", EXPECTED),
        ("redis:///0", EXPECTED),
        ("redis://localhost:high", EXPECTED),
        ("redis://localhost:65536", EXPECTED),
        ("redis://[::1", EXPECTED),
        ("redis://a,b", EXPECTED),
        ("redis://localhost#1", EXPECTED),
        ("unix://localhost/run/r.sock", EXPECTED),
        ("unix://", "expected the path of a socket: unix:///run/redis.sock"),
        ("redis://localhost/zero", "expected the number of a database after the host, such as /0"),
        ("redis://localhost/٣", "expected the number of a database after the host, such as /0"),
        ("unix:///r?db=x", "expected the number of a database after ?db="),
        ("redis://localhost?db=1", "expected nothing after the ? of such a URL"),
        ("unix:///r?timeout=1", "expected db after the ? of such a URL"),
        (
            "rediss://localhost?ssl_cert_reqs=none",
            "expected ssl_ca_certs, ssl_certfile, ssl_keyfile after the ? of such a URL",
        ),
        (
            "redis+cluster://a,b",
            f"events travel through one server, not a cluster or sentinels; {EXPECTED}",
        ),
        (
            "rediss+sentinel://a/service",
            f"events travel through one server, not a cluster or sentinels; {EXPECTED}",
        ),
    ],
)
def test_any_other_is_refused_with_what_is_expected(text, problem):
    with pytest.raises(ValueError) as caught:
        read_redis_url(text)

    assert str(caught.value) == problem


def test_what_is_refused_shows_no_secret():
    with pytest.raises(ValidationError) as caught:
        SseConfig(redis_url=SecretStr("redis://:tell-nobody@localhost/x"))

    assert "tell-nobody" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a b", "{a}", "a" * 65, "é", "a\n"])
def test_a_prefix_of_other_letters_is_refused(prefix):
    with pytest.raises(ValidationError):
        SseConfig(redis_prefix=prefix)
