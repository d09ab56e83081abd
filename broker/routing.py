"""From a method and a path to the route that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import msgspec

from broker.http import Route
from broker.translation import paths_of

_REMEMBERED = 512
"""How many paths are known by heart: those of the queues that are busy."""

_MEMORABLE = 512
"""How long such a path may be."""


class Match(msgspec.Struct, frozen=True, gc=False):
    """The route that a request is for, and its path's variable parts."""

    route: Route
    params: Mapping[str, str]


class RouteTable:
    """Finds routes by exact paths, whose variable parts are whatever stands between two slashes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._methods: dict[str, _Step] = {}
        for route in routes:
            for path in paths_of(route):
                self._methods.setdefault(route.method, _Step()).add(path, route)
        self._recall = lru_cache(_REMEMBERED)(self._find)

    def find(self, method: str, path: str) -> Match | None:
        """Return the match of a method and a path, None if there is none."""
        return (self._recall if len(path) <= _MEMORABLE else self._find)(method, path)

    def _find(self, method: str, path: str) -> Match | None:
        start = self._methods.get(method)
        found = start and start.follow(path.split("/"))
        if not found:
            return None
        step, values = found
        assert step.route is not None, "a way ends at a route"
        params = dict(zip(step.params, values, strict=True))
        return Match(step.route, MappingProxyType(params))


class _Step:
    """What may follow a part of a path."""

    def __init__(self) -> None:
        self.fixed: dict[str, _Step] = {}
        self.variable: _Step | None = None
        self.route: Route | None = None
        self.params: tuple[str, ...] = ()

    def add(self, path: str, route: Route) -> None:
        step: _Step = self
        params = []
        for part in path.split("/"):
            if part.startswith("{"):
                params.append(part[1:-1])
                step.variable = step.variable or _Step()
                step = step.variable
            else:
                step = step.fixed.setdefault(part, _Step())
        if step.route is None:
            step.route, step.params = route, tuple(params)

    def follow(self, parts: Sequence[str]) -> tuple[_Step, list[str]] | None:
        """Return the step where a path ends at a route, and its variable parts; a fixed part comes
        before a variable one, unless it leads nowhere."""
        if not parts:
            return None if self.route is None else (self, [])
        part, *rest = parts
        fixed = self.fixed.get(part)
        if fixed is not None and (found := fixed.follow(rest)):
            return found
        if self.variable is not None and (found := self.variable.follow(rest)):
            end, values = found
            return end, [part, *values]
        return None
