"""What a broker that was assembled can be asked before it serves."""

import pytest

from broker.assembly import assemble
from broker.config import make_config
from broker.errors import ConfigError, PluginError

SPEAKING = """
    from broker import Authenticator, ConfigError, Transport, hookimpl

    class Door(Authenticator):
        async def authenticate(self, credentials):
            return None

        async def notices(self):
            {said}

    class Way(Transport):
        async def notices(self):
            return ["the way"]

    @hookimpl
    def provide_authenticator(plugin):
        return Door()

    @hookimpl
    def provide_transport(plugin, broker):
        return Way()
"""


@pytest.fixture
def assembled(install, tmp_path):
    def assembled(said):
        install("door", SPEAKING.format(said=said))
        plugins = {"plugins": ["memory", "door"], "data_dir": str(tmp_path)}
        return assemble(make_config({"broker": plugins}))

    return assembled


async def test_providers_tell_the_operator_what_they_have_to_in_order(assembled):
    assert await assembled('return ["one", "two"]').notices() == ["one", "two", "the way"]


async def test_a_provider_that_fails_then_is_named(assembled):
    with pytest.raises(PluginError, match=r'"door": Door.notices failed: ZeroDivisionError'):
        await assembled("1 / 0").notices()


async def test_a_provider_may_refuse_the_start_with_a_line_of_its_own(assembled):
    with pytest.raises(ConfigError, match=r"\ADOOR_KEY: too short\Z"):
        await assembled('raise ConfigError("DOOR_KEY: too short")').notices()


def test_the_hooks_of_a_plugin_are_given_the_same_context(install, tmp_path):
    install(
        "pair",
        """
        from broker import Authenticator, Observer, hookimpl

        class Both(Authenticator, Observer):
            def __init__(self, plugin):
                pass

            async def authenticate(self, credentials):
                return None

            def notify(self, events):
                pass

        @hookimpl
        def provide_authenticator(plugin):
            return plugin.once(Both)

        @hookimpl
        def provide_observer(plugin):
            return plugin.once(Both)
        """,
    )
    config = make_config({"broker": {"plugins": ["memory", "pair"], "data_dir": str(tmp_path)}})

    first, second = assemble(config).providers, assemble(config).providers

    assert first.authenticators[0] == first.observers[0]
    assert first.authenticators[0][1] is not second.authenticators[0][1]
