"""The pages of the documentation in a real browser, under their own policy.

Chromium comes from the system (Debian: `apt-get install chromium`) and is driven by Playwright.
"""

import re
import shutil
from contextlib import asynccontextmanager
from importlib.util import find_spec

import httpx
import pytest
from served import HTTP_SERVERS, Served

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
    pytest.mark.skipif(
        find_spec("playwright") is None, reason="no playwright: make test brings it"
    ),
]
PATIENCE = 60_000


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(
        tmp_path, plugins=["auth_jwt", "sse"], anonymous="false", http_server=request.param
    )
    yield served
    served.end()


class Seen:
    """A page, what it asked for, and what it complained of."""

    def __init__(self, page, origin):
        self.page = page
        self.asked = []
        self.complaints = []
        self._origin = origin
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    @property
    def foreign(self):
        return [
            url for url in self.asked if not url.startswith((f"{self._origin}/", "data:", "blob:"))
        ]


@asynccontextmanager
async def seeing(served, path):
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox"],  # there is none for root in a container
        )
        async with browser:
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE)
            seen = Seen(page, served.url)
            await page.goto(f"{served.url}{path}")
            yield seen


def first_password(served):
    [password] = re.findall(r"password (\S+)", served.screen["notices"][0])
    return password


def log_in(served):
    form = {"username": "admin", "password": first_password(served)}
    return httpx.post(f"{served.url}/login", data=form, timeout=100).json()["access_token"]


async def execute(page, operation):
    """Try an operation as it is proposed; return what is shown of its answer."""
    place = f"#operations-{operation}"
    await page.click(f"{place} button.opblock-summary-control")
    await page.click(f"{place} button.try-out__btn")
    await page.click(f"{place} button.execute")
    await page.wait_for_selector(f"{place} .live-responses-table")
    return await page.inner_text(f"{place} .live-responses-table")


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_what_is_documented_can_be_tried_with_a_token(served, prefix):
    async with seeing(served, f"{prefix}/docs") as seen:
        page = seen.page
        await page.click("button.authorize")
        await page.fill("#auth-bearer-value", log_in(served))
        await page.click(".auth-container:has(#auth-bearer-value) button.authorize")
        await page.click("button.close-modal")
        made = await execute(page, "Queues-create_queue")
        listed = await execute(page, "Queues-list_queues")
        one = await execute(page, "Queues-get_queue")

        assert "201" in made
        for answer in (made, listed, one):
            assert '"name": "orders"' in answer
        assert (seen.complaints, seen.foreign) == ([], [])
        assert {f"{served.url}{prefix}/openapi.json", f"{served.url}/queues"} <= set(seen.asked)


async def test_who_tries_it_can_log_in_there(served):
    async with seeing(served, "/docs") as seen:
        page = seen.page
        await page.click("button.authorize")
        await page.fill("#oauth_username", "admin")
        await page.fill("#oauth_password", first_password(served))
        await page.click(".auth-container:has(#oauth_username) button.authorize")
        await page.wait_for_selector(".auth-container button:has-text('Logout')")
        await page.click("button.close-modal")
        listed = await execute(page, "Queues-list_queues")

        assert "200" in listed
        assert (seen.complaints, seen.foreign) == ([], [])
        assert f"{served.url}/login" in seen.asked


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_the_other_page_shows_everything_and_finds_it(served, prefix):
    async with seeing(served, f"{prefix}/redoc") as seen:
        page = seen.page
        await page.get_by_text("Replika Broker").first.wait_for()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("purge")
        await page.get_by_text("/queues/{queue}/purge").first.wait_for()

        assert (seen.complaints, seen.foreign) == ([], [])
        assert f"{served.url}{prefix}/openapi.json" in seen.asked


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_no_link_makes_a_page_show_or_ask_for_anything_else(served, path):
    elsewhere = "http://elsewhere.test/openapi.json"
    query = "&".join(f"{name}={elsewhere}" for name in ("url", "configUrl", "spec", "spec-url"))
    markup = "%3Cimg%20src=x%20onerror=alert(1)%3E"
    async with seeing(served, f"{path}?{query}&urls.primaryName={markup}#/{markup}") as seen:
        await seen.page.get_by_text("Replika Broker").first.wait_for()

        assert (seen.complaints, seen.foreign) == ([], [])
        assert await seen.page.locator("img[src=x]").count() == 0
