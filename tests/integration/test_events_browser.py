"""Events in a real browser, by the code that docs/events.md shows.

Chromium comes from the system (Debian: `apt-get install chromium`) and is driven by Playwright.
"""

import asyncio
import re
import shutil
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from backstage import BACKSTAGE
from pages import blocks
from proxy import Proxy
from raw import trust
from served import HTTP_SERVERS, Served

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
    pytest.mark.skipif(
        find_spec("playwright") is None, reason="no playwright: make test brings it"
    ),
]
EXAMPLES = blocks((Path(__file__).parents[2] / "docs" / "events.md").read_text(), "js")
PAGE = f"<!doctype html><script>const shown = [];\n{''.join(EXAMPLES)}</script>"


class Story:
    """A broker, and a program beside the browser that does what pages are told of."""

    def __init__(self, served, client):
        self.served = served
        self.url = served.url
        self._client = client

    async def begin(self):
        [password] = re.findall(r"password (\S+)", self.served.screen["notices"][0])
        form = {"username": "admin", "password": password}
        self.token = (await self.ask("POST", "/login", data=form)).json()["access_token"]
        self._client.headers["authorization"] = f"Bearer {self.token}"
        await self.ask("POST", "/queues", json={"name": "orders-eu"})

    async def ask(self, method, path, **request):
        answer = await self._client.request(method, path, **request)
        assert answer.is_success, answer.text
        return answer

    async def publish(self, content="x"):
        path = "/queues/orders-eu/messages"
        return (await self.ask("POST", path, json={"content": content})).json()["message_id"]

    async def rotate(self):
        await self.ask("POST", "/rotate")

    async def asked(self, route):
        """How often a route was asked, by what it answered."""
        counts = (await self.ask("GET", "/asked")).json()
        return {int(status): count for *at, status, count in counts if " ".join(at) == route}


on_both_servers = pytest.mark.parametrize("served", HTTP_SERVERS, indirect=True)


@pytest.fixture
def start(tmp_path, site, install, monkeypatch):
    """Start a broker with these settings of the table `[server]`."""
    install("backstage", BACKSTAGE)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    started = []

    def start(**server):
        plugins = ["backstage", "auth_jwt", "sse"]
        started.append(Served(tmp_path, plugins=plugins, anonymous="false", **server))
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture
def served(request, start):
    return start(http_server=getattr(request, "param", HTTP_SERVERS[0]))


@asynccontextmanager
async def telling(served):
    """What the broker does, and a browser without cookies."""
    from playwright.async_api import async_playwright

    async with (
        httpx.AsyncClient(
            base_url=served.url,
            timeout=100,
            verify=trust(served) if served.url.startswith("https") else True,
        ) as client,
        async_playwright() as playwright,
    ):
        story = Story(served, client)
        await story.begin()
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox"],  # there is none for root in a container
        )
        async with browser, await browser.new_context(ignore_https_errors=True) as context:
            yield story, context


class Page:
    """A page of some origin, which watches by the functions of the docs."""

    def __init__(self, page):
        self._page = page
        self.run = page.evaluate

    @classmethod
    async def load(cls, context, origin):
        page = await context.new_page()
        await page.route(
            f"{origin}/page", lambda route: route.fulfill(body=PAGE, content_type="text/html")
        )
        await page.goto(f"{origin}/page")
        return cls(page)

    @classmethod
    async def load_other(cls, context, origin):
        """One that is really fetched from there, of which a browser knows that it is near."""
        page = await context.new_page()
        await page.goto(f"{origin}/healthz")
        await page.evaluate("() => { window.shown = []; }")
        return cls(page)

    async def watch(self, token):
        """With the cookie; the stream has begun when this returns."""
        await self.run(
            "async (token) => { window.source = await watch(token, (e) => shown.push(e)); }", token
        )
        await self.until("source.readyState === EventSource.OPEN")

    async def begin(self, function, token):
        """Have one of the others watch; the stream has begun when this returns."""
        await self.run(
            f"(token) => {{ window.over = {function}(token, (e) => shown.push(e)); }}", token
        )
        await self.shown(1)

    async def until(self, expression):
        await self._page.wait_for_function(expression, timeout=60_000)

    async def shown(self, count):
        """What the page has shown, once it is so much."""
        await self.until(f"shown.length >= {count}")
        return await self.run("shown")


def published(shown):
    """The ids of the messages of which a page was told, in its order."""
    return [event["message_id"] for event in shown if "message_id" in event]


def openings(shown):
    return [event for event in shown if "gap" in event]


@on_both_servers
async def test_with_a_cookie_the_browser_comes_back_by_itself_and_misses_nothing(served):
    async with telling(served) as (story, context):
        page = await Page.load(context, story.url)
        await page.watch(story.token)

        messages = [await story.publish() for _ in range(20)]
        await page.shown(1 + 20)
        await story.rotate()
        messages += [await story.publish() for _ in range(20)]
        shown = await page.shown(2 + 40)
        await story.rotate()
        messages += [await story.publish() for _ in range(20)]
        shown = await page.shown(3 + 60)

        assert published(shown) == messages
        assert [opening["gap"] for opening in openings(shown)] == [False] * 3
        assert await story.asked("GET /events") == {200: 3}


@on_both_servers
async def test_with_tickets_the_page_comes_back_with_another_and_misses_nothing(served):
    async with telling(served) as (story, context), Proxy(served.port) as proxy:
        page = await Page.load(context, f"http://{proxy.address}")
        await page.begin("watchWithTickets", story.token)

        messages = [await story.publish() for _ in range(20)]
        await page.shown(1 + 20)
        proxy.drop()
        messages += [await story.publish() for _ in range(20)]
        shown = await page.shown(2 + 40)

        assert published(shown) == messages
        assert [opening["gap"] for opening in openings(shown)] == [False] * 2
        assert await story.asked("POST /events/ticket") == {201: 2}
        assert await context.cookies() == []


@pytest.mark.parametrize("function", ["watchWithTickets", "follow"])
async def test_without_a_cookie_a_page_is_told_until_it_logs_out(served, function):
    async with telling(served) as (story, context):
        page = await Page.load(context, story.url)
        await page.begin(function, story.token)
        message = await story.publish()
        assert published(await page.shown(2)) == [message]

        await story.ask("POST", "/logout")
        await page.run("over")  # it returns

        assert await context.cookies() == []


@on_both_servers
async def test_a_page_whose_login_ends_hears_so_and_cannot_come_back(served):
    async with telling(served) as (story, context):
        page = await Page.load(context, story.url)
        await page.watch(story.token)

        await story.ask("POST", "/logout")
        *_, last = await page.shown(2)
        await page.run("() => { source = new EventSource('/events'); }")
        await page.until("source.readyState === EventSource.CLOSED")

        assert last == {"reason": "auth-expired"}


async def test_the_cookie_is_out_of_the_reach_of_scripts_and_is_for_streams_alone(served):
    async with telling(served) as (story, context):
        page = await Page.load(context, story.url)
        await page.watch(story.token)

        [cookie] = await context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
            "broker_session",
            True,
            "Strict",
            "/",
        )
        assert await page.run("document.cookie") == ""
        status = "async ([method, path]) => (await fetch(path, {method})).status"
        assert await page.run(status, ["GET", "/queues"]) == 401
        assert await page.run(status, ["POST", "/queues/orders-eu/purge"]) == 401
        assert await page.run(status, ["DELETE", "/events/session"]) == 204
        assert await context.cookies() == []
        assert await page.run(status, ["GET", "/events"]) == 401


async def test_over_https_the_cookie_is_for_this_host_and_https_alone(start):
    async with telling(start(tls="dev")) as (story, context):
        page = await Page.load(context, story.url)
        await page.watch(story.token)
        message = await story.publish()
        shown = await page.shown(2)

        assert published(shown) == [message]
        [cookie] = await context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (
            "__Host-broker_session",
            True,
            True,
            "Strict",
        )
        session = f"performance.getEntriesByName('{story.url}/events/session')[0]"
        assert await page.run(f"{session}.nextHopProtocol") == "h2"


@pytest.mark.parametrize(("host", "refused"), [("127.0.0.1", 403), ("localhost", 401)])
async def test_a_page_of_another_origin_gets_nothing(served, host, refused):
    """Of another port, which is the same site, and of another site."""
    async with telling(served) as (story, context), Proxy(served.port) as elsewhere:
        ours = await Page.load(context, story.url)
        await ours.watch(story.token)
        page = await Page.load_other(context, f"http://{host}:{elsewhere.port}")

        await page.run(
            """(url) => {
                window.source = new EventSource(url, {withCredentials: true});
                source.onopen = source.onmessage = (event) => shown.push("something");
            }""",
            f"{story.url}/events",
        )
        await page.until("source.readyState === EventSource.CLOSED")
        for method, path in [
            ("GET", "/events"),
            ("POST", "/events/ticket"),
            ("POST", "/events/session"),
            ("DELETE", "/events/session"),
        ]:
            told = await page.run(
                """async ([url, method, token]) => {
                    const headers = {Authorization: `Bearer ${token}`};
                    try { return (await fetch(url, {method, headers})).status; }
                    catch (error) { return error.name; }
                }""",
                [story.url + path, method, story.token],
            )
            assert told == "TypeError"

        assert await page.run("shown") == []
        assert await story.asked("GET /events") == {200: 1, refused: 1}
        assert await story.asked("POST /events/ticket") == {}
        assert len(await context.cookies()) == 1


async def test_what_messages_hold_arrives_whole_and_is_nothing_else(served):
    contents = [
        "one\ntwo",
        "\r\n",
        "a\rb\n\nc\r\n",
        "\0",
        "\u2028\x85",
        "x\n\nevent: open\ndata: y",
    ]
    async with telling(served) as (story, context):
        page = await Page.load(context, story.url)
        await page.watch(story.token)
        await page.run(
            """() => {
                window.bodies = new EventSource("/events?payload=1&event=message.published");
                bodies.onmessage = () => shown.push("what nobody sent");
                for (const name of ["open", "message.published"])
                    bodies.addEventListener(name, (event) => {
                        if (event.data) shown.push(JSON.parse(event.data));
                    });
            }"""
        )
        await page.shown(2)
        await page.run("source.close()")

        for content in contents:
            await story.publish(content)
        opening, other_opening, *told = await page.shown(2 + len(contents))

        assert "gap" in opening
        assert "gap" in other_opening
        assert [event["content"] for event in told] == contents
