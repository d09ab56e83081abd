import asyncio
import gzip
import json
import ssl

import pytest
import trustme
from foreign_issuer import ForeignIssuer

from broker.testing import ManualClock
from broker_auth_jwt.jwks import JwksError
from broker_auth_jwt.jwks_url import MAX_JWKS_BYTES, JwksUrl, check_jwks_url


async def fetch(url, clock=None):
    source = JwksUrl(url, clock=clock or ManualClock())
    source.open()
    try:
        return await source.fetch()
    finally:
        await source.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com/realms/acme/protocol/openid-connect/certs",
        "https://id.example.com:8443/keys?policy=b2c",
        "https://10.0.0.1/keys",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://127.8.9.1/keys",
        "http://[::1]:8080/keys",
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url):
    assert check_jwks_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keys.json",
        "file:///etc/keys.json",
        "https:///keys",
        "http://id.example.com/keys",
        "http://localhost.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://10.0.0.1/keys",
        "http://0.0.0.0/keys",
        "ftp://localhost/keys",
        "https://user:password@id.example.com/keys",
        "https://id.example.com/keys#first",
        "https://id.example.com:port/keys",
        "https://id.example.com\n/keys",
    ],
)
def test_keys_do_not_come_from_elsewhere(url):
    with pytest.raises(ValueError, match="^expected "):
        check_jwks_url(url)


async def test_what_is_published_is_fetched_as_it_is():
    async with ForeignIssuer({"kty": "what"}) as issuer:
        assert json.loads(await fetch(issuer.url)) == {"keys": [{"kty": "what"}]}
        assert "accept-encoding: identity" in issuer.requests[0].lower()


async def test_what_is_compressed_all_the_same_is_not_unpacked():
    async with ForeignIssuer() as issuer:
        issuer.headers["Content-Encoding"] = "gzip"
        issuer.body = gzip.compress(b"x" * 100 * MAX_JWKS_BYTES)
        assert await fetch(issuer.url) == issuer.body


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_an_authority_of_ones_own_is_trusted_by_the_environment(
    authority, tls, tmp_path, monkeypatch
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with ForeignIssuer(tls=tls) as issuer:
        assert json.loads(await fetch(issuer.url)) == {"keys": []}


async def test_a_certificate_that_nobody_vouches_for_is_an_error(tls):
    async with ForeignIssuer(tls=tls) as issuer:
        with pytest.raises(JwksError, match="^ConnectError .*certificate verify failed"):
            await fetch(issuer.url)
        assert issuer.fetches == 0


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 404, 500, 503])
async def test_any_answer_but_200_is_an_error_and_no_redirect_is_followed(status):
    async with ForeignIssuer() as elsewhere, ForeignIssuer() as issuer:
        issuer.status, issuer.headers["Location"] = status, elsewhere.url
        issuer.body = b"" if status == 204 else None
        with pytest.raises(JwksError, match=f"^the answer was {status}$"):
            await fetch(issuer.url)
        assert (issuer.fetches, elsewhere.fetches) == (1, 0)


async def test_a_mebibyte_is_read_and_not_a_byte_more():
    async with ForeignIssuer() as issuer:
        issuer.body = b"x" * MAX_JWKS_BYTES
        assert await fetch(issuer.url) == issuer.body
        issuer.body += b"x"
        with pytest.raises(JwksError, match="^more than 1048576 bytes$"):
            await fetch(issuer.url)


async def test_two_mebibytes_are_not_read_to_their_end():
    async with ForeignIssuer() as issuer:
        issuer.body = b"x" * 2 * MAX_JWKS_BYTES
        with pytest.raises(JwksError, match="^more than 1048576 bytes$"):
            await fetch(issuer.url)


async def test_an_issuer_that_does_not_answer_is_left_after_five_seconds():
    clock = ManualClock()
    async with ForeignIssuer() as issuer:
        issuer.answering.clear()
        fetching = asyncio.create_task(fetch(issuer.url, clock))
        await issuer.asked(1)
        clock.advance(5)
        with pytest.raises(JwksError, match="^no whole answer within 5 s$"):
            await fetching


async def test_an_issuer_that_stops_in_the_middle_is_left_after_five_seconds():
    clock = ManualClock()
    async with ForeignIssuer() as issuer:
        issuer.is_slow = True
        fetching = asyncio.create_task(fetch(issuer.url, clock))
        await issuer.asked(1)
        clock.advance(4.999)
        assert not fetching.done()
        clock.advance(0.001)
        with pytest.raises(JwksError, match="^no whole answer within 5 s$"):
            await fetching


async def test_an_issuer_that_is_not_there_is_an_error():
    async with ForeignIssuer() as issuer:
        url = issuer.url
    with pytest.raises(JwksError, match="^ConnectError "):
        await fetch(url)


async def test_an_issuer_that_speaks_no_http_is_an_error():
    async with ForeignIssuer() as issuer:
        issuer.status = "\x00"
        with pytest.raises(JwksError, match="^RemoteProtocolError "):
            await fetch(issuer.url)


async def test_no_proxy_is_asked_about_this_machine(monkeypatch):
    async with ForeignIssuer() as proxy, ForeignIssuer() as issuer:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        await fetch(issuer.url)
        assert (issuer.fetches, proxy.fetches) == (1, 0)


async def test_nothing_happens_when_it_is_closed_without_being_opened():
    await JwksUrl("https://id.example.com/keys", clock=ManualClock()).close()
