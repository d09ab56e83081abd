"""How far a long job is, on a terminal and in a pipe."""

import sys

from broker.cli.output import progress


def test_progress_is_shown_on_a_terminal(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress("logs", 100) as advance:
        advance(7, 50)

    assert "logs 7 messages" in terminal.getvalue()


def test_progress_is_silent_in_a_pipe(capsys):
    with progress("logs", 100) as advance:
        advance(7, 50)

    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
