"""What holds for all tests: no logins; `async def` ones get an event loop each, without a plugin."""

import asyncio
import inspect
import os

import pytest


def pytest_configure():
    """No login of whoever runs the tests has a say in them."""
    os.environ["XDG_CONFIG_HOME"] = os.devnull


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
