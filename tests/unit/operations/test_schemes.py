"""What clients are asked for, of all authenticators together."""

import pytest

from broker import Authenticator, PluginError
from broker.operations.schemes import describe_all

JWT = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "session"}
BASIC = {"type": "http", "scheme": "basic"}
BEARER = {"type": "http", "scheme": "bearer"}


class Door(Authenticator):
    def __init__(self, challenge="Bearer", **security):
        self.challenge = challenge
        self.security = security

    async def authenticate(self, credentials):
        return None


def told(*doors):
    return describe_all([(f"plugin{n}", door) for n, door in enumerate(doors)])


@pytest.mark.parametrize(
    ("doors", "described"),
    [
        ([], {}),
        ([Door("")], {}),
        ([Door()], {"bearer": BEARER}),
        ([Door('Basic realm="a, b"'), Door("Bearer")], {"basic": BASIC, "bearer": BEARER}),
        ([Door("Basic, Bearer")], {"basic": BASIC, "bearer": BEARER}),
        # What is told stands, and nothing is added to it.
        ([Door("", session=COOKIE)], {"session": COOKIE}),
        ([Door(session=COOKIE)], {"session": COOKIE}),
        # It says more than what a challenge implies, in whatever order they are asked.
        ([Door(bearer=JWT), Door()], {"bearer": JWT}),
        ([Door(), Door(bearer=JWT)], {"bearer": JWT}),
    ],
)
def test_what_no_authenticator_describes_its_challenge_implies(doors, described):
    assert told(*doors) == described


@pytest.mark.parametrize(
    "security", [None, [JWT], {"bearer": "JWT"}, {"bearer": {"scheme": "bearer"}}, {1: JWT}]
)
def test_a_description_that_openapi_does_not_know_stops_the_start(security):
    door = Door()
    door.security = security
    with pytest.raises(PluginError, match=r'^plugin "plugin1": its authenticator\'s security: exp'):
        told(Door(), door)


def test_a_challenge_that_no_header_can_tell_is_not_described():
    with pytest.raises(PluginError, match=r'^plugin "plugin0": its authenticator\'s challenge: ex'):
        told(Door("Basic\r\na: b"))
