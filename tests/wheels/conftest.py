"""One clean environment with the wheel of the core, for all tests here and all who run them."""

import fcntl
import os

import pytest
from environments import ROOT, Environment, build


@pytest.fixture(scope="session")
def core(tmp_path_factory):
    """An environment with `replika-broker[testing]` from its wheel, and nothing of the checkout."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "core.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = Environment(shared / "core")
        if not (shared / "core.done").exists():
            environment.make()
            wheel = build(ROOT, shared / "core-wheel")
            environment.install(f"replika-broker[testing] @ {wheel.as_uri()}")
            (shared / "core.done").touch()
    return environment
