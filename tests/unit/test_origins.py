"""Which requests come from a page of another origin."""

import pytest

from broker import CrossSite
from broker.http import Request
from broker.origins import check_origin, check_page

ORIGINS = [
    (None, "b:8777", True),
    ("http://b:8777", "b:8777", True),
    ("https://B.example", "b.example", True),
    ("http://b", "b:8777", False),
    ("http://b:3000", "b:8777", False),
    ("http://b.evil.example", "b", False),
    ("http://b:8777@evil.example", "b:8777", False),
    ("null", "b", False),
    ("", "b", False),
    ("", "", False),
    ("null", "", False),
    ("file://", "b", False),
    ("http://[b", "b", False),
]


def refuses(check, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        check(Request(method="GET", path="/", headers=headers))
    except CrossSite:
        return True
    return False


@pytest.mark.parametrize("check", [check_origin, check_page])
@pytest.mark.parametrize(("origin", "host", "is_same"), ORIGINS)
def test_an_origin_is_the_same_if_it_is_the_host(check, origin, host, is_same):
    told = {} if origin is None else {"origin": origin}

    assert refuses(check, host=host, **told) is not is_same


@pytest.mark.parametrize(
    ("site", "is_own"),
    [(None, True), ("same-origin", True), ("none", True), ("same-site", False)]
    + [("cross-site", False), ("", False), ("anything", False)],
)
def test_a_browser_tells_whose_page_asks_for_an_image(site, is_own):
    told = {} if site is None else {"sec_fetch_site": site}

    assert refuses(check_page, host="b", **told) is not is_own
    assert not refuses(check_origin, host="b", **told)
