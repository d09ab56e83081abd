import logging
import warnings

import pytest
import structlog

from broker.logs import keeping
from broker.config import make_config
from broker.logs.bridge import MOST_FIELDS, Bridge
from broker.testing import ManualClock
from broker.turn import CURRENT_TURN, Turn, Turns

CLOCK = ManualClock()


def ended():
    """Nothing waits here to be written."""


@pytest.fixture
def heard():
    """What is told becomes lines here."""
    lines = []
    with keeping._heard(Bridge(lines.append, CLOCK.now, ended), "DEBUG"):
        yield lines


def tell(message, *args, **options):
    logging.getLogger("broker.plugins.acme").warning(message, *args, **options)


def test_what_is_told_to_a_logger_is_a_line(heard):
    tell("%d apples", 3, extra={"queue": "orders"})

    [line] = heard
    assert line.at == CLOCK.now()
    assert line.fields() == {
        "level": "warning",
        "message": "3 apples",
        "logger": "broker.plugins.acme",
        "queue": "orders",
    }


def test_what_is_told_to_structlog_is_the_same(heard):
    structlog.get_logger("broker.plugins.acme").warning("apples", count=3, queue="orders")

    [line] = heard
    assert line.fields() == {
        "level": "warning",
        "message": "apples",
        "logger": "broker.plugins.acme",
        "count": 3,
        "queue": "orders",
    }


def test_a_request_is_named_by_all_that_is_told_while_it_is_answered(heard):
    turn = Turn(Turns(1), "r-1")
    turn.identity = "ana\n"
    token = CURRENT_TURN.set(turn)
    tell("in a request")
    CURRENT_TURN.reset(token)
    tell("elsewhere")

    told = [(one.fields().get("request_id"), one.fields().get("identity")) for one in heard]
    assert told == [("r-1", "ana\\u000a"), (None, None)]


@pytest.mark.parametrize("by", ["logging", "structlog"])
def test_a_traceback_is_told_without_the_secrets_in_it(heard, by):
    try:
        raise ValueError("password=hunter2\n2026-11-23 00:00:00 [info] forged\x1b[2K")
    except ValueError:
        if by == "logging":
            logging.getLogger("broker.acme").exception("failed")
        else:
            structlog.get_logger("broker.acme").exception("failed")

    [line] = heard
    told = line.fields()["exception"]
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith(
        "ValueError: password=********\n2026-11-23 00:00:00 [info] forged\\u001b[2K"
    )
    assert line.json().count(b"\n") == 1


def test_a_message_whose_arguments_do_not_fit_is_told_all_the_same():
    heard = []
    record = logging.LogRecord("broker", logging.WARNING, "", 1, "%d apples", ("many",), None)
    Bridge(heard.append, CLOCK.now, ended).emit(record)

    assert heard[0].fields()["message"] == "'%d apples' with arguments that do not fit"


def test_fields_cannot_take_the_place_of_what_each_line_has(heard):
    structlog.get_logger("broker.acme").warning(
        "true", level="x", logger="y", timestamp="z", exception="e", **{"a\nb": 1}
    )

    told = heard[0].fields()
    assert (told["level"], told["logger"]) == ("warning", "broker.acme")
    assert "timestamp" not in told
    assert told["a\\u000ab"] == 1


def test_there_are_no_more_fields_than_a_line_takes(heard):
    structlog.get_logger("broker.acme").warning("many", **{f"f{n}": n for n in range(100)})

    assert len(heard[0].fields()) == 3 + MOST_FIELDS


def test_warnings_are_lines_too(heard):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    [line] = heard
    assert line.fields()["logger"] == "py.warnings"
    assert "DeprecationWarning: old" in line.fields()["message"]


def test_the_level_is_that_of_the_config_and_libraries_are_heard_when_something_is_wrong():
    lines = []
    with keeping._heard(Bridge(lines.append, CLOCK.now, ended), "INFO"):
        for name in ("broker.acme", "library"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).log(level, "%s", name)

    told = [(one.fields()["logger"], one.fields()["level"]) for one in lines]
    assert told == [("broker.acme", "info"), ("broker.acme", "warning"), ("library", "warning")]


def test_all_is_as_it_was_when_the_log_ends(tmp_path, capfd):
    before = logging.getLogger("broker").level, list(logging.getLogger().handlers)
    config = make_config({"broker": {"data_dir": str(tmp_path)}})
    with capfd.disabled(), keeping.kept(config, CLOCK):
        pass

    assert before == (logging.getLogger("broker").level, list(logging.getLogger().handlers))
    assert not structlog.is_configured()


def test_a_process_that_ends_by_force_writes_its_log_first():
    ended = []
    Bridge([].append, CLOCK.now, lambda: ended.append(True)).close()

    assert ended == [True]
