from urllib.parse import quote

import pytest
from pydantic import SecretStr, ValidationError

from broker_ratelimit.config import RateLimitConfig
from broker_ratelimit.redis_url import EXPECTED, check_redis_url, read_redis_url

DATABASE = "expected the number of a database after the host, such as /0"
SEVERAL = "several hosts are for redis+cluster:// and redis+sentinel://"
SOCKET = "expected the path of a socket: redis+unix:///run/redis.sock"
SERVICE = "expected the name of a service: redis+sentinel://host:port/service"
NO_DATABASES = "a cluster has no databases: expected nothing after the hosts"

READ = {
    "redis://a": "async+redis://a:6379",
    "redis://a:1/2": "async+redis://a:1/2",
    "redis://A.example:1/": "async+redis://a.example:1/",
    "redis://[::1]": "async+redis://[::1]:6379",
    "rediss://a": "async+rediss://a:6379",
    "redis+unix:///run/r.sock": "async+redis+unix:///run/r.sock",
    "redis+unix:///run/r.sock?db=1": "async+redis+unix:///run/r.sock",
    "redis+cluster://a,b:7": "async+redis+cluster://a:6379,b:7",
    "redis+sentinel://a,b:7/main": "async+redis+sentinel://a:26379,b:7/main",
    "rediss+cluster://a": "async+redis+cluster://a:6379",
    "rediss+sentinel://a/main": "async+redis+sentinel://a:26379/main",
    "VALKEY://a": "async+redis://a:6379",
    "valkeys://a": "async+rediss://a:6379",
    "valkey+unix:///run/r.sock": "async+redis+unix:///run/r.sock",
    "valkey+cluster://a": "async+redis+cluster://a:6379",
    "valkey+sentinel://a/main": "async+redis+sentinel://a:26379/main",
    "valkeys+cluster://a": "async+redis+cluster://a:6379",
}

REFUSED = {
    "": EXPECTED,
    "localhost": EXPECTED,
    "localhost:6379": EXPECTED,
    "http://a": EXPECTED,
    "memcached://a": EXPECTED,
    "async+redis://a": EXPECTED,
    "redis://": EXPECTED,
    "redis:///0": EXPECTED,
    "redis://:6379": EXPECTED,
    "redis://a:port": EXPECTED,
    "redis://a:99999": EXPECTED,
    "redis://a,": EXPECTED,
    "redis://[::1": EXPECTED,
    "redis://a/#0": EXPECTED,
    "redis+moon://a": EXPECTED,
    "redis://u:pass/word@a": EXPECTED,
    "redis://u:pass#word@a": EXPECTED,
    "redis://a/zero": DATABASE,
    "redis://a/-1": DATABASE,
    "redis://a/1/2": DATABASE,
    "redis://a/²": DATABASE,
    "redis://a,b": SEVERAL,
    "redis+unix://": SOCKET,
    "redis+unix://a/run/r.sock": EXPECTED,
    "rediss+unix:///run/r.sock": EXPECTED,
    "redis+unix:///run/r.sock?db=x": "expected the number of a database after ?db=",
    "redis+cluster://a/1": NO_DATABASES,
    "redis+sentinel://a": SERVICE,
    "redis+sentinel://a/": SERVICE,
    "redis+sentinel://a/main/0": SERVICE,
    "redis://a?socket_timeout=60": "expected nothing after the ? of such a URL",
    "redis+unix:///r?password=x": "expected db after the ? of such a URL",
    "rediss://a?ssl_cert_reqs=none": (
        "expected ssl_ca_certs, ssl_certfile, ssl_keyfile after the ? of such a URL"
    ),
}


@pytest.mark.parametrize(("text", "uri"), READ.items())
def test_a_url_is_read(text, uri):
    assert read_redis_url(text).uri == uri


@pytest.mark.parametrize(("text", "problem"), REFUSED.items())
def test_what_is_no_such_url_is_refused(text, problem):
    with pytest.raises(ValueError) as refused:
        check_redis_url(SecretStr(text))

    assert str(refused.value) == problem


@pytest.mark.parametrize("text", REFUSED)
def test_a_config_with_it_is_refused(text):
    with pytest.raises(ValidationError):
        RateLimitConfig(url=SecretStr(text))


PASSWORD = "p@ss/wörd:%#"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("redis://u:{}@a", {"username": "u", "password": PASSWORD}),
        ("redis://:{}@a", {"password": PASSWORD}),
        ("redis+unix://:{}@/r?db=1", {"password": PASSWORD, "db": "1"}),
        ("redis+cluster://u:{}@a,b", {"username": "u", "password": PASSWORD}),
        ("redis+sentinel://:{}@a/main", {"username": "default", "password": PASSWORD}),
        ("redis+sentinel://u:{}@a/main", {"username": "u", "password": PASSWORD}),
        ("rediss+cluster://a?ssl_ca_certs=/ca", {"ssl_ca_certs": "/ca", "ssl": True}),
        ("rediss://a?ssl_ca_certs=/ca", {"ssl_ca_certs": "/ca"}),
    ],
)
def test_secrets_are_options_and_stand_nowhere_else(text, options):
    url = read_redis_url(text.format(quote(PASSWORD, safe="")))

    assert url.options == options
    assert "@" not in url.uri + url.place
