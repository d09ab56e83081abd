import json
import sys

import pytest

from broker.config import make_config
from broker.logs import keeping, writer
from broker.logs.files import list_files
from broker.logs.lines import Answered
from broker.testing import ManualClock

CLOCK = ManualClock()


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Keep a log in files alone."""

    def keep(log_level="info", **log):
        monkeypatch.setattr(sys, "stderr", None)
        broker = {"data_dir": str(tmp_path)}
        config = {"broker": broker, "server": {"log_level": log_level}, "log": log}
        return keeping.kept(make_config(config), CLOCK)

    return keep


def answered(status, route="/queues"):
    return Answered(
        at=CLOCK.now(),
        request_id="r-1",
        method="GET",
        route=route,
        status=status,
        seconds=0.001,
        peer="203.0.113.7",
        identity=None,
        queue=None,
        path=None,
    )


ASKED = [answered(200, "/healthz"), *map(answered, (200, 404, 503, 500))]


@pytest.mark.parametrize(
    ("log_level", "statuses"),
    [
        ("debug", [200, 200, 404, 503, 500]),
        ("info", [200, 404, 503, 500]),
        ("warning", [503, 500]),
        ("error", [500]),
    ],
)
def test_requests_are_told_as_far_as_they_are_severe_enough(keep, tmp_path, log_level, statuses):
    with keep(log_level) as log:
        for line in ASKED:
            log.access(line)

    [name] = list_files(tmp_path)
    told = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
    assert [one["status"] for one in told] == statuses


@pytest.mark.parametrize(("log_level", "log"), [("info", {"requests": False}), ("critical", {})])
def test_where_nobody_wants_lines_of_requests_there_are_none_to_make(keep, log_level, log):
    with keep(log_level, **log) as log:
        assert log.access is None


def test_lines_that_are_dropped_are_counted_by_where(keep, monkeypatch):
    monkeypatch.setattr(writer, "MOST_LINES", 0)
    with keep() as log:
        assert log.dropped() == {("files",): 0}
        log.access(answered(200))
        assert log.dropped() == {("files",): 2}  # and the line that tells of it
