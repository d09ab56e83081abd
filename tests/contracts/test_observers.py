"""The contract of observers, kept by those of the core."""

import logging
from itertools import count

import pytest

from broker.builtin.log import provide_observer
from broker.testing import ObserverContract, Recorder, make_context


class Lines(logging.Handler):
    """Counts what is logged."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def emit(self, record):
        self.format(record)
        self.count += 1


class LogContract(ObserverContract):
    level: int

    @pytest.fixture(autouse=True)
    def _logger(self):
        logger = logging.getLogger(f"broker.plugins.log-{next(NUMBERS)}")
        logger.setLevel(self.level)
        logger.propagate = False
        self.lines = Lines()
        logger.addHandler(self.lines)
        self.name = logger.name.removeprefix("broker.plugins.")

    def make_observer(self, tmp_path, clock):
        return provide_observer(make_context(tmp_path, clock, name=self.name))

    def count_kept(self, observer, tmp_path):
        return self.lines.count


NUMBERS = count()


class TestLog(LogContract):
    level = logging.INFO


class TestDetailedLog(LogContract):
    level = logging.DEBUG


class TestRecorder(ObserverContract):
    def make_observer(self, tmp_path, clock):
        return Recorder()

    def count_kept(self, observer, tmp_path):
        return len(observer.events)
