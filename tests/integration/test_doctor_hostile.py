"""`broker doctor` and `broker plugins` beside plugins that do the worst that Python lets them do."""

import json
import os
import subprocess
import sys

import pytest

SOUND = """
    import broker

    class Sound(broker.Observer):
        def notify(self, events):
            pass

    @broker.hookimpl
    def provide_observer():
        return Sound()
"""

PROVIDING = """
    import asyncio, threading, time
    import broker

    class Hostile(broker.Observer):
        def notify(self, events):
            pass

        async def open(self):
            {does}

    @broker.hookimpl
    def provide_observer():
        return Hostile()
"""

HOOKED = """
    import sys, time
    from broker import hookimpl

    @hookimpl
    def {hook}({arguments}):
        {does}
"""

IMPORTED = {
    "raises": "raise RuntimeError('half a plugin')",
    "exits": "import sys; sys.exit(3)",
    "exits well": "import sys; sys.exit(0)",
    "is no Exception": "raise BaseException",
    "cannot even be shown": """
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError
        raise Mute
    """,
    "is no Python": "not Python",
    "has no hook": "x = 1",
    "does not let itself be looked at": """
        def __getattr__(name):
            raise SystemExit(4)
        def __dir__():
            raise SystemExit(4)
    """,
    "misspells a hook": HOOKED.format(hook="provide_storrage", arguments="", does="pass"),
    "wants what there is not": HOOKED.format(hook="provide_storage", arguments="x", does="pass"),
    "exits in its schema": HOOKED.format(hook="config_schema", arguments="", does="sys.exit(5)"),
    "has no schema for a schema": HOOKED.format(
        hook="config_schema", arguments="", does="return {}"
    ),
    "raises in a hook": HOOKED.format(hook="provide_storage", arguments="", does="1 / 0"),
    "exits in a hook": HOOKED.format(hook="provide_storage", arguments="", does="sys.exit(6)"),
    "provides what is no provider": HOOKED.format(
        hook="provide_storage", arguments="", does="return 5"
    ),
    "prints in a hook": HOOKED.format(
        hook="provide_storage", arguments="", does="print('{'); 1 / 0"
    ),
}


@pytest.fixture
def run(site):
    """Run `broker` beside the plugins `hostile` and `sound`; what it printed is one document."""
    folder = site.directory.parent
    site.install("sound", SOUND)
    (folder / "broker.toml").write_text(
        '[broker]\nplugins = ["memory", "hostile", "sound"]\nanonymous = true\n'
    )

    def run(*command):
        done = subprocess.run(
            [sys.executable, "-m", "broker", *command, "--json"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(site.directory)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def troubles(document):
    return {found["subject"] for found in document["findings"] if found["level"] == "error"}


@pytest.mark.parametrize("source", IMPORTED.values(), ids=IMPORTED)
def test_the_doctor_names_it_and_tries_all_others(site, run, source):
    site.install("hostile", "print('stdout is mine')\n" + source.replace("\n    ", "\n"))

    code, document = run("doctor")

    assert code == 78
    assert troubles(document) == {"hostile"}
    tried = [f["subject"] for f in document["findings"] if f["check"] == "provider"]
    assert tried == ["memory", "scopes", "sound", "log", "rest", "openapi"]


@pytest.mark.parametrize(
    "name", [n for n in IMPORTED if "in a hook" not in n and "is no provider" not in n]
)
def test_the_list_says_that_it_is_broken(site, run, name):
    site.install("hostile", "print('stdout is mine')\n" + IMPORTED[name].replace("\n    ", "\n"))

    code, rows = run("plugins")

    told = {row["name"]: row["why_not"] for row in rows}
    assert code == 0
    assert told["hostile"].startswith("broken: ")
    assert told["sound"] is None


@pytest.mark.parametrize(
    "does",
    [
        # None of these ends by itself, and neither does Python, which waits for threads.
        "await asyncio.to_thread(threading.Event().wait)",
        "threading.Thread(target=threading.Event().wait).start(); await asyncio.Event().wait()",
        # A loop that tries again and takes its being cancelled for another failure.
        """
            while True:
                try:
                    await asyncio.Event().wait()
                except BaseException:
                    pass
        """,
    ],
)
def test_what_never_ends_keeps_the_doctor_no_longer_than_it_says(site, run, does):
    site.install("hostile", PROVIDING.format(does=does.strip()))

    code, document = run("doctor", "--timeout", "0.1")

    assert code == 78
    [told] = [f["text"] for f in document["findings"] if f["level"] == "error"]
    assert told == "Hostile was not opened within 0.1 s"


def test_what_was_left_behind_is_not_collected_either(site, run):
    does = """
            while True:
                try:
                    await asyncio.Event().wait()
                except BaseException:
                    pass
    """
    site.install("hostile", PROVIDING.format(does=does.strip()))
    program = (
        "import gc, os\n"
        "from broker.doctor import examine\n"
        "examine(None, seconds=0.1)\n"
        "gc.collect()\n"
        "os.write(1, b'alive')\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=site.directory.parent,
        env={**os.environ, "PYTHONPATH": str(site.directory)},
        capture_output=True,
        timeout=60,
    )

    assert done.stdout == b"alive"


@pytest.mark.parametrize("hangs", ["import time; time.sleep(3600)", "while True: pass"])
def test_an_import_that_never_ends_is_given_up(
    site, install, hangs, monkeypatch, clean_environment
):
    from broker.config import make_config
    from broker.loading import inspect_plugins

    monkeypatch.setattr("broker.loading.INSPECT_SECONDS", 0.05)
    install("hostile", hangs)

    [hostile, *_] = inspect_plugins(make_config({"broker": {"plugins": ["hostile"]}}))

    assert [str(finding) for finding in hostile.findings] == [
        'plugin "hostile": import of acme_hostile failed: TooSlow: it did not end within 0.05 s; '
        "--debug shows the traceback"
    ]
