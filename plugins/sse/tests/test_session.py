"""The cookie of a page: how browsers keep it, and what is taken for it."""

import pytest

from broker import Credentials, CrossSite, Malformed, Request, Unauthenticated
from broker_sse.session import clear_session, read_session, write_session

BEARER = Credentials(scheme="bearer", token="ab.c-d_e~f+/=", peer="192.0.2.1")
VALUE = "bearer%20ab.c-d_e~f%2B%2F%3D"


def request(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="GET", path="/events", headers=named, peer="192.0.2.1")


def test_over_https_the_cookie_is_for_this_host_and_for_https_alone():
    cookie = write_session(request(origin="https://broker.test"), BEARER, seconds=900)

    assert cookie == (
        f"__Host-broker_session={VALUE}; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=900"
    )


def test_the_page_of_a_broker_without_https_gets_one_that_its_browser_takes():
    cookie = write_session(request(origin="http://127.0.0.1:8777"), BEARER, seconds=None)

    assert cookie == f"broker_session={VALUE}; Path=/; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"origin": "app://x"}])
def test_who_does_not_say_how_its_page_came_gets_the_safe_one(headers):
    cookie = write_session(request(**headers), BEARER, seconds=None)

    assert cookie.startswith("__Host-")
    assert "; Secure" in cookie


def test_there_is_no_session_by_either_name_afterwards():
    assert clear_session() == (
        "broker_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
        "__Host-broker_session=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0",
    )


def test_credentials_that_no_browser_would_keep_are_refused():
    longest = 4096 - len("__Host-broker_session") - len("bearer%20")
    fitting, larger = [
        Credentials(scheme="bearer", token="x" * size) for size in (longest, longest + 1)
    ]

    write_session(request(), fitting, seconds=None)
    with pytest.raises(Malformed, match="POST /events/ticket"):
        write_session(request(), larger, seconds=None)


@pytest.mark.parametrize(
    "token", ["ab.c-d_e~f+/=", "x; Path=/else", 'x, "y"\\z', "a  b", "caf\xe9 %20", "x\x00\r\n"]
)
def test_what_is_written_is_read_and_nothing_else_gets_into_the_header(token):
    credentials = Credentials(scheme="bearer", token=token, peer="192.0.2.1")
    cookie = write_session(request(), credentials, seconds=None)

    pair, *attributes = cookie.split("; ")
    assert pair.isascii()
    assert pair.isprintable()
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]
    assert read_session(request(cookie=f"theme=dark; {pair}; x=1")) == credentials


@pytest.mark.parametrize(
    "cookie",
    [
        "theme=dark",
        "",
        ";;=;",
        f"Broker_Session={VALUE}",
        f"x-broker_session={VALUE}",
        # Browsers take these from pages of plain HTTP and of sister hosts.
        f"__host-broker_session={VALUE}",
        f"\xa0__Host-broker_session={VALUE}",
        f"\x85__Host-broker_session={VALUE}",
        f"__Host-broker_session ={VALUE}",
    ],
)
def test_other_cookies_are_no_session(cookie):
    assert read_session(request(cookie=cookie)) is None
    assert read_session(request()) is None


def test_the_cookie_of_https_counts_before_one_that_anybody_could_set():
    cookie = f"broker_session=bearer%20planted; __Host-broker_session={VALUE}"

    assert read_session(request(cookie=cookie)) == BEARER


@pytest.mark.parametrize("name", ["broker_session", "__Host-broker_session"])
def test_two_cookies_of_the_name_are_none(name):
    with pytest.raises(Unauthenticated, match=f'expected one cookie "{name}"'):
        read_session(request(cookie=f"{name}={VALUE}; {name}={VALUE}"))


@pytest.mark.parametrize("value", ["", "bearer", "bearer%20", "%20", "%", "%FF"])
def test_a_cookie_that_was_not_made_here_is_refused(value):
    with pytest.raises(Unauthenticated, match="none that this broker made"):
        read_session(request(cookie=f"broker_session={value}"))


@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_a_page_of_this_origin_and_the_address_bar_use_the_cookie(site):
    headers = {} if site is None else {"sec_fetch_site": site}

    assert read_session(request(cookie=f"broker_session={VALUE}", **headers)) == BEARER


@pytest.mark.parametrize("site", ["cross-site", "same-site", "new-word"])
def test_a_page_of_another_origin_does_not(site):
    with pytest.raises(CrossSite):
        read_session(request(cookie=f"broker_session={VALUE}", sec_fetch_site=site))
    assert read_session(request(sec_fetch_site=site)) is None
