"""What is printed, on a terminal and in a pipe."""

import io
import sys

import pytest

from broker.cli.output import print_table, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def test_a_table_in_a_pipe_has_tabs_and_no_heading(capsys):
    print_table(["name", "n"], [["a", 1], ["b", None]])

    assert capsys.readouterr().out == "a\t1\nb\t\n"


def test_a_table_on_a_terminal_has_a_heading(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)

    print_table(["name", "n"], [["[red]a", 1]])

    shown = terminal.getvalue()
    assert "name" in shown
    assert "[red]a" in shown  # data is never markup


def test_no_color_is_respected(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")

    print_table(["name"], [["a"]])

    assert "\x1b[3" not in terminal.getvalue()


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
