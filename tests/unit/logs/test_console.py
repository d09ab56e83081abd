import logging
import re

import pytest

from broker.logs.bridge import Bridge
from broker.logs.console import console
from broker.logs.lines import Answered, Told

AT = 1_700_000_000_000


def told(message, **fields):
    known = {"severity": "error", "logger": "broker.acme"}
    return Told(at=AT, message=message, **{**known, **fields})


def render(line, *, colors=False):
    return console(colors=colors)(line).decode()


def test_a_line_is_one_that_people_read():
    line = told("it is late", severity="warning", others={"queue": "q", "count": 3})

    assert render(line) == (
        "2023-11-14 22:13:20 [warning  ] it is late [broker.acme] queue=q count=3\n"
    )


def test_a_request_is_told_in_short():
    line = Answered(
        at=AT,
        request_id="r-1",
        method="POST",
        route="/queues/{queue}/messages",
        status=201,
        seconds=0.00187,
        peer="203.0.113.7",
        identity="ana",
        queue="orders",
        path=None,
    )

    assert render(line) == (
        "2023-11-14 22:13:20 [info     ] POST /queues/{queue}/messages 201 in 1.9 ms "
        "queue=orders identity=ana request_id=r-1\n"
    )


def test_no_line_of_a_traceback_can_be_taken_for_a_line_of_the_log():
    assert render(told("m", exception="one\n2026 [info] two")) == (
        "2023-11-14 22:13:20 [error    ] m [broker.acme]\n  | one\n  | 2026 [info] two\n"
    )


FORGED = "2026-11-23 00:00:00 [critical ] forged [broker]"


SHOWN = ["stack", "stack_trace", "event", "time", "margin"]
NOT_SHOWN = ["timestamp", "exception", "exc_info", "stack_info", "level", "logger", "message"]


@pytest.mark.parametrize("name", [*SHOWN, *NOT_SHOWN])
def test_no_field_takes_the_place_of_what_a_line_has(name):
    lines = []
    told = {"name": "broker.acme", "levelno": logging.ERROR, "msg": "m", name: FORGED}
    Bridge(lines.append, lambda: AT, lambda: None).handle(logging.makeLogRecord(told))

    field = f' {name}="{FORGED}"' if name in SHOWN else ""
    assert render(lines[0]) == f"2023-11-14 22:13:20 [error    ] m [broker.acme]{field}\n"


def test_what_stands_in_a_field_cannot_be_taken_for_another_field():
    line = told("m", others={"a": "b c=d", "e f=g": 'h"', "i": "[j]", "k": ""})

    assert render(line) == (
        '2023-11-14 22:13:20 [error    ] m [broker.acme] a="b c=d" "e f=g"="h\\"" i="[j]" k=""\n'
    )


def test_colours_are_for_those_who_see_them():
    line = told("m", others={"a": 1}, exception="x\ny")
    colored = render(line, colors=True)

    assert "\x1b[31merror    \x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]+m", "", colored) == render(line)
