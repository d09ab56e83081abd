"""Every plugin that is installed or listed, under the check that its mistake belongs to."""

import pytest

OBSERVER = """
    import broker

    class Quiet(broker.Observer):
        def notify(self, events):
            pass

    @broker.hookimpl
    def provide_observer():
        return Quiet()
"""


@pytest.mark.parametrize(
    ("source", "check", "told"),
    [
        ("1 / 0", "import", "import of acme_acme failed: ZeroDivisionError: division by zero"),
        ("x = 1", "hooks", "implements no hook; mark its functions with @broker.hookimpl"),
        (
            "import broker\n@broker.hookimpl\ndef provide_storrage(): ...",
            "hooks",
            'unknown hook "provide_storrage"; did you mean "provide_storage"?',
        ),
        (
            "import pluggy\n@pluggy.HookimplMarker('brker')\ndef provide_storage(): ...",
            "hooks",
            "implements no hook",
        ),
        (
            "import broker\n@broker.hookimpl\ndef provide_storage(what): ...",
            "hooks",
            'hook "provide_storage" asks for the unknown argument "what"',
        ),
        (
            "import broker\n@broker.hookimpl\ndef config_schema(): return 5",
            "hooks",
            'hook "config_schema" returned int; it must return a subclass of pydantic.BaseModel',
        ),
        (
            "import broker, pydantic\nclass C(pydantic.BaseModel):\n    size: int\n"
            "@broker.hookimpl\ndef config_schema(): return C",
            "plugin-config",
            "plugins.acme.size: missing; expected an integer",
        ),
        (
            "import broker\n@broker.hookimpl\ndef provide_storage(): 1 / 0",
            "assembly",
            'hook "provide_storage" failed: ZeroDivisionError',
        ),
    ],
)
def test_each_mistake_has_its_check(install, configure, doctor, source, check, told):
    install("acme", source)
    configure("memory", "acme")

    [(level, found, subject, text)] = doctor()

    assert (level, found, subject) == ("error", check, "acme")
    assert text.removeprefix('plugin "acme": ').startswith(told)


def test_all_mistakes_in_the_hooks_are_told(install, configure, doctor):
    install(
        "acme",
        "import broker\n@broker.hookimpl\ndef provide_x(): ...\n"
        "@broker.hookimpl\nasync def provide_storage(): ...\n",
    )
    configure("memory", "acme")

    assert len(doctor("hooks")) == 2


def test_two_distributions_of_one_name_are_named(install, configure, doctor):
    install("acme", OBSERVER, distribution="acme-one", module="acme_one")
    install("acme", OBSERVER, distribution="acme-two", module="acme_two")
    configure("memory", "acme")
    [enabled] = doctor()
    configure("memory")
    [other] = doctor()

    assert enabled[:3] == ("error", "duplicate", "acme")
    assert '"acme-one" 1.0 and "acme-two" 1.0' in enabled.text
    assert other == (
        "warning",
        "duplicate",
        "acme",
        "two distributions provide it: acme-one 1.0 and acme-two 1.0",
    )


def test_a_plugin_that_is_not_installed_is_named_with_its_neighbours(configure, doctor):
    configure("memry", "storage_sqlite")

    [(level, check, subject, text)] = doctor("not-installed")

    assert (level, check, subject) == ("error", "not-installed", "memry")
    assert 'did you mean "memory"?' in text


def test_what_is_not_enabled_is_told_and_not_imported(install, configure, doctor, folder):
    install("canary", "open('sung', 'w')")
    configure("memory")

    assert ("ok", "plugin", "canary", "acme-canary 1.0: installed, not enabled") in doctor("plugin")
    assert not (folder / "sung").exists()


def test_a_plugin_that_is_sound_is_told_with_its_roles(install, configure, doctor):
    install("acme", OBSERVER)
    configure("memory", "acme")

    assert ("ok", "plugin", "acme", "acme-acme 1.0: observer") in doctor("plugin")
