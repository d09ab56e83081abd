import logging
import threading
import warnings
from contextlib import contextmanager

import pytest
import structlog

from broker.config import make_config
from broker.logs import cleaning, keeping
from broker.logs.bridge import MOST_FIELDS, Bridge, heard as hearing
from broker.testing import ManualClock
from broker.turn import CURRENT_TURN, Turn, Turns

CLOCK = ManualClock()


def ended():
    """Nothing waits here to be written."""


@pytest.fixture
def heard():
    """What is told becomes lines here."""
    lines = []
    with hearing(Bridge(lines.append, CLOCK.now, ended), "DEBUG"):
        yield lines


@contextmanager
def alone():
    """Nobody but the bridge hears what is told: pytest does not take what cannot be told."""
    root = logging.getLogger()
    others = [one for one in root.handlers if not isinstance(one, Bridge)]
    for one in others:
        root.removeHandler(one)
    try:
        yield
    finally:
        for one in others:
            root.addHandler(one)


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


def test_what_a_request_left_behind_is_not_told_to_be_of_it(heard):
    turn = Turn(Turns(1), "r-1")
    token = CURRENT_TURN.set(turn)
    turn.keep()
    turn.end()
    tell("of its stream")
    turn.leave()
    tell("long after")
    CURRENT_TURN.reset(token)

    assert [one.fields().get("request_id") for one in heard] == ["r-1", None]


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


class Broken:
    """Has nothing to say of itself."""

    def __init__(self, error=None):
        self.error = error or ZeroDivisionError("password=hunter2")

    def __repr__(self):
        raise self.error

    __str__ = __repr__


@pytest.mark.parametrize(
    ("tells", "message"),
    [
        (lambda logger: logger.warning("fine", extra={"o": Broken()}), ": fine"),
        (lambda logger: logger.warning("fine", extra={Broken(): 1}), ": fine"),
        (lambda logger: logger.warning("fine", extra={"o": Broken(SystemExit())}), ": fine"),
        (lambda logger: logger.warning(Broken()), ""),
        (lambda logger: logger.warning(Broken(), 1), ""),
        (lambda logger: logger.warning({1: Broken()}), ""),
        (lambda _: structlog.get_logger("broker.acme").warning(Broken()), ""),
        (lambda _: structlog.get_logger("broker.acme").warning("fine", o=Broken()), ""),
    ],
)
def test_nobody_suffers_for_what_cannot_be_told(heard, tells, message):
    with alone():
        tells(logging.getLogger("broker.acme"))

    [line] = heard
    assert line.fields() == {
        "level": "error",
        "message": f"a record that cannot be told{message}",
        "logger": "broker.acme",
        "error": line.fields()["error"],
    }
    assert line.fields()["error"] in {"ZeroDivisionError", "SystemExit"}


def test_of_what_cannot_be_told_it_is_told_which_request_it_is_about(heard):
    token = CURRENT_TURN.set(Turn(Turns(1), "r-1"))
    with alone():
        tell(Broken())
    CURRENT_TURN.reset(token)

    assert heard[0].fields()["request_id"] == "r-1"


def test_a_dict_is_a_message_unless_structlog_made_it(heard):
    tell({1: "a", "event": "b"})
    tell({"_logger": 1, "_name": 2, "event": "b"})
    structlog.get_logger("broker.acme").warning("said", **{"1": "a"})

    assert [one.fields()["message"] for one in heard] == [
        "{1: 'a', 'event': 'b'}",
        "{'_logger': 1, '_name': 2, 'event': 'b'}",
        "said",
    ]


def test_the_names_of_fields_may_be_anything(heard):
    tell("said", extra={1: "a", ("b", 2): "c", "\n": "d"})

    fields = dict(list(heard[0].fields().items())[3:])
    assert fields == {"1": "a", "('b', 2)": "c", "\\u000a": "d"}


@pytest.mark.parametrize(
    ("number", "level"),
    [(1, "debug"), (19, "debug"), (25, "info"), (35, "warning"), (45, "error"), (99, "critical")],
)
def test_there_are_five_levels_whatever_they_are_called(heard, number, level, request):
    before = logging.getLevelName(number)
    request.addfinalizer(lambda: logging.addLevelName(number, before))
    logging.addLevelName(number, "LOUD\x1b[2J\n")
    logging.getLogger("broker").setLevel(1)
    logging.getLogger("broker.acme").log(number, "said")

    assert heard[0].fields()["level"] == level


def test_what_is_told_is_taken_at_once_and_cleaned_when_it_is_written(heard, monkeypatch):
    looked_at = []
    changing = ["before"]
    redact = cleaning.redact
    monkeypatch.setattr(cleaning, "redact", lambda text: looked_at.append(text) or redact(text))
    tell("password=%s", "hunter2", extra={"o": changing, "long": "ab-" * 100_000})
    changing[0] = "after"
    assert looked_at == []
    assert heard[0].weight() < 10_000

    told = heard[0].fields()
    assert (told["message"], told["o"]) == ("password=********", "['before']")
    assert len(told["long"]) < 5_000


def test_who_tells_waits_for_nobody_who_does(heard):
    met = threading.Barrier(2)

    class Slow:
        def __repr__(self):
            met.wait(30)  # until the other one is told, too
            return "slow"

    threads = [threading.Thread(target=tell, args=("%r", Slow())) for _ in range(2)]
    with alone():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [one.fields()["message"] for one in heard] == ["slow", "slow"]


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
    with hearing(Bridge(lines.append, CLOCK.now, ended), "INFO"):
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
