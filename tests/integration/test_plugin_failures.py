"""Each way in which a plugin can fail is one line that names it and the remedy, and exit code 78.

The plugins are real distributions on disk, and the command is the one that operators run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.discovery import discover
from broker.wording import quoted

BROKER = (sys.executable, "-m", "broker")

HEADER = "import broker\nfrom broker import hookimpl\n"


def hook(body):
    return f"{HEADER}\n@hookimpl\n{body}\n"


def provider(base, hook_name):
    return HEADER + (
        f"class Mine(broker.{base}): pass\n"
        "Mine.__abstractmethods__ = frozenset()\n"
        f"@hookimpl\ndef {hook_name}(plugin): return Mine()\n"
    )


STORAGE = provider("Storage", "provide_storage")

GOOD = hook("def provide_observer(plugin): return None")


@pytest.fixture
def check(site, tmp_path):
    """Run the command on a config that enables these plugins."""

    def run(*names, extra="", command=("config", "check")):
        file = tmp_path / "broker.toml"
        listed = ", ".join(f'"{name}"' for name in names)
        file.write_text(
            f'[broker]\nplugins = [{listed}]\ndisable = ["log", "rest", "openapi"]\n{extra}'
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BROKER")}
        environment["PYTHONPATH"] = str(site.directory)
        return subprocess.run(
            [*BROKER, *command, "--config", file.name],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def assert_refused(result, line):
    assert result.stderr == f"broker: {line}\n"
    assert result.stdout == ""
    assert result.returncode == 78


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "import no_such_module\n",
            "import of acme_acme failed: ModuleNotFoundError: "
            "No module named 'no_such_module'; --debug shows the traceback",
        ),
        (
            "raise SystemExit(0)\n",
            "import of acme_acme failed: SystemExit: 0; --debug shows the traceback",
        ),
        (
            "raise BaseException('a panic of native code')\n",
            "import of acme_acme failed: BaseException: a panic of native code; "
            "--debug shows the traceback",
        ),
        (
            "def broken(:\n",
            "import of acme_acme failed: SyntaxError: invalid syntax (acme_acme.py, line 1); "
            "--debug shows the traceback",
        ),
        (
            hook("def provide_storge(plugin): ..."),
            'unknown hook "provide_storge"; did you mean "provide_storage"?',
        ),
        (
            "import pluggy\n@pluggy.HookimplMarker('brker')\ndef provide_storage(plugin): ...\n",
            "implements no hook; mark its functions with @broker.hookimpl",
        ),
        (
            "def provide_storage(plugin): ...\n",
            "implements no hook; mark its functions with @broker.hookimpl",
        ),
        (
            hook("def provide_storage(plugin, app): ..."),
            'hook "provide_storage" asks for the unknown argument "app"; it may take "plugin"',
        ),
        (
            hook("def provide_storage(plugin=None): ..."),
            'hook "provide_storage" gives its argument "plugin" a default, '
            "so it would never get a value; remove the default",
        ),
        (
            hook("def provide_storage(*, plugin): ..."),
            'hook "provide_storage" has the keyword-only argument "plugin"; remove the *',
        ),
        (
            hook("async def provide_storage(plugin): ..."),
            'hook "provide_storage" is async; make it a plain function, '
            "only the methods of what it returns are async",
        ),
        (
            f"{HEADER}@hookimpl(wrapper=True)\ndef provide_storage(plugin): return (yield)\n",
            'hook "provide_storage" is a wrapper; return the object, wrap nothing',
        ),
        (
            hook("def provide_storage(plugin): return {}"),
            'hook "provide_storage" returned dict; '
            "it must return an instance of broker.Storage, or None",
        ),
        (
            hook("def provide_transport(plugin, broker): return broker"),
            'hook "provide_transport" returned Broker; '
            "it must return an instance of broker.Transport, or None",
        ),
        (
            hook("def config_schema(): return dict"),
            'hook "config_schema" returned class dict; '
            "it must return a subclass of pydantic.BaseModel",
        ),
        (
            hook("def provide_observer(plugin): return 1 / 0"),
            'hook "provide_observer" failed: ZeroDivisionError: division by zero; '
            "--debug shows the traceback",
        ),
        (
            hook("def provide_observer(plugin): raise SystemExit(0)"),
            'hook "provide_observer" failed: SystemExit: 0; --debug shows the traceback',
        ),
        (
            hook("def provide_transport(plugin, broker): raise BaseException('a panic')"),
            'hook "provide_transport" failed: BaseException: a panic; --debug shows the traceback',
        ),
        (
            f"{HEADER}class Mine(broker.Observer): pass\n"
            "@hookimpl\ndef provide_observer(plugin): return Mine()\n",
            'hook "provide_observer" failed: TypeError: '
            "Can't instantiate abstract class Mine with abstract method notify; "
            "--debug shows the traceback",
        ),
    ],
)
def test_a_broken_plugin_is_one_line_and_exit_code_78(install, check, source, problem):
    install("acme", source)

    if sys.version_info >= (3, 12):
        problem = problem.replace("abstract method notify", "an implementation for abstract method 'notify'").replace("abstract class Mine with an", "abstract class Mine without an")  # fmt: skip
    assert_refused(check("acme"), f'plugin "acme": {problem}')


OPENING = (
    HEADER
    + """
class Mine(broker.Observer):
    def notify(self, events): pass
    async def open(self): {does}

@hookimpl
def provide_observer(): return Mine()
"""
)


@pytest.mark.parametrize(
    ("does", "problem"),
    [
        ("raise OSError('no')", "OSError: no"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise BaseException('a panic')", "BaseException: a panic"),
    ],
)
def test_a_plugin_that_breaks_as_it_opens_is_named_by_the_server(install, check, does, problem):
    install("acme", OPENING.format(does=does))

    result = check("acme", command=("serve", "--port", "0"))

    last = result.stderr.splitlines()[-1]
    assert last.startswith(f'broker: plugin "acme": Mine.open failed: {problem}')
    assert result.returncode == 78


def test_a_plugin_that_is_not_installed_names_those_that_are(install, check):
    install("acme", GOOD)
    install("storage_acme", GOOD)

    assert_refused(
        check("acme", "storage_acm"),
        'broker.toml: broker.plugins[1]: plugin "storage_acm" is not installed; '
        f'did you mean "storage_acme"? (installed: {quoted(discover())})',
    )


def test_two_distributions_with_one_name_are_both_named(install, check):
    install("acme", GOOD, distribution="acme-one", module="acme_one")
    install("acme", GOOD, distribution="acme-two", module="acme_two", version="2.0")

    result = check("acme")

    assert result.stderr in (
        f'broker: plugin "acme": two distributions provide it: {one} and {two}; uninstall one\n'
        for one, two in [
            ('"acme-one" 1.0', '"acme-two" 2.0'),
            ('"acme-two" 2.0', '"acme-one" 1.0'),
        ]
    )
    assert result.returncode == 78


@pytest.mark.parametrize(
    ("source", "role", "remedy"),
    [
        (STORAGE, "storage", 'choose one, broker.storage = "one" for example'),
        (
            provider("RateLimiter", "provide_rate_limiter"),
            "rate limiter",
            "remove all but one from broker.plugins",
        ),
        (
            provider("Authorizer", "provide_authorizer"),
            "authorizer",
            "remove all but one from broker.plugins",
        ),
    ],
)
def test_two_providers_of_an_exclusive_role_are_both_named(install, check, source, role, remedy):
    install("one", source)
    install("two", source)

    assert_refused(check("one", "two"), f'plugins "one", "two" each provide the {role}; {remedy}')


def test_the_choice_among_two_storages_is_respected(install, check):
    install("one", STORAGE)
    install("two", STORAGE)

    result = check("one", "two", extra='storage = "two"\n')

    assert result.stdout.startswith("broker.toml: ok; storage two; plugins one 1.0, two 1.0")
    assert result.returncode == 0


def test_a_chosen_storage_that_is_not_enabled_is_refused(install, check):
    install("one", STORAGE)
    install("two", STORAGE)

    assert_refused(
        check("one", extra='storage = "two"\n'),
        'broker.toml: broker.storage: "two" is not enabled; add it to broker.plugins',
    )


def test_a_chosen_storage_that_provides_none_is_refused(install, check):
    install("one", STORAGE)
    install("two", GOOD)

    assert_refused(
        check("one", "two", extra='storage = "two"\n'),
        'broker.storage: plugin "two" provides no storage; choose one that does: "one"',
    )


def test_all_failures_are_reported_together(install, check):
    install("one", "1 / 0")
    install("two", "")

    result = check("one", "two", extra='[server]\nport = "http"\n')

    assert result.stderr.splitlines() == [
        "broker: broker.toml: 3 problems",
        'broker:   server.port: expected an integer from 0 to 65535; got "http"',
        'broker:   plugin "one": import of acme_one failed: ZeroDivisionError: division by zero; '
        "--debug shows the traceback",
        'broker:   plugin "two": implements no hook; mark its functions with @broker.hookimpl',
    ]
    assert result.returncode == 78


def test_a_plugin_that_is_not_enabled_is_never_imported(install, check, tmp_path):
    canary = tmp_path / "canary"
    install("canary", f"open({str(canary)!r}, 'w').close()\n")
    install("acme", GOOD)

    result = check("acme")

    assert result.returncode == 0
    assert not Path(canary).exists()


def test_the_canary_sings_when_it_is_enabled(install, check, tmp_path):
    canary = tmp_path / "canary"
    install("canary", f"open({str(canary)!r}, 'w').close()\n")

    check("canary")

    assert canary.exists()
