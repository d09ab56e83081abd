import os

import msgspec
import pytest

from broker.errors import LogNotFound
from broker.logs import reading
from broker.logs.reading import LogFiles

NAME = "broker_log_20231114T221320000Z.json"
AT = 1_700_000_000_000


def entry(second, level="info", message="m"):
    text = f"2023-11-14T22:13:{20 + second:02}.000Z"
    return {"timestamp": text, "level": level, "message": message}


ENTRIES = [entry(0), entry(1, "debug"), entry(2, "error"), entry(3, "warning"), entry(4)]


@pytest.fixture
def files(tmp_path):
    lines = (msgspec.json.encode(one) + b"\n" for one in ENTRIES)
    (tmp_path / NAME).write_bytes(b"".join(lines))
    return LogFiles(tmp_path)


def read(files, **asked):
    found = files.read(NAME, **{"tail": 100, **asked})
    return msgspec.json.decode(msgspec.json.encode(found))


def test_a_file_is_read_whole_oldest_first(files):
    assert files.names() == [NAME]
    assert read(files) == ENTRIES


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({"tail": 2}, [3, 4]),
        ({"level": "warning"}, [2, 3]),
        ({"level": "critical"}, []),
        ({"level": "info", "tail": 3}, [2, 3, 4]),
        ({"start": AT + 2_000}, [2, 3, 4]),
        ({"start": AT + 2_001}, [3, 4]),
        ({"end": AT + 2_000}, [0, 1, 2]),
        ({"end": AT + 1_999}, [0, 1]),
        ({"start": AT + 1_000, "end": AT + 3_000, "level": "warning", "tail": 1}, [3]),
        ({"start": AT + 9_000}, []),
    ],
)
def test_it_is_read_as_far_as_it_is_asked_for(files, asked, seconds):
    assert [ENTRIES.index(one) for one in read(files, **asked)] == seconds


def test_times_that_fall_back_hide_nothing(tmp_path):
    # The clock was set back between the second and the third.
    entries = [entry(7), entry(8), entry(1), entry(9), entry(2)]
    (tmp_path / NAME).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in entries))
    files = LogFiles(tmp_path)

    assert read(files, start=AT + 5_000) == [entries[0], entries[1], entries[3]]
    assert read(files, end=AT + 5_000) == [entries[2], entries[4]]
    assert read(files, start=AT + 5_000, tail=2) == [entries[1], entries[3]]


def test_of_a_file_that_is_larger_than_any_of_ours_the_end_is_looked_at(tmp_path, monkeypatch):
    lines = [msgspec.json.encode(one) + b"\n" for one in ENTRIES]
    (tmp_path / NAME).write_bytes(b"".join(lines))
    monkeypatch.setattr(reading, "MOST_LOOKED_AT", len(lines[3]) + len(lines[4]) + 1)

    assert read(LogFiles(tmp_path)) == ENTRIES[3:]


def test_what_is_no_entry_is_left_out(files, tmp_path):
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'nothing\n\n{"timestamp":1}\n\xff\xfe\n[]\n{"timestamp":"2023-11-14T22:1')

    assert read(files) == ENTRIES


def test_an_answer_is_bounded(files, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 2 * len(msgspec.json.encode(ENTRIES[4])) + 1)

    assert read(files) == ENTRIES[-1:]  # a longer one did not fit


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "broker.db",
        "broker.toml",
        NAME + "/",
        NAME + "/../broker.db",
        "../" + NAME,
        "./" + NAME,
        NAME + "\n",
        NAME + "\x00",
        "\x00" + NAME,
        NAME.upper(),
        "broker_log_٢٠٢٣1114T221320000Z.json",
        "broker_log_20231114T221320000Z.jso\u0578",
        "broker_log_20231114T221320009Z.json",  # which is not there
        "a" * 10_000,
    ],
    ids=ascii,
)
def test_no_name_leads_elsewhere(files, tmp_path, name):
    (tmp_path / "broker.db").write_bytes(b"{}")
    with pytest.raises(LogNotFound):
        files.read(name, tail=1)


def test_no_link_pipe_or_directory_is_read(files, tmp_path):
    names = [NAME.replace("320000Z", f"320{number:03}Z") for number in (1, 2, 3, 4)]
    (tmp_path / "secret").write_bytes(msgspec.json.encode(entry(0)) + b"\n")
    (tmp_path / names[0]).symlink_to(tmp_path / "secret")
    (tmp_path / names[1]).symlink_to("/nowhere")
    (tmp_path / names[2]).mkdir()
    os.mkfifo(tmp_path / names[3])

    for name in names:
        with pytest.raises(LogNotFound):
            files.read(name, tail=1)
    assert files.names() == [NAME]
