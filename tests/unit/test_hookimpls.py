"""What is wrong with a plugin's hook implementations is found before one is called."""

import types

import pluggy
import pytest

from broker import hookspecs
from broker.hookimpls import find_faults


def faults(source):
    module = types.ModuleType("acme")
    exec("from broker import hookimpl\n" + source, vars(module))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return find_faults(module, manager)


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef provide_storage(plugin): ...",
        "@hookimpl\ndef provide_storage(): ...",
        "@hookimpl\ndef provide_transport(broker): ...",
        "@hookimpl(specname='provide_storage')\ndef any_name(plugin): ...",
        # A default that shadows nothing never gets another value, and does no harm.
        "@hookimpl\ndef provide_storage(plugin, size=5): ...",
        "from contextlib import asynccontextmanager\n"
        "@hookimpl\n@asynccontextmanager\nasync def provide_lifespan(plugin): yield",
        "async def work(): ...\n@hookimpl\ndef provide_storage(plugin): ...",
    ],
)
def test_a_sound_implementation_has_no_fault(source):
    assert faults(source) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("", "implements no hook; mark its functions with @broker.hookimpl"),
        (
            "import pluggy\n@pluggy.HookimplMarker('brker')\ndef provide_storage(plugin): ...",
            "implements no hook; mark its functions with @broker.hookimpl",
        ),
        (
            "def provide_storage(plugin): ...\n@hookimpl\ndef provide_observer(plugin): ...",
            'function "provide_storage" is not marked; decorate it with @broker.hookimpl',
        ),
        (
            "@hookimpl\ndef provide_storge(plugin): ...",
            'unknown hook "provide_storge"; did you mean "provide_storage"?',
        ),
        (
            "@hookimpl\ndef provides_storage(plugin): ...",
            'unknown hook "provides_storage"; did you mean "provide_storage"?',
        ),
        # A hook of another version looks like none of these, though it begins like them.
        ("@hookimpl\ndef provide_dashboard(plugin): ...", 'unknown hook "provide_dashboard"'),
        ("@hookimpl\ndef xyz(plugin): ...", 'unknown hook "xyz"'),
        (
            "@hookimpl\ndef provide_storage(plugn): ...",
            'hook "provide_storage" asks for the unknown argument "plugn"; did you mean "plugin"?',
        ),
        (
            "@hookimpl\ndef provide_storage(app): ...",
            'hook "provide_storage" asks for the unknown argument "app"; it may take "plugin"',
        ),
        (
            "@hookimpl\ndef config_schema(plugin): ...",
            'hook "config_schema" asks for the unknown argument "plugin"; it takes no arguments',
        ),
        (
            "@hookimpl\ndef provide_transport(plugin, broker=None): ...",
            'hook "provide_transport" gives its argument "broker" a default, '
            "so it would never get a value; remove the default",
        ),
        (
            "@hookimpl\ndef provide_storage(*, plugin): ...",
            'hook "provide_storage" has the keyword-only argument "plugin"; remove the *',
        ),
        (
            "@hookimpl\ndef provide_storage(**options): ...",
            'hook "provide_storage" takes **options, which stays empty; it may take "plugin"',
        ),
        (
            "@hookimpl\nasync def provide_storage(plugin): ...",
            'hook "provide_storage" is async; make it a plain function, '
            "only the methods of what it returns are async",
        ),
        (
            "@hookimpl\nasync def provide_lifespan(plugin): yield",
            'hook "provide_lifespan" is async; make it a plain function, '
            "only the methods of what it returns are async",
        ),
        (
            "@hookimpl(wrapper=True)\ndef provide_storage(plugin):\n    return (yield)",
            'hook "provide_storage" is a wrapper; return the object, wrap nothing',
        ),
        (
            "@hookimpl(hookwrapper=True)\ndef provide_storage(plugin): yield",
            'hook "provide_storage" is a wrapper; return the object, wrap nothing',
        ),
        (
            "@hookimpl\ndef provide_storage(plugin): ...\n"
            "@hookimpl(specname='provide_storage')\ndef second(plugin): ...",
            'implements hook "provide_storage" twice; remove one',
        ),
    ],
)
def test_a_fault_is_one_line_with_the_remedy(source, line):
    assert faults(source) == [line]


def test_all_faults_of_a_plugin_are_found():
    assert faults(
        "@hookimpl\ndef provide_storge(plugin): ...\n"
        "@hookimpl\nasync def provide_observer(plugin): ...\n"
    ) == [
        'hook "provide_observer" is async; make it a plain function, '
        "only the methods of what it returns are async",
        'unknown hook "provide_storge"; did you mean "provide_storage"?',
    ]
