from broker.logs.console import console
from broker.logs.lines import Answered, Told

AT = 1_700_000_000_000


def render(line, *, colors=False):
    return console(colors=colors)(line).decode()


def test_a_line_is_one_that_people_read():
    told = {"level": "warning", "message": "it is late", "logger": "broker.acme", "queue": "q"}

    assert render(Told(at=AT, told=told)) == (
        "2023-11-14 22:13:20 [warning  ] it is late [broker.acme] queue=q\n"
    )


def test_a_request_is_told_in_short():
    line = Answered(
        at=AT,
        request_id="r-1",
        method="POST",
        route="POST /queues/{queue}/messages",
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
    told = {"level": "error", "message": "m", "logger": "l", "exception": "one\n2026 [info] two"}

    assert render(Told(at=AT, told=told)) == (
        "2023-11-14 22:13:20 [error    ] m [l]\n  | one\n  | 2026 [info] two\n"
    )


def test_colours_are_for_those_who_see_them():
    told = {"level": "error", "message": "m", "logger": "l"}

    assert "\x1b[" in render(Told(at=AT, told=told), colors=True)
    assert "\x1b" not in render(Told(at=AT, told=told))
