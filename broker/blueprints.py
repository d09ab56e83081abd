"""Plugins' blueprints in Quart: what breaks in one is the failure of that plugin and of that
request, whatever it raises and wherever, and what no server could send never gets there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

from quart.asgi import ASGIHTTPConnection
from werkzeug.exceptions import HTTPException

from broker.access import GONE, UNMATCHED, place_of
from broker.delivery import Send
from broker.errors import BrokerError, PluginFailure
from broker.isolation import Failures, is_from_outside
from broker.soundness import check_head

if TYPE_CHECKING:
    from quart import Blueprint, Quart

    from broker.http import Request, Response, Route
    from broker.translation import Translator

STEP = "take part in every request"

NOTED = "broker.noted"
"""The key in an ASGI scope under which is left with what status a request was taken note of."""

REQUEST = "broker.request"
"""The key in an ASGI scope under which is left the request, if somebody had to make one of it."""


class Blueprints:
    """All blueprints of an app, and whose they are."""

    def __init__(self, app: Quart, failures: Failures) -> None:
        self._app = app
        self._failures = failures
        self._owners: dict[str, str] = {}

    def register(self, plugin: str, blueprint: Blueprint) -> None:
        """Register a plugin's blueprint; its functions for every request are known as its own."""
        known = [len(functions) for functions in self._for_every_request()]
        self._app.register_blueprint(blueprint)
        self._owners[blueprint.name] = plugin
        for functions, count in zip(self._for_every_request(), known, strict=True):
            functions[count:] = [self._blamed(plugin, function) for function in functions[count:]]

    def owner(self, blueprint: str | None) -> str | None:
        """Return the plugin whose blueprint this is, None if it is nobody's."""
        return self._owners.get(blueprint or "")

    def _for_every_request(self) -> tuple[list[Any], ...]:
        app = self._app
        return (
            app.before_request_funcs[None],
            app.after_request_funcs[None],
            app.teardown_request_funcs[None],
            app.before_websocket_funcs[None],
            app.after_websocket_funcs[None],
            app.teardown_websocket_funcs[None],
        )

    def _blamed(self, plugin: str, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """Return a function that blames this plugin, and not the one whose request it is."""

        @wraps(function)
        async def blamed(*args: Any) -> Any:
            try:
                return await self._app.ensure_async(function)(*args)
            except (BrokerError, HTTPException):
                raise
            except BaseException as error:
                if is_from_outside(error):
                    raise
                self._failures.note(plugin, STEP, error)
                raise PluginFailure(plugin, STEP) from error

        return blamed


class Connection(ASGIHTTPConnection):
    """One request to Quart. What comes out of it that Quart does not answer, SystemExit of a view
    or of the body of a response, for one, is that request's 500, or its end once it is begun."""

    def __init__(
        self,
        app: Quart,
        scope: Any,
        *,
        translator: Translator,
        blueprints: Blueprints,
        routes: Mapping[str, Route],
    ) -> None:
        super().__init__(app, scope)
        self._translator = translator
        self._blueprints = blueprints
        self._routes = routes
        self._begun = perf_counter()

    async def handle_request(self, request: Any, send: Any) -> None:
        """Have the request answered, and take note of it."""
        is_begun = False

        async def noting(message: Any) -> None:
            nonlocal is_begun
            if not is_begun:
                is_begun = True
                self._note(request, message["status"])
            await send(message)

        try:
            await super().handle_request(request, noting)
        except BaseException as error:
            if is_from_outside(error):
                if not is_begun:
                    self._note(request, GONE)
                raise
            plugin = self._blueprints.owner(request.blueprint)
            ours = self._ours(request)
            response = self._translator.failure(error, ours, plugin)
            if is_begun:
                # The server breaks the connection off, so that nobody takes this for a whole one.
                raise RuntimeError("an answer ended in its middle") from error
            await self._refuse(response, ours, noting)

    def _note(self, request: Any, status: int) -> None:
        """Take note of what a handler of a route did not answer so."""
        if self.scope.get(NOTED) == status:
            return
        place, is_measured = UNMATCHED, False
        if (route := self._routes.get(request.endpoint)) is not None:
            place = place_of(route)
        elif request.url_rule is not None:
            method = "GET" if request.method == "HEAD" else request.method
            place, is_measured = (method, request.url_rule.rule), status != GONE
        seconds = perf_counter() - self._begun
        self._translator.access.note(
            place, status, self._ours(request), seconds, is_measured=is_measured
        )

    def _ours(self, request: Any) -> Request:
        scope: Any = self.scope
        kept: Request | None = scope.get(REQUEST)
        return kept or self._translator.request(scope, path=request.path, params={}, body=b"")

    async def _send_response(self, send: Any, response: Any) -> None:
        check_head(response.status_code, response.headers.items())
        try:
            await super()._send_response(send, response)
        except Exception:
            raise
        except BaseException as error:
            if is_from_outside(error):
                raise
            # Quart has this in a task of its own, which would pass it on to the whole loop.
            raise RuntimeError(f"the body of a response raised {type(error).__name__}") from error

    async def _refuse(self, response: Response, request: Request, send: Send) -> None:
        headers = self._translator.headers(response, request)
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        start = {"type": "http.response.start", "status": response.status, "headers": encoded}
        await send(start)
        await send({"type": "http.response.body", "body": response.body})
