"""Who scrapes the server that is under load: nothing that goes wrong is passed over."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
import pytest

from bench.watching import Scraper

SHOWN = b'broker_messages_published_total{queue="q"} 1.0\n'


@contextmanager
def server(status, body):
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers["accept"])
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield SimpleNamespace(port=listening.server_port, asked=asked)
        listening.shutdown()
        thread.join()


def test_it_scrapes_at_once_and_counts():
    with server(200, SHOWN) as one, Scraper(one, every_seconds=3600) as scraper:
        pass

    assert scraper.scrapes == len(one.asked) == 1
    assert one.asked[0].startswith("application/openmetrics-text")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"", httpx.HTTPStatusError),
        (401, b"", httpx.HTTPStatusError),
        (200, b"", RuntimeError),
    ],
)
def test_a_scrape_that_fails_or_shows_nothing_ends_the_measurement(status, body, error):
    with server(status, body) as one, pytest.raises(error), Scraper(one, every_seconds=3600):
        pass


def test_too_few_scrapes_say_nothing_of_what_they_cost():
    with (
        server(200, SHOWN) as one,
        pytest.raises(RuntimeError, match="^only 1 scrapes were answered, not "),
        Scraper(one, every_seconds=3600) as scraper,
    ):
        scraper._began -= 4 * 3600


def test_what_went_wrong_meanwhile_is_not_hidden():
    with (
        server(503, b"") as one,
        pytest.raises(KeyError, match="load"),
        Scraper(one, every_seconds=3600),
    ):
        raise KeyError("load")
