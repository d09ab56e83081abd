"""What commands read and print alike."""

import sys

import click
import pytest
from click.testing import CliRunner

from broker.commands import Duration, json_option, print_json, print_table, read_password, remark


def test_a_table_in_a_pipe_has_tabs_and_no_heading(capsys):
    print_table(["name", "n"], [["a", 1], ["b", None], [True, ["x", "y"]]])

    assert capsys.readouterr().out == "a\t1\nb\t\ntrue\tx y\n"


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


def test_a_document_is_on_stdout_and_a_remark_is_not(capsys):
    print_json({"a": [1, None]})
    remark("done")

    assert capsys.readouterr() == ('{"a":[1,null]}\n', "done\n")


def test_a_command_is_given_json_and_durations():
    @click.command()
    @json_option
    @click.option("--for", "seconds", type=Duration())
    def wait(as_json, seconds):
        print_json([as_json, seconds])

    assert CliRunner().invoke(wait, ["--json", "--for", "1.5h"]).output == "[true,5400.0]\n"
    refused = CliRunner().invoke(wait, ["--for", "soon"])
    assert refused.exit_code == 2
    assert "'--for': expected a duration, 45s, 12h or 7d for example; got 'soon'" in refused.output


@click.command()
def told():
    click.echo(repr(read_password()))


@pytest.mark.parametrize("line", ["pass wörd", "pass wörd\n", "pass wörd\r\nanother line\n"])
def test_a_password_is_the_first_line(line):
    assert CliRunner().invoke(told, input=line).output == "'pass wörd'\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "there is no password: the first line of stdin is empty"),
        (b"\nsecret\n", "there is no password: the first line of stdin is empty"),
        (b"secret\xff\n", "the password is not UTF-8"),
    ],
)
def test_what_is_no_password_is_refused_and_not_shown(line, why):
    done = CliRunner().invoke(told, input=line)

    assert done.exit_code == 2
    assert why in done.output
    assert "secret" not in done.output


@pytest.mark.parametrize(("is_new", "asked"), [(False, 1), (True, 2)])
def test_a_password_is_typed_on_a_terminal_and_a_new_one_twice(
    monkeypatch, terminal, is_new, asked
):
    prompts = []
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(
        click.termui, "hidden_prompt_func", lambda prompt: prompts.append(prompt) or "secret"
    )

    assert read_password(is_new=is_new) == "secret"
    assert len(prompts) == asked
