"""`broker doctor` as people and programs read it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import broker
from broker.cli import cli
from broker.cli.diagnosis import print_findings
from broker.doctor.finding import error, ok, warning

FINDINGS = [
    ok("role", "storage", "memory"),
    error("hooks", "acme", 'plugin "acme": unknown hook "provide_storrage"', exit_code=78),
    ok("version", "broker", "replika-broker 0.1.0"),
    warning("plain-http", "server.tls", "plain HTTP: others can listen " + "and read " * 10),
    ok("sqlite", "SQLite", "3.40.1"),
]


def test_on_a_terminal_what_is_wrong_comes_last_with_its_remedy(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", terminal)
    print_findings(FINDINGS)

    shown = terminal.getvalue()
    table, *troubles = shown.rstrip().split("\n\n")
    assert [line.split()[0] for line in table.splitlines()[2:]] == [
        "installation",
        "SQLite",
        "roles",
    ]
    assert max(map(len, shown.splitlines()[1:])) <= 80
    assert troubles == [
        "warning: server.tls (plain-http)\n"
        "  plain HTTP: others can listen and read and read and read and read and read and\n"
        "    read and read and read and read and read\n"
        "  remedy: set `server.tls`, or name the proxy that speaks TLS in\n"
        "    `server.trusted_proxies`",
        'error: acme (hooks)\n  plugin "acme": unknown hook "provide_storrage"\n'
        "  remedy: tell its author; until it is mended, remove it from `broker.plugins`",
    ]
    assert capsys.readouterr().err == (
        "1 error and 1 warning; docs/operations.md tells of each check.\n"
    )


def test_in_a_pipe_it_is_a_line_a_finding(capsys):
    print_findings(FINDINGS)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [
        ["ok", "role"],
        ["ok", "version"],
        ["ok", "sqlite"],
        ["warning", "plain-http"],
        ["error", "hooks"],
    ]
    assert lines[-1].split("\t")[4].startswith("tell its author; ")


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([], "All is well."),
        ([warning("owner", "x", "y")] * 2, "2 warnings; docs/operations.md tells of each check."),
        ([error("hooks", "x", "y")], "1 error; docs/operations.md tells of each check."),
    ],
)
def test_the_last_line_is_the_verdict(capsys, findings, verdict):
    print_findings(findings)

    assert capsys.readouterr().err == f"{verdict}\n"


def test_what_is_told_is_one_line_that_no_terminal_obeys():
    finding = warning("hooks", "a\nb", "c\x1b[2J\n  d", "e\tf")

    assert (finding.subject, finding.text, finding.remedy) == ("a b", "c\\u001b[2J d", "e f")


@pytest.fixture
def doctor(tmp_path, monkeypatch, clean_environment):
    """Run it with this in the table `[broker]`; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def doctor(settings, *options):
        Path("broker.toml").write_text(f"[broker]\n{settings}")
        done = CliRunner().invoke(cli, ["doctor", *options], prog_name="broker")
        return done.exit_code, done

    return doctor


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ('plugins = ["memory"]\nanonymous = true', 0),
        ("anonymous = true", 1),
        ('plugins = ["gone"]\nanonymous = true', 78),
    ],
)
def test_the_exit_code_says_how_bad_it_is(doctor, settings, code):
    assert doctor(settings)[0] == code


def test_the_first_error_decides_the_exit_code(doctor, install):
    install(
        "acme",
        """
        import broker

        class Odd(broker.Observer):
            def notify(self, events):
                pass

            async def ping(self):
                raise broker.Unavailable("away")

        @broker.hookimpl
        def provide_observer():
            return Odd()
        """,
    )

    assert doctor('plugins = ["memory", "acme"]\nanonymous = true')[0] == 5
    assert doctor('plugins = ["memory", "acme", "gone"]\nanonymous = true')[0] == 78


def test_json_is_one_document(doctor):
    code, done = doctor("anonymous = true", "--json")

    document = json.loads(done.stdout)
    assert list(document) == ["broker", "errors", "warnings", "findings"]
    assert (document["broker"], document["errors"], document["warnings"]) == (
        broker.__version__,
        0,
        1,
    )
    [bad] = [finding for finding in document["findings"] if finding["level"] != "ok"]
    assert bad == {
        "level": "warning",
        "check": "no-storage",
        "subject": "storage",
        "text": "no plugin that works provides one: messages are gone when the broker stops",
        "remedy": "enable a plugin that provides a storage, `storage_sqlite` for example",
        "exit_code": 0,
    }
    assert (code, done.stderr) == (1, "")


def test_the_deadline_is_an_option(doctor, monkeypatch):
    given = []
    monkeypatch.setattr("broker.doctor.examine", lambda path, seconds: given.append(seconds) or [])

    assert doctor("", "--timeout", "0.5")[0] == 0
    assert doctor("")[0] == 0
    assert doctor("", "--timeout", "0")[0] == 2
    assert given == [0.5, 30.0]
