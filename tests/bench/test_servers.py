"""The servers that are measured: what they write beside their answers."""

import pytest

from bench.servers import broker


@pytest.mark.parametrize("logs", [False, True])
def test_a_broker_is_silent_unless_it_logs(tmp_path, capfd, logs):
    with broker(tmp_path, logs=logs) as server:
        server.make_queue("q")

    assert "POST /queues" not in capfd.readouterr().err
    written = "".join(
        file.read_text()
        for pattern in ("*.log", "**/broker_log_*")
        for file in tmp_path.glob(pattern)
    )
    # Once for stderr, and once for the files.
    assert written.count('"message":"POST /queues"') == (2 if logs else 0)
