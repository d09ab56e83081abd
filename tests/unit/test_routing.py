import pytest

from broker.http import Response, Route
from broker.routing import RouteTable


async def handle(request):
    return Response()


ONE = Route("POST", "/things/{thing}/do", handle)
OTHER = Route("POST", "/things/{other}", handle)
FIXED = Route("POST", "/things/all", handle)
TABLE = RouteTable([ONE, OTHER, FIXED])


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_path_leads_to_its_route_and_names_its_parts(prefix):
    found = TABLE.find("POST", f"{prefix}/things/7/do")
    assert (found.route, found.params) == (ONE, {"thing": "7"})
    assert TABLE.find("POST", f"{prefix}/things/7").params == {"other": "7"}


def test_a_fixed_part_comes_before_a_variable_one():
    assert TABLE.find("POST", "/things/all").route is FIXED


def test_a_fixed_part_that_leads_nowhere_is_a_variable_one():
    found = TABLE.find("POST", "/things/all/do")

    assert (found.route, found.params) == (ONE, {"thing": "all"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/things/7"), ("POST", ""), ("POST", "/"), ("POST", "/things/7/"), ("POST", "/v1")],
)
def test_all_else_leads_nowhere(method, path):
    assert TABLE.find(method, path) is None


def test_of_two_routes_with_one_path_the_first_wins():
    second = Route("POST", "/things/{thing}/do", handle)
    assert RouteTable([ONE, second]).find("POST", "/things/7/do").route is ONE


def test_what_is_found_again_cannot_have_been_changed():
    with pytest.raises(TypeError):
        TABLE.find("POST", "/things/7").params["other"] = "8"
