"""Plugins that do their worst, one in each role: when they come to a queue `<role>.<how>`, as an
authenticator does to such a token, and transports to a path that ends so. With all else they do as
they should.
"""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from threading import Event as Flag
from types import SimpleNamespace

from broker_storage_sqlite.storage import SQLiteStorage
from misbehaving import ODD_ERRORS
from quart import Blueprint

from broker import (
    Allowance,
    Authenticator,
    Authorizer,
    Identity,
    Interceptor,
    Observer,
    RateLimiter,
    Response,
    Route,
    Stream,
    Transport,
)
from broker import ending, server
from broker.builtin.memory import MemoryStorage
from broker.operations import gate, intercepting

SOURCE = """
from broker import hookimpl
from hostile_plugins import {provider}

@hookimpl
def provide_{hook}({arguments}):
    return {provider}({arguments})
"""

BACKGROUND = """
from broker import hookimpl
from hostile_plugins import HostileLifespan

BACKGROUND = HostileLifespan()

@hookimpl
def provide_transport():
    return BACKGROUND

@hookimpl
def provide_lifespan():
    return BACKGROUND.work()
"""

RAISED = {type(error).__name__: error for error in ODD_ERRORS}
RETURNED = {
    "None": None,
    "object": object(),
    "text": "garbage",
    "garbage": [SimpleNamespace(allowed=True, queue="sound")],
    "true": 1,
}
BLOCKS_SECONDS = 0.6
"""Longer than an observer may keep the loop from all others."""


# How long these take is asserted elsewhere.
if "HOSTILE_PATIENCE_SECONDS" in os.environ:
    patience = float(os.environ["HOSTILE_PATIENCE_SECONDS"])
    intercepting.PATIENCE_SECONDS = gate.PATIENCE_SECONDS = patience
if "HOSTILE_END_SECONDS" in os.environ:
    server.CUT_SECONDS = ending.END_SECONDS = float(os.environ["HOSTILE_END_SECONDS"])


def install_hostile(install, **others):
    """Install all of these plugins, each by the name of its role; return the names."""
    for name, (hook, provider, arguments) in {**PLUGINS, **others}.items():
        install(name, SOURCE.format(hook=hook, provider=provider.__name__, arguments=arguments))
    install("background", BACKGROUND)
    return [*PLUGINS, "background"]


def way(role, place):
    """Return how a plugin of this role shall do it when it comes here, None for soundly."""
    theirs, _, how = place.partition(".")
    return how if theirs == role else None


def misbehave(how):
    """Raise or return what that is."""
    if how in RAISED:
        raise type(RAISED[how])("secret")
    return RETURNED[how]


async def misbehave_at_length(how):
    """Raise or return what that is, or hang until it is cancelled."""
    if how == "hangs":
        await asyncio.Event().wait()
    return misbehave(how)


class HostileInterceptor(Interceptor):
    async def before_publish(self, identity, batch):
        how = way("interceptor", batch[0].queue)
        if how == "mutates":
            batch[0].headers["secret"] = 7
            return batch
        return await misbehave_at_length(how) if how else batch


class HostileLimiter(RateLimiter):
    async def spend(self, spendings):
        [one] = spendings
        how = way("limiter", one.queue or "") if one.activity == "publish" else None
        return await misbehave_at_length(how) if how else Allowance(allowed=True)


class HostileAuthorizer(Authorizer):
    def permits(self, identity, action, queue):
        how = way("authorizer", queue or "") if action == "publish" else None
        if how == "coroutine":
            return misbehave_at_length("true")
        return misbehave(how) if how else True


class HostileAuthenticator(Authenticator):
    async def authenticate(self, credentials):
        how = way("authenticator", credentials.token)
        return await misbehave_at_length(how) if how else Identity(subject="somebody")


class HostileStorage:
    """What makes a storage hostile. It hangs until it is let `go_on`, and publishes then."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.go_on = asyncio.Event()

    async def publish(self, batch, *, now):
        how = way("storage", batch[0].queue)
        if how == "too-few":
            return []
        if how == "hangs":
            await self.go_on.wait()
        elif how:
            return misbehave(how)
        return await super().publish(batch, now=now)

    async def lease(self, queue, **options):
        how = way("leasing", queue)
        return misbehave(how) if how else await super().lease(queue, **options)

    async def maintain(self, *, now, limit):
        if self.how_to_maintain:
            return misbehave(self.how_to_maintain)
        return await super().maintain(now=now, limit=limit)

    how_to_maintain = None


class HostileMemory(HostileStorage, MemoryStorage):
    pass


class HostileFile(HostileStorage, SQLiteStorage):
    def __init__(self, plugin):
        super().__init__(plugin.data_dir / "hostile.db", logger=plugin.logger)


class HostileObserver(Observer):
    """In `heard` is what it took without doing anything else."""

    role = "observer"

    def __init__(self):
        self.heard, self.go_on = SimpleQueue(), Flag()

    def notify(self, events):
        how = way(self.role, events[0].queue) if events[0].kind == "message.published" else None
        if how == "blocks":
            self.go_on.wait()
        elif how == "is-slow":
            self.go_on.wait(BLOCKS_SECONDS)
        elif how:
            misbehave(how)
        self.heard.put(events[0])


class HostileListener(HostileObserver):
    role = "listener"
    in_loop = True


class HostileStream(Stream):
    def __init__(self, how):
        super().__init__(Identity(subject="somebody"))
        self.how = how
        self.is_begun = False

    async def take(self):
        if self.is_begun:
            return await misbehave_at_length(self.how)
        self.is_begun = True
        return b"first\n"

    def farewell(self, reason):
        return reason.encode()


class HostileTransport(Transport):
    """`/route/<how>` and `/hot/<how>` answer so, `/stream/<how>` begins to stream, `/view/<how>` and
    `/page/<how>` are in a blueprint. Routes hang until they are let `go_on`."""

    def __init__(self):
        self.go_on = asyncio.Event()

    def routes(self):
        return [
            Route("POST", "/route/{how}", self.answer),
            Route("POST", "/hot/{how}", self.answer, hot=True),
            Route("GET", "/stream/{how}", self.stream, hot=True, gives=True),
        ]

    async def answer(self, request):
        how = request.params["how"]
        if how == "hangs":
            await self.go_on.wait()
            return Response()
        while how == "clings":
            with suppress(BaseException):
                await asyncio.Event().wait()
        unsound = {
            "bad-status": Response(status=99),
            "bad-header": Response(headers=(("x", "a\r\nb: c"),)),
            "bad-headers": Response(headers="x"),
            "bad-body": Response(body="text"),
        }
        return unsound[how] if how in unsound else misbehave(how)

    async def stream(self, request):
        return Response(stream=HostileStream(request.params["how"]))

    def blueprint(self):
        blueprint = Blueprint("hostile", __name__)
        blueprint.add_url_rule("/view/<how>", "view", misbehave_at_length, methods=["POST"])
        blueprint.add_url_rule("/page/<how>", "page", self.page)
        return blueprint

    async def page(self, how):
        async def body():
            yield b"first\n"
            await misbehave_at_length(how)

        return body(), 200


class HostileLifespan(Transport):
    """Work in the background that `POST /background/dies` breaks, and that does not end after
    `POST /background/hangs`."""

    def __init__(self):
        self._broken, self._hangs = asyncio.Event(), False

    def routes(self):
        return [Route("POST", "/background/{how}", self.turn)]

    async def turn(self, request):
        if request.params["how"] == "dies":
            self._broken.set()
        else:
            self._hangs = True
        return Response()

    @asynccontextmanager
    async def work(self):
        async with asyncio.TaskGroup() as group:
            child = group.create_task(self._break())
            yield
            child.cancel()
        if self._hangs:
            await asyncio.Event().wait()
        raise SystemExit("secret")

    async def _break(self):
        await self._broken.wait()
        raise RuntimeError("secret")


PLUGINS = {
    "storage": ("storage", HostileMemory, ""),
    "limiter": ("rate_limiter", HostileLimiter, ""),
    "authenticator": ("authenticator", HostileAuthenticator, ""),
    "authorizer": ("authorizer", HostileAuthorizer, ""),
    "interceptor": ("interceptor", HostileInterceptor, ""),
    "observer": ("observer", HostileObserver, ""),
    "listener": ("observer", HostileListener, ""),
    "transport": ("transport", HostileTransport, ""),
}
"""By name: the hook, what it returns, what it takes."""

DURABLE = ("storage", HostileFile, "plugin")
"""Instead of the storage in memory."""
