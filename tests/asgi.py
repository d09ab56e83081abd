"""What the adapters of the routes are given by a server, in the hands of a test."""

import asyncio
from types import SimpleNamespace

import pytest

from broker.auth import Identity
from broker.http import Response, Route
from broker.isolation import Failures
from broker.mounting import mount
from broker.reception import Reception
from broker.status import Served
from broker.testing import ManualClock
from broker.translation import Translator
from broker.turn import Turns

DISCONNECT = {"type": "http.disconnect"}


def broker_of(**parts):
    """What the adapters of the routes need of a broker: what a test says, and what does no harm."""
    harmless = {
        "served": Served(),
        "clock": ManualClock(),
        "failures": Failures(ManualClock()),
        "challenge": "Bearer",
        "draining": False,
        "retiring": False,
        "turns": Turns(10),
    }
    return SimpleNamespace(**{**harmless, **parts})


def mounted(*transports, fastpath=True, access=None, **parts):
    """Return the app of a broker with such parts that serves transports, each (plugin, object)."""
    assembly = SimpleNamespace(
        broker=broker_of(**parts), transports=transports, trusted_proxies=(), tracing=None
    )
    return mount(assembly, fastpath=fastpath, access=access)


def part(body=b"", more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def scope_of(method="GET", *, peer="203.0.113.7", headers=()):
    """What a server says of a request for `/`, to an app that is Quart's."""
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"b"), *headers],
        "client": (peer, 5),
    }


async def echo(request):
    return Response(body=request.body)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_task_is_left(monkeypatch):
    """See after each test of a module that imports this whether it left a task behind."""
    run = asyncio.run

    def run_and_look(main):
        async def looked():
            await main
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        return run(looked())

    monkeypatch.setattr(asyncio, "run", run_and_look)


class Bench:
    """A reception of one route, with one handler, and the one client that asks it."""

    def __init__(self, handler=echo, path="/things/{thing}/do", *, hot=True, **options):
        self.served = Served()
        self.incoming = asyncio.Queue()
        self.sent = []
        self.undelivered = []
        self.left_to_framework = []
        self.identified = []
        self.sending = asyncio.Event()
        self.sending.set()
        self.broker = broker_of(served=self.served, identify=self._identify, turns=Turns(1))
        route = Route("POST", path, handler, hot=hot, **options)
        translator = Translator(self.broker, {route: "acme"})
        routes = [route] if hot else []
        self.app = Reception(self._framework, translator, [route], hot=routes)

    async def _framework(self, scope, receive, send):
        self.left_to_framework.append(scope["type"])

    async def _identify(self, credentials, *, peer):
        self.identified.append(credentials)
        return Identity(subject="somebody")

    async def give_back(self):
        self.undelivered.append(True)

    async def send(self, event):
        await self.sending.wait()
        self.sent.append(event)

    def begin(self, *incoming, path="/things/1/do", method="POST", headers=(), **scope):
        for event in incoming:
            self.incoming.put_nowait(event)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": list(headers),
            "client": ("203.0.113.7", 5),
            **scope,
        }
        return asyncio.ensure_future(self.app(scope, self.incoming.get, self.send))

    async def ask(self, *incoming, **scope):
        await self.begin(*incoming, **scope)
        start, end = self.sent
        self.sent.clear()
        return start["status"], dict(start["headers"]), end["body"]
