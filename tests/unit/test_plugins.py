"""Finding and loading plugins, and naming what fails."""

import sys
from importlib.metadata import version

import click
import pytest
from pydantic import BaseModel

import broker
from broker import hookspecs
from broker.config import Config, make_config
from broker.errors import ConfigError, PluginError, StartupError, StorageLocked
from broker.hookimpls import hook_names
from broker.plugins import (
    RESULTS,
    PluginRecord,
    discover,
    exclusive,
    inspect_plugins,
    load,
    load_one,
    read_whole_config,
)
from broker.wording import quoted

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

OBSERVER = """
    import broker

    class Observer(broker.Observer):
        def notify(self, events):
            pass

    @broker.hookimpl
    def provide_observer(plugin):
        return Observer()
"""


def config_of(*names, **tables):
    return make_config(
        {"broker": {"plugins": list(names), "disable": ["rest", "log"]}, "plugins": tables}
    )


def refused(*names, **tables):
    with pytest.raises(StartupError) as caught:
        load(config_of(*names, **tables))
    assert caught.value.exit_code == 78
    return str(caught.value)


def hook(body):
    return f"from broker import hookimpl\n\n@hookimpl\n{body}\n"


# -- discovering


def test_discovery_names_what_is_installed_and_imports_nothing(install):
    install("acme", "raise SystemExit", version="2.1")

    found = discover()

    assert found["acme"] == (
        PluginRecord(
            name="acme", distribution="acme-acme", version="2.1", module="acme_acme", hooks=()
        ),
    )
    assert "acme_acme" not in sys.modules
    assert list(found) == sorted(found)


def test_the_built_ins_are_entry_points_of_the_core():
    found = discover()

    for name in ("log", "memory", "rest", "scopes"):
        [record] = found[name]
        assert record.distribution == "replika-broker"
        assert record.version == version("replika-broker")
        assert record.module == f"broker.builtin.{name}"


def test_two_distributions_with_one_name_are_both_found(install):
    install("acme", OBSERVER, distribution="acme-one", module="acme_one")
    install("acme", OBSERVER, distribution="acme-two", module="acme_two")

    assert sorted(record.distribution for record in discover()["acme"]) == ["acme-one", "acme-two"]


# -- loading


def test_plugins_are_loaded_in_the_order_of_the_config(install):
    for name in ("first", "second", "third"):
        install(name, OBSERVER)

    plugins = load(config_of("third", "first", "second"))

    assert [plugin.name for plugin in plugins] == ["third", "first", "second"]
    assert plugins[0].record == PluginRecord(
        name="third",
        distribution="acme-third",
        version="1.0",
        module="acme_third",
        hooks=("provide_observer",),
    )
    assert plugins[0].config is None


def test_an_installed_plugin_that_is_not_enabled_is_never_imported(install, tmp_path):
    canary = tmp_path / "canary"
    install("canary", f"open({str(canary)!r}, 'w').close()\n")
    install("acme", OBSERVER)

    load(config_of("acme"))
    inspect_plugins(config_of("acme"))
    discover()

    assert not canary.exists()
    assert "acme_canary" not in sys.modules


def test_one_plugin_can_be_loaded_by_name(install):
    install("acme", ALL_HOOKS)

    assert load_one("acme").config.greeting == "hello"
    assert load_one("acme", config_of(acme={"greeting": "hi"})).config.greeting == "hi"


def test_one_plugin_that_fails_to_load_is_refused(install):
    install("acme", "1 / 0")

    with pytest.raises(PluginError) as caught:
        load_one("acme")

    assert caught.value.plugin == "acme"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# -- every hook


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
    [plugin] = load(config_of("acme"))

    result = plugin.call(name, **ARGUMENTS.get(name, {"plugin": "context"}))

    assert EXPECTED[name](result)
    assert sorted(plugin.record.hooks) == sorted(EXPECTED)


def test_hooks_get_what_they_ask_for(install):
    install("acme", ALL_HOOKS)
    [plugin] = load(config_of("acme"))
    group = click.Group()

    plugin.call("register_commands", cli=group)

    assert list(group.commands) == ["greet"]
    assert plugin.call("provide_storage", plugin="context").plugin == "context"
    assert plugin.call("provide_transport", plugin="context", broker="it").broker == "it"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hook_that_a_plugin_lacks_answers_none(install, name):
    install("acme", hook("def config_schema(): pass"))
    install("other", hook("def provide_storage(plugin): pass"))
    plugins = load(config_of("acme", "other"))

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
        [plugin] = load(config_of("acme"))
        plugin.call(name, **{"cli": 1} if argument == "cli" else {"plugin": 1, "broker": 1})

    assert str(caught.value) == f'plugin "acme": {line}'


def test_an_exception_of_a_hook_is_attributed_with_its_cause(install):
    install("acme", hook("def provide_storage(plugin): return {}['no\\nkey']"))
    [plugin] = load(config_of("acme"))

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
    [plugin] = load(config_of("acme"))

    with pytest.raises(StorageLocked, match=r"^another process has it$"):
        plugin.call("provide_storage", plugin=None)


# -- configuring


SCHEMA = """
    from pydantic import BaseModel
    from broker import hookimpl

    class Config(BaseModel):
        path: str = "x"
        size: int = 1

    @hookimpl
    def config_schema():
        return Config
"""


def test_a_plugin_gets_its_own_table_validated(install):
    install("acme", SCHEMA)
    install("other", SCHEMA)

    plugins = load(config_of("acme", "other", acme={"path": "y", "size": 2}))

    assert [plugin.config.model_dump() for plugin in plugins] == [
        {"path": "y", "size": 2},
        {"path": "x", "size": 1},
    ]


def test_a_table_for_a_plugin_without_config_is_refused(install):
    install("acme", OBSERVER)

    assert refused("acme", acme={"a": 1}) == (
        "config: plugins.acme: the plugin takes no config; remove the table"
    )
    assert load(config_of("acme", acme={}))


def test_everything_that_is_wrong_with_all_plugins_is_reported_together(install):
    install("broken", "import nothing_of_that_name")
    install("acme", SCHEMA)
    install("empty", "")

    assert refused(
        "broken", "missing", "acme", "empty", acme={"pth": 1, "size": "x"}
    ).splitlines() == [
        "config: 5 problems",
        '  plugin "broken": import of acme_broken failed: ModuleNotFoundError: '
        "No module named 'nothing_of_that_name'; --debug shows the traceback",
        '  broker.plugins[1]: plugin "missing" is not installed; install it, or remove it here '
        f"(installed: {quoted(discover())})",
        '  plugins.acme.size: expected an integer; got "x"',
        '  plugins.acme.pth: unknown key; did you mean "path"?',
        '  plugin "empty": implements no hook; mark its functions with @broker.hookimpl',
    ]


def test_a_refused_file_is_reported_together_with_its_plugins(install, tmp_path):
    install("acme", SCHEMA)
    file = tmp_path / "broker.toml"
    file.write_text(
        '[server]\nport = "http"\n[broker]\nplugins = ["acme", "nowhere"]\n'
        'disable = ["rest", "log"]\nanonymus = true\n[plugins.acme]\npth = 1\n'
    )

    with pytest.raises(ConfigError) as caught:
        read_whole_config(file)

    assert str(caught.value).splitlines() == [
        f"{file}: 4 problems",
        '  server.port: expected an integer from 0 to 65535; got "http"',
        '  broker.anonymus: unknown key; did you mean "anonymous"?',
        '  plugins.acme.pth: unknown key; did you mean "path"?',
        '  broker.plugins[1]: plugin "nowhere" is not installed; install it, or remove it here '
        f"(installed: {quoted(discover())})",
    ]


def test_a_sound_file_is_read_without_importing_plugins(install, tmp_path):
    install("acme", "1 / 0")
    file = tmp_path / "broker.toml"
    file.write_text('[broker]\nplugins = ["acme"]\n')

    assert read_whole_config(file).broker.plugins == ("acme",)


def test_the_first_cause_is_chained_when_several_plugins_fail(install):
    install("one", "1 / 0")
    install("two", "[][0]")

    with pytest.raises(ConfigError) as caught:
        load(config_of("one", "two"))

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# -- inspecting


def test_inspecting_reports_problems_and_raises_nothing(install):
    install("good", OBSERVER)
    install("exits", "raise SystemExit(3)")
    install("twice", OBSERVER, distribution="twice-one", module="twice_one")
    install("twice", OBSERVER, distribution="twice-two", module="twice_two")
    install("acme", SCHEMA)

    config = config_of("good", "exits", "twice", "acme", "gone", acme={"pth": 1, "x": 2})
    found = {
        record.name: (record.distribution, problem) for record, problem in inspect_plugins(config)
    }

    assert found["good"] == ("acme-good", None)
    assert found["exits"] == (
        "acme-exits",
        'plugin "exits": import of acme_exits failed: SystemExit: 3; --debug shows the traceback',
    )
    assert "two distributions provide it" in found["twice"][1]
    assert found["acme"] == (
        "acme-acme",
        'plugins.acme.pth: unknown key; did you mean "path"?; '
        'plugins.acme.x: unknown key; known are "path", "size"',
    )
    assert found["gone"][0] == ""
    assert list(found) == ["good", "exits", "twice", "acme", "gone"]


def test_a_built_in_that_is_not_installed_says_to_reinstall(monkeypatch):
    monkeypatch.setattr("broker.plugins.discover", dict)

    [(_, problem), *_] = inspect_plugins(Config())

    assert problem == (
        'plugin "rest": not installed, though it is built in; reinstall replika-broker'
    )


# -- exclusive roles


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


def test_a_table_of_a_plugin_that_is_not_even_installed_is_refused():
    config = make_config({"broker": {"plugins": ["memory"]}, "plugins": {"memry": {"x": 1}}})

    with pytest.raises(ConfigError) as caught:
        load(config)

    assert str(caught.value) == (
        'config: plugins.memry: no such plugin is installed; did you mean "memory"?'
    )
