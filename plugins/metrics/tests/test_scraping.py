"""Scrapes: what they cost who asks, and what they show when something is broken."""

import asyncio

import pytest
from scraped import samples

from broker import Unavailable
from broker_metrics.exposition import OPENMETRICS, TEXT


@pytest.fixture
def scraping(broker_factory):
    config = {"plugins": {"metrics": {"listen": "127.0.0.1:0"}}}
    return broker_factory(["metrics"], config=config)


def scraper_of(client):
    return dict(client.assembly.transports)["metrics"]._scraper


@pytest.fixture
def looks(monkeypatch):
    """The overviews that were asked for; each waits for `gate`."""
    from broker.operations.queues import Queues

    asked, overview = [], Queues.overview
    gate = asyncio.Event()
    gate.set()

    async def look(self):
        asked.append(self)
        await gate.wait()
        return await overview(self)

    monkeypatch.setattr(Queues, "overview", look)
    return asked, gate


async def test_those_who_ask_at_one_time_share_a_scrape(scraping, looks):
    asked, gate = looks
    gate.clear()
    async with scraping as client:
        scraper = scraper_of(client)
        waiting = [asyncio.ensure_future(scraper.scrape(TEXT)) for _ in range(50)]
        waiting += [asyncio.ensure_future(scraper.scrape(OPENMETRICS)) for _ in range(50)]
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*waiting)

    assert len(asked) == 1
    assert len({id(body) for body in found}) == 2


async def test_a_scrape_is_good_for_a_second(scraping, looks, clock):
    asked, _ = looks
    async with scraping as client:
        scraper = scraper_of(client)
        first = await scraper.scrape(TEXT)
        clock.advance(0.999)
        assert await scraper.scrape(TEXT) is first
        clock.advance(0.001)
        assert await scraper.scrape(TEXT) is not first

    assert len(asked) == 2


async def test_one_who_goes_leaves_the_scrape_to_the_next(scraping, looks):
    _, gate = looks
    gate.clear()
    async with scraping as client:
        scraper = scraper_of(client)
        first, second = (asyncio.ensure_future(scraper.scrape(TEXT)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        gate.set()

        assert b"broker_queues 0.0\n" in await second
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError(), KeyError("odd")])
async def test_with_a_broken_storage_there_is_all_else(scraping, monkeypatch, caplog, clock, error):
    async with scraping as client:
        await client.create_queue("q")
        clock.advance(1)  # so that nobody looked since
        scraper = scraper_of(client)
        whole = samples(await scraper.scrape(TEXT))

        async def fail():
            raise error

        monkeypatch.setattr(client.broker.queues, "overview", fail)
        clock.advance(1)
        rest = samples(await scraper.scrape(TEXT))
        monkeypatch.undo()
        clock.advance(1)

        assert samples(await scraper.scrape(TEXT)).keys() >= whole.keys()
    assert ("broker_queue_messages_ready", "q") in whole
    assert {name for name, *_ in whole.keys() - rest.keys()} >= {"broker_queues"}
    assert all("queue" not in name for name, *_ in rest)
    assert ("broker_http_requests_in_flight",) in rest
    assert "the queues cannot be looked at" in caplog.messages


async def test_a_storage_that_never_answers_is_not_waited_for(scraping, looks, monkeypatch):
    _, gate = looks
    gate.clear()
    monkeypatch.setattr("broker_metrics.scraping.PATIENCE_SECONDS", 0)
    async with scraping as client:
        found = samples(await scraper_of(client).scrape(TEXT))

    assert ("broker_http_requests_in_flight",) in found
    assert ("broker_queues",) not in found


async def test_ready_is_what_the_probe_says(scraping, monkeypatch, clock):
    async def fail():
        raise Unavailable("away")

    told = []
    async with scraping as client:
        scraper = scraper_of(client)

        async def look():
            clock.advance(1)
            scraped = samples(await scraper.scrape(TEXT))
            told.append((scraped["broker_ready",], (await client.get("/readyz")).status))

        await look()
        _, storage = client.assembly.providers.storage
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ping", fail)
            await look()
        await look()
        client.broker.retire()
        await look()

    assert told == [(1, 200), (0, 503), (1, 200), (0, 503)]


async def test_numbers_of_plugins_are_there_by_themselves(broker_factory):
    from broker import Observer, hookimpl

    class Post(Observer):
        def __init__(self, meter):
            self.letters = meter.counter("letters", "Letters.", labels=("country",))
            meter.gauge("broken", "Broken.", lambda: 1 / 0)

        def notify(self, events):
            self.letters.add(len(events), "br")

    class Acme:
        @hookimpl
        def provide_observer(self, plugin):
            return Post(plugin.meter)

    config = {"plugins": {"metrics": {"listen": "127.0.0.1:0"}}}
    async with broker_factory(["metrics"], config=config, added={"acme": Acme()}) as client:
        post = dict(client.assembly.providers.observers)["acme"]
        post.letters.add(2, "br")
        found = samples(await scraper_of(client).scrape(TEXT))

        assert found["broker_letters_total", "br"] == 2
        assert client.broker.failures["acme", "read a metric"] == 1
        assert ("broker_broken",) not in found
