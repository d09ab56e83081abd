"""Calling a plugin's hooks, and naming it when they fail or return what they should not."""

import click
import pytest
from pydantic import BaseModel

import broker
from broker import hookspecs
from broker.errors import PluginError, StorageLocked
from broker.hookimpls import hook_names
from broker.loading import load_one
from broker.plugins import RESULTS

pytestmark = pytest.mark.usefixtures("clean_environment")

ALL_HOOKS = """
    from contextlib import asynccontextmanager

    import click
    from pydantic import BaseModel

    import broker
    from broker import hookimpl

    class Config(BaseModel):
        greeting: str = "hello"

    @hookimpl
    def config_schema():
        return Config

    @hookimpl
    def register_commands(cli):
        @cli.command()
        def greet():
            pass

    class Storage(broker.Storage):
        pass

    Storage.__abstractmethods__ = frozenset()

    class Limiter(broker.RateLimiter):
        async def spend(self, spendings):
            return broker.Allowance(allowed=True)

    class Authenticator(broker.Authenticator):
        async def authenticate(self, credentials):
            return None

    class Authorizer(broker.Authorizer):
        def permits(self, identity, action, queue):
            return True

    class Interceptor(broker.Interceptor):
        async def before_publish(self, identity, batch):
            return batch

    class Observer(broker.Observer):
        def notify(self, events):
            pass

    class Transport(broker.Transport):
        def __init__(self, broker):
            self.broker = broker

    @hookimpl
    def provide_storage(plugin):
        storage = Storage()
        storage.plugin = plugin
        return storage

    @hookimpl
    def provide_rate_limiter(plugin):
        return Limiter()

    @hookimpl
    def provide_authenticator(plugin):
        return Authenticator()

    @hookimpl
    def provide_authorizer(plugin):
        return Authorizer()

    @hookimpl
    def provide_interceptor(plugin):
        return Interceptor()

    @hookimpl
    def provide_observer():
        return Observer()

    @hookimpl
    def provide_transport(plugin, broker):
        return Transport(broker)

    @hookimpl
    @asynccontextmanager
    async def provide_lifespan(plugin, broker):
        yield
"""


def hook(body):
    return f"from broker import hookimpl\n\n@hookimpl\n{body}\n"


def provided(name, cls):
    return lambda result: type(result).__name__ == name and isinstance(result, cls)


EXPECTED = {
    "config_schema": lambda result: issubclass(result, BaseModel),
    "register_commands": lambda result: result is None,
    "provide_storage": provided("Storage", broker.Storage),
    "provide_rate_limiter": provided("Limiter", broker.RateLimiter),
    "provide_authenticator": provided("Authenticator", broker.Authenticator),
    "provide_authorizer": provided("Authorizer", broker.Authorizer),
    "provide_interceptor": provided("Interceptor", broker.Interceptor),
    "provide_observer": provided("Observer", broker.Observer),
    "provide_transport": provided("Transport", broker.Transport),
    "provide_lifespan": lambda result: hasattr(result, "__aenter__"),
}

ARGUMENTS = {
    "config_schema": {},
    "register_commands": {"cli": click.Group()},
    "provide_transport": {"plugin": "context", "broker": "broker"},
    "provide_lifespan": {"plugin": "context", "broker": "broker"},
}


def test_the_ten_hooks_are_specified():
    assert hook_names() == tuple(EXPECTED)
    assert len(EXPECTED) == 10
    assert {*RESULTS, "config_schema", "register_commands"} == set(EXPECTED)


def test_every_hook_has_a_docstring_and_takes_a_context():
    for name in hook_names():
        spec = getattr(hookspecs, name)
        assert spec.__doc__
        if name.startswith("provide_"):
            assert next(iter(spec.__annotations__)) == "plugin"


@pytest.mark.parametrize("name", EXPECTED)
def test_every_hook_is_called_and_its_result_returned(install, name):
    install("acme", ALL_HOOKS)
    plugin = load_one("acme")

    result = plugin.call(name, **ARGUMENTS.get(name, {"plugin": "context"}))

    assert EXPECTED[name](result)
    assert sorted(plugin.record.hooks) == sorted(EXPECTED)


def test_hooks_get_what_they_ask_for(install):
    install("acme", ALL_HOOKS)
    plugin = load_one("acme")
    group = click.Group()

    plugin.call("register_commands", cli=group)

    assert list(group.commands) == ["greet"]
    assert plugin.call("provide_storage", plugin="context").plugin == "context"
    assert plugin.call("provide_transport", plugin="context", broker="it").broker == "it"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hook_that_a_plugin_lacks_answers_none(install, name):
    install("acme", hook("def config_schema(): pass"))
    install("other", hook("def provide_storage(plugin): pass"))
    plugins = [load_one("acme"), load_one("other")]

    arguments = ARGUMENTS.get(name, {"plugin": "context"})
    assert [plugin.call(name, **arguments) for plugin in plugins] == [None, None]


@pytest.mark.parametrize(
    ("name", "returned", "line"),
    [
        (
            "config_schema",
            "{}",
            'hook "config_schema" returned dict; it must return a subclass of pydantic.BaseModel',
        ),
        (
            "config_schema",
            "int",
            'hook "config_schema" returned class int; '
            "it must return a subclass of pydantic.BaseModel",
        ),
        (
            "register_commands",
            "1",
            'hook "register_commands" returned int; it must return nothing',
        ),
        (
            "provide_lifespan",
            "open",
            'hook "provide_lifespan" returned builtin_function_or_method; '
            "it must return an async context manager, or None",
        ),
        *(
            (
                name,
                "object()",
                f'hook "{name}" returned object; '
                f"it must return an instance of broker.{cls.__name__}, or None",
            )
            for name, cls in RESULTS.items()
            if name != "provide_lifespan"
        ),
        (
            "provide_storage",
            "broker.Storage",
            'hook "provide_storage" returned class Storage; '
            "it must return an instance of broker.Storage, or None",
        ),
        (
            "provide_storage",
            "later()",
            'hook "provide_storage" returned coroutine; '
            "it must return an instance of broker.Storage, or None",
        ),
    ],
)
def test_a_result_of_the_wrong_type_is_refused(install, name, returned, line):
    argument = "cli" if name == "register_commands" else "plugin"
    argument = "" if name == "config_schema" else argument
    install(
        "acme",
        f"import broker\n\nasync def later(): pass\n\n"
        f"@broker.hookimpl\ndef {name}({argument}): return {returned}\n",
    )

    with pytest.raises(PluginError) as caught:
        plugin = load_one("acme")
        plugin.call(name, **{"cli": 1} if argument == "cli" else {"plugin": 1, "broker": 1})

    assert str(caught.value) == f'plugin "acme": {line}'


def test_an_exception_of_a_hook_is_attributed_with_its_cause(install):
    install("acme", hook("def provide_storage(plugin): return {}['no\\nkey']"))
    plugin = load_one("acme")

    with pytest.raises(PluginError) as caught:
        plugin.call("provide_storage", plugin=None)

    assert str(caught.value) == (
        'plugin "acme": hook "provide_storage" failed: '
        "KeyError: 'no\\nkey'; --debug shows the traceback"
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_startup_error_of_a_hook_passes_unchanged(install):
    install(
        "acme",
        "import broker\n\n@broker.hookimpl\n"
        "def provide_storage(plugin): raise broker.StorageLocked('another process has it')\n",
    )
    plugin = load_one("acme")

    with pytest.raises(StorageLocked, match=r"^another process has it$"):
        plugin.call("provide_storage", plugin=None)


@pytest.mark.parametrize(
    ("hook", "source", "method"),
    [
        (
            "provide_authorizer",
            "class Mine(broker.Authorizer):\n    async def permits(self, *_): return False",
            "permits",
        ),
        (
            "provide_authorizer",
            "class Mine(broker.Authorizer):\n    def permits(self, *_): return False\n"
            "    async def permits_some(self, *_): return False",
            "permits_some",
        ),
        (
            "provide_observer",
            "class Mine(broker.Observer):\n    async def notify(self, events): pass",
            "notify",
        ),
        (
            "provide_transport",
            "class Mine(broker.Transport):\n    async def routes(self): return ()",
            "routes",
        ),
    ],
)
def test_a_method_that_nobody_awaits_must_not_be_async(install, hook, source, method):
    arguments = "plugin, broker" if hook == "provide_transport" else "plugin"
    install(
        "acme",
        f"import broker\n{source}\n@broker.hookimpl\ndef {hook}({arguments}): return Mine()\n",
    )
    given = {"plugin": None, "broker": None} if hook == "provide_transport" else {"plugin": None}

    with pytest.raises(PluginError) as caught:
        load_one("acme").call(hook, **given)

    assert str(caught.value) == (
        f'plugin "acme": Mine.{method} is async; make it a plain function, '
        "nobody awaits what it returns"
    )
