"""All the ways on which requests reach a transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from broker.routing import RouteTable
from broker.testing.client import Client
from broker.testing.transport.stage import transport_of

if TYPE_CHECKING:
    from quart import Quart
    from werkzeug.routing import Rule

Line = tuple[str, str]
"""A method, and a path with its query."""

IMPLIED = frozenset({"HEAD", "OPTIONS"})
"""What the framework answers by itself."""


def ways(client: Client) -> Iterator[tuple[str, Callable[[Line], bool]]]:
    """Yield each way's name, and what tells whether a request takes it."""
    transport = transport_of(client)
    for route in transport.routes():
        yield f"{route.method} {route.path}", partial(_leads_to, RouteTable([route]))
    blueprint = transport.blueprint()
    if blueprint is not None:
        from broker.mounting import mount  # noqa: PLC0415  # imports a web framework

        app = mount(client.assembly)
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith(f"{blueprint.name}."):
                for method in _methods(rule):
                    yield f"{method} {rule.rule}", partial(_is_ruled_by, app, rule)


def _methods(rule: Rule) -> set[str]:
    return {"WEBSOCKET"} if rule.websocket else (rule.methods or set()) - IMPLIED


def _leads_to(table: RouteTable, line: Line) -> bool:
    method, target = line
    return table.find(method, target.partition("?")[0]) is not None


def _is_ruled_by(app: Quart, rule: Rule, line: Line) -> bool:
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415  # a web framework's

    method, target = line
    path = target.partition("?")[0]
    urls = app.url_map.bind("broker.test")
    try:
        if method == "WEBSOCKET":
            endpoint, _ = urls.match(path, websocket=True)
        else:
            endpoint, _ = urls.match(path, method)
    except HTTPException:
        return False
    return bool(endpoint == rule.endpoint)
