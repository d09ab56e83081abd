"""All problems of the config are findings of their own, and nothing is opened then."""

from pathlib import Path

from broker.doctor import examine
from broker.serving.development import find_or_make

REFUSED = (
    "warning",
    "not-opened",
    "providers",
    "nothing was opened, because the config is refused",
)


def test_every_problem_is_a_finding(configure, doctor, folder):
    configure("memory", server="port = 'x'", broker="anonymos = 1", tables="[plugins.memry]")

    found = doctor()

    assert [f[:3] for f in found[:-1]] == [
        ("error", "config", "server.port"),
        ("error", "config", "broker.anonymos"),
        ("error", "config", "plugins.memry"),
    ]
    assert 'did you mean "anonymous"?' in found[1].text
    assert found[-1] == REFUSED


def test_a_file_that_is_not_there_does_not_hide_what_is_installed(doctor, folder):
    found = doctor("config", "plugin", "not-opened", "anonymous")

    assert found[-2][:3] == ("error", "config", "config")
    assert found[-2].text.startswith("broker.toml: no such file; ")
    assert found[-1] == REFUSED
    assert "rest" in {f.subject for f in found if f.check == "plugin"}
    assert {f.check for f in found} == {"config", "plugin", "not-opened"}


def test_a_file_that_is_no_toml_is_an_error(doctor, folder):
    Path("broker.toml").write_text("[broker")

    assert doctor()[0][:3] == ("error", "config", "config")


def test_what_is_odd_is_a_warning_with_its_key(install, configure, doctor):
    install("acme", "")
    configure("memory", tables="[plugins.acme]")

    assert doctor() == [
        (
            "warning",
            "config",
            "plugins.acme",
            "the plugin is not enabled; add it to broker.plugins",
        )
    ]


def test_another_file_is_examined_if_it_is_named(configure, folder):
    configure("memory").rename("other.toml")

    assert [f.text for f in examine(Path("other.toml"), seconds=60) if f.check == "config"] == [
        "other.toml"
    ]


def test_a_certificate_is_looked_at_and_none_is_made(configure, doctor, folder):
    configure("memory", server='tls = { cert = "c.pem", key = "k.pem" }')
    [(level, check, subject, text)] = doctor("certificate")
    assert (level, check, subject) == ("error", "certificate", "server.tls")
    assert "c.pem" in text

    configure("memory", server='tls = "dev"')
    assert doctor("certificate")[0][0] == "ok"
    assert list(folder.glob("*.pem")) == []

    find_or_make(folder)
    assert doctor("certificate")[0][0] == "ok"
