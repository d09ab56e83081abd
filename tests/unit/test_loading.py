"""Loading the plugins that are enabled, and naming what fails."""

import sys

import pytest

from broker.config import Config, make_config
from broker.discovery import PluginRecord, discover
from broker.errors import ConfigError, PluginError, StartupError
from broker.loading import inspect_plugins, load, load_one, read_whole_config
from broker.wording import quoted

pytestmark = pytest.mark.usefixtures("clean_environment")

OBSERVER = """
    import broker

    class Observer(broker.Observer):
        def notify(self, events):
            pass

    @broker.hookimpl
    def provide_observer(plugin):
        return Observer()
"""


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


def config_of(*names, **tables):
    return make_config(
        {
            "broker": {"plugins": list(names), "disable": ["rest", "log", "openapi"]},
            "plugins": tables,
        }
    )


def refused(*names, **tables):
    with pytest.raises(StartupError) as caught:
        load(config_of(*names, **tables))
    assert caught.value.exit_code == 78
    return str(caught.value)


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
    install("acme", SCHEMA)

    assert load_one("acme").config.path == "x"
    assert load_one("acme", config_of(acme={"path": "y"})).config.path == "y"


def test_one_plugin_that_fails_to_load_is_refused(install):
    install("acme", "1 / 0")

    with pytest.raises(PluginError) as caught:
        load_one("acme")

    assert caught.value.plugin == "acme"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


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
        'disable = ["rest", "log", "openapi"]\nanonymus = true\n[plugins.acme]\npth = 1\n'
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


def test_a_table_of_a_plugin_that_is_not_even_installed_is_refused():
    config = make_config({"broker": {"plugins": ["memory"]}, "plugins": {"memry": {"x": 1}}})

    with pytest.raises(ConfigError) as caught:
        load(config)

    assert str(caught.value) == (
        'config: plugins.memry: no such plugin is installed; did you mean "memory"?'
    )


def problem_of(attempt):
    return "; ".join(map(str, attempt.findings))


def test_inspecting_reports_problems_and_raises_nothing(install):
    install("good", OBSERVER)
    install("exits", "raise SystemExit(3)")
    install("twice", OBSERVER, distribution="twice-one", module="twice_one")
    install("twice", OBSERVER, distribution="twice-two", module="twice_two")
    install("acme", SCHEMA)

    config = config_of("good", "exits", "twice", "acme", "gone", acme={"pth": 1, "x": 2})
    found = {
        attempt.record.name: (attempt.record.distribution, attempt.stage, problem_of(attempt))
        for attempt in inspect_plugins(config)
    }

    assert found["good"] == ("acme-good", "plugin-config", "")
    assert found["exits"] == (
        "acme-exits",
        "import",
        'plugin "exits": import of acme_exits failed: SystemExit: 3; --debug shows the traceback',
    )
    assert found["twice"][1] == "duplicate"
    assert "two distributions provide it" in found["twice"][2]
    assert found["acme"] == (
        "acme-acme",
        "plugin-config",
        'plugins.acme.pth: unknown key; did you mean "path"?; '
        'plugins.acme.x: unknown key; known are "path", "size"',
    )
    assert found["gone"][:2] == ("", "not-installed")
    assert list(found) == ["good", "exits", "twice", "acme", "gone"]


def test_a_built_in_that_is_not_installed_says_to_reinstall(monkeypatch):
    monkeypatch.setattr("broker.loading.discover", dict)

    [attempt, *_] = inspect_plugins(Config())

    assert problem_of(attempt) == (
        'plugin "rest": not installed, though it is built in; reinstall replika-broker'
    )
