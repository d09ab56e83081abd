"""Choosing providers, and what a broker that was assembled can be asked before it serves."""

import pytest

from broker import Authenticator, Observer, Transport, hookimpl
from broker.assembly import exclusive
from broker.errors import ConfigError, PluginError


class Door(Authenticator):
    def __init__(self, said):
        self.said = said

    async def authenticate(self, credentials):
        return None

    async def notices(self):
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


class Way(Transport):
    async def notices(self):
        return ["the way"]


class House:
    """A plugin with a door that has something to say."""

    def __init__(self, said):
        self.said = said

    @hookimpl
    def provide_authenticator(self):
        return Door(self.said)

    @hookimpl
    def provide_transport(self):
        return Way()


class Both(Authenticator, Observer):
    def __init__(self, plugin):
        pass

    async def authenticate(self, credentials):
        return None

    def notify(self, events):
        pass


class Pair:
    @hookimpl
    def provide_authenticator(self, plugin):
        return plugin.once(Both)

    @hookimpl
    def provide_observer(self, plugin):
        return plugin.once(Both)


@pytest.fixture
def notices(broker_factory):
    async def notices(said):
        return await broker_factory(added={"door": House(said)}).assembly.notices()

    return notices


async def test_providers_tell_the_operator_what_they_have_to_in_order(notices):
    assert await notices(["one", "two"]) == ["one", "two", "the way"]


async def test_a_provider_that_fails_then_is_named(notices):
    with pytest.raises(PluginError, match=r'"door": Door.notices failed: ZeroDivisionError'):
        await notices(ZeroDivisionError())


async def test_a_provider_may_refuse_the_start_with_a_line_of_its_own(notices):
    with pytest.raises(ConfigError, match=r"\ADOOR_KEY: too short\Z"):
        await notices(ConfigError("DOOR_KEY: too short"))


def test_the_hooks_of_a_plugin_are_given_the_same_context(broker_factory):
    first, second = (broker_factory(added={"pair": Pair()}).assembly.providers for _ in "12")

    assert first.authenticators[0] == first.observers[0]
    assert first.authenticators[0][1] is not second.authenticators[0][1]


@pytest.mark.parametrize(
    ("names", "choice", "expected"),
    [
        ([], None, None),
        (["a"], None, ("a", "A")),
        (["a"], "a", ("a", "A")),
        (["a", "b"], "b", ("b", "B")),
    ],
)
def test_one_provider_fills_a_role(names, choice, expected):
    results = [(name, name.upper()) for name in names]

    assert exclusive(results, role="storage", choice=choice) == expected


@pytest.mark.parametrize(
    ("names", "role", "choice", "line"),
    [
        (
            ["a", "b"],
            "storage",
            None,
            'plugins "a", "b" each provide the storage; choose one, broker.storage = "a" for example',
        ),
        (
            ["a", "b"],
            "rate limiter",
            None,
            'plugins "a", "b" each provide the rate limiter; remove all but one from broker.plugins',
        ),
        (
            ["a", "b", "c"],
            "authorizer",
            None,
            'plugins "a", "b", "c" each provide the authorizer; '
            "remove all but one from broker.plugins",
        ),
        (
            ["a", "b"],
            "storage",
            "c",
            'broker.storage: plugin "c" provides no storage; choose one that does: "a", "b"',
        ),
        (
            [],
            "storage",
            "c",
            'broker.storage: plugin "c" provides no storage; remove the line',
        ),
    ],
)
def test_a_role_that_is_not_filled_clearly_is_refused(names, role, choice, line):
    with pytest.raises(ConfigError) as caught:
        exclusive([(name, name) for name in names], role=role, choice=choice)

    assert str(caught.value) == line
