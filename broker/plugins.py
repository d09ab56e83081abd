"""A loaded plugin: its hooks are called under its name, and their results are looked at.

Each has a pluggy manager of its own, so no plugin can get in another's way and every failure has
a name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pluggy
from pydantic import BaseModel

from broker.auth import Authenticator, Authorizer
from broker.discovery import PluginRecord
from broker.errors import PluginError, StartupError
from broker.extend import Interceptor, Observer, Transport
from broker.hookimpls import implementations
from broker.ratelimit import RateLimiter
from broker.storage import Storage
from broker.wording import described, shown

DEBUG = "--debug shows the traceback"

RESULTS: dict[str, type] = {
    "provide_storage": Storage,
    "provide_rate_limiter": RateLimiter,
    "provide_authenticator": Authenticator,
    "provide_authorizer": Authorizer,
    "provide_interceptor": Interceptor,
    "provide_observer": Observer,
    "provide_transport": Transport,
    "provide_lifespan": AbstractAsyncContextManager,
}


class Plugin:
    """A loaded plugin: its record, its validated config, and its hooks."""

    def __init__(self, record: PluginRecord, module: object, manager: pluggy.PluginManager) -> None:
        found = implementations(module, manager)
        self.record = msgspec.structs.replace(record, hooks=tuple(hook for hook, _, _ in found))
        self.config: BaseModel | None = None
        self._manager = manager
        manager.register(module, record.name)

    @property
    def name(self) -> str:
        """The name of its entry point, by which the config knows it."""
        return self.record.name

    def call(self, hook: str, **kwargs: Any) -> Any:
        """Call this plugin's implementation of a hook; None if it has none.

        Raises PluginError for whatever goes wrong in it, with the cause, and for a result of the
        wrong type. A StartupError that it raises passes as it is.
        """
        try:
            results = getattr(self._manager.hook, hook)(**kwargs)
        except (StartupError, KeyboardInterrupt):
            raise
        # An isolation point: whatever foreign code raises is reported under its name.
        except BaseException as error:
            raise PluginError(
                self.name, f"hook {shown(hook)} failed: {described(error)}; {DEBUG}"
            ) from error
        if not results:
            return None
        [result] = results
        if not _is_allowed(hook, result):
            raise PluginError(self.name, _wrong_result(hook, result))
        for method in _wrongly_async(hook, result):
            raise PluginError(
                self.name,
                f"{type(result).__name__}.{method} is async; make it a plain function, "
                "nobody awaits what it returns",
            )
        return result


def _is_allowed(hook: str, result: Any) -> bool:
    if hook == "config_schema":
        return isinstance(result, type) and issubclass(result, BaseModel)
    return hook in RESULTS and isinstance(result, RESULTS[hook])


def _wrongly_async(hook: str, result: Any) -> Iterator[str]:
    """Yield the methods of a provider that return a coroutine where an answer is expected."""
    for name, method in inspect.getmembers(RESULTS.get(hook), inspect.isfunction):
        is_public_and_plain = not (name.startswith("_") or inspect.iscoroutinefunction(method))
        if is_public_and_plain and inspect.iscoroutinefunction(getattr(result, name)):
            yield name


def _wrong_result(hook: str, result: Any) -> str:
    if inspect.iscoroutine(result):
        result.close()
    what = f"class {result.__name__}" if isinstance(result, type) else type(result).__name__
    return f"hook {shown(hook)} returned {what}; it must return {_expected(hook)}"


def _expected(hook: str) -> str:
    if hook == "config_schema":
        return "a subclass of pydantic.BaseModel"
    if hook == "provide_lifespan":
        return "an async context manager, or None"
    if hook in RESULTS:
        return f"an instance of broker.{RESULTS[hook].__name__}, or None"
    return "nothing"
