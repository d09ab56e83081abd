"""The files of the log by REST: what is shown, to whom, and what never is."""

import msgspec
import pytest

from broker.logs.files import LogFile
from broker.testing import ManualClock

NAME = "broker_log_20231114T221320000Z.json"


@pytest.fixture
def entries(tmp_path):
    """Three entries in a file, and one in the next."""
    told = [
        {"timestamp": f"2023-11-14T22:13:2{second}.000Z", "level": level, "message": "m", "n": 1}
        for second, level in enumerate(["info", "error", "debug", "info"])
    ]
    file = LogFile(tmp_path, most=2, max_bytes=230, now=ManualClock().now)
    assert sum(file.write([msgspec.json.encode(one) + b"\n" for one in told])) == 4
    file.close()
    return told


def test_the_files_are_named_newest_first(call, entries):
    assert call("GET", "/logs").json == {"log_files": ["broker_log_20231114T221320001Z.json", NAME]}


def test_where_no_log_is_written_there_are_no_files(call):
    assert call("GET", "/logs").json == {"log_files": []}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [0, 1, 2]),
        ("?tail=1", [2]),
        ("?level=info", [0, 1]),
        ("?start=2023-11-14T22:13:21Z", [1, 2]),
        ("?start=0001-01-01T00:00:00%2B23:59&end=9999-12-31T23:59:59-23:59", [0, 1, 2]),
        ("?start=2023-11-14T23:13:21%2B01:00&end=2023-11-14T22:13:21.000Z", [1]),
    ],
)
def test_entries_are_shown_as_asked_for(call, entries, query, numbers):
    assert call("GET", f"/logs/{NAME}{query}").json == [entries[number] for number in numbers]


def test_all_that_is_wrong_with_a_query_is_told(call, entries):
    answer = call("GET", f"/logs/{NAME}?start=yesterday&end=2023-11-14T22:13:21&tail=0&level=x&a=1")

    moment = "a time as RFC 3339 has it, 2026-11-22T21:30:00Z say"
    levels = '"debug", "info", "warning", "error", "critical"'
    assert answer.status == 422
    assert {error["field"]: error["message"] for error in answer.json["errors"]} == {
        "start": f"expected {moment} or null",
        "end": f"expected {moment} or null",
        "tail": "expected a whole number from 1 to 10000",
        "level": f"expected one of {levels}",
        "a": "is not known here",
    }


@pytest.mark.parametrize("text", ["10001", "-1", "1.5", "", "1&tail=2"])
def test_no_more_is_shown_than_there_may_be(call, entries, text):
    answer = call("GET", f"/logs/{NAME}?tail={text}")

    assert (answer.status, answer.fields) == (422, ["tail"])


@pytest.mark.parametrize(
    "name",
    [
        "broker.db",
        "..",
        "%2e%2e",
        "..%2fbroker.toml",
        "%2e%2e%2fbroker.toml",
        "..%5cbroker.toml",
        "%2Fetc%2Fpasswd",
        f"{NAME}%00",
        f"{NAME}%0a",
        f"{NAME}%2f..%2fbroker.toml",
        f"./{NAME}",
        f"../logs/{NAME}",
        "%ff",
        "broker_log_20231114T221320009Z.json",
        "broker_log_%D9%A2023114T221320000Z.json",
    ],
)
def test_no_path_leads_out_of_the_log(call, entries, tmp_path, name):
    (tmp_path / "broker.toml").write_text('{"timestamp":"x","level":"info","message":"secret"}\n')
    (tmp_path / "broker.db").write_text('{"timestamp":"x","level":"info","message":"secret"}\n')

    answer = call("GET", f"/logs/{name}")

    assert (answer.status, "secret" in answer.body.decode()) == (404, False)


def test_a_link_among_the_files_is_none(call, entries, tmp_path):
    (tmp_path / "secret").write_text('{"timestamp":"x","level":"info","message":"secret"}\n')
    link = NAME.replace("320000Z", "329000Z")
    (tmp_path / link).symlink_to(tmp_path / "secret")

    assert link not in call("GET", "/logs").json["log_files"]
    assert call("GET", f"/logs/{link}").json["code"] == "log-not-found"


def test_what_is_there_is_admins_alone_to_know(serve, entries):
    call = serve(anonymous=False)

    assert {call("GET", f"/logs{path}").status for path in ("", f"/{NAME}", "/x")} == {401}
