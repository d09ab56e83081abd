"""Reading a config: layers, references, and every problem at once."""

import os
from pathlib import Path

import pytest

from broker.config import BrokerConfig, Config, ServerConfig, TlsConfig, make_config, read_config
from broker.errors import ConfigError
from broker.wording import MASK

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, name="broker.toml"):
    Path(name).write_text(text)
    return Path(name)


def refused(text="", **options):
    write(text)
    with pytest.raises(ConfigError) as caught:
        read_config(**options)
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_an_empty_file_gives_the_defaults(directory):
    write("")

    config = read_config()

    assert config.server == ServerConfig(
        host="127.0.0.1", port=8777, shutdown_seconds=10, log_level="info"
    )
    assert config.broker == BrokerConfig(
        plugins=(),
        disable=(),
        storage=None,
        anonymous=False,
        require_receipt=False,
        data_dir=directory,
    )
    assert config.plugins == {}
    assert config.path == Path("broker.toml")
    assert config.warnings == ()
    assert config.enabled == ("rest", "log", "openapi")


def test_every_key_can_be_given():
    write(
        """
        [server]
        host = "::1"
        port = 0
        http_server = "granian"
        tls = { cert = "/etc/broker/cert.pem", key = "/etc/broker/key.pem" }
        trusted_proxies = ["10.0.0.0/8", "::1"]
        max_requests = 7
        max_connections = 500
        unready_seconds = 2.5
        shutdown_seconds = 1.5
        log_level = "debug"
        [broker]
        environment = "production"
        plugins = ["a", "log"]
        disable = ["rest"]
        storage = "a"
        anonymous = true
        require_receipt = true
        max_queues = 6
        max_waiting = 8
        max_waiting_per_identity = 9
        max_streams = 10
        max_streams_per_identity = 11
        data_dir = "/var/lib/broker"
        [plugins.a]
        path = "x"
        deep = { er = [1, { env = "not a reference: too", many = "keys" }] }
        """
    )

    config = read_config()

    assert config.server.model_dump() == {
        "host": "::1",
        "port": 0,
        "http_server": "granian",
        "tls": {"cert": Path("/etc/broker/cert.pem"), "key": Path("/etc/broker/key.pem")},
        "trusted_proxies": ("10.0.0.0/8", "::1"),
        "max_requests": 7,
        "max_connections": 500,
        "unready_seconds": 2.5,
        "shutdown_seconds": 1.5,
        "log_level": "debug",
    }
    assert config.broker.model_dump() == {
        "environment": "production",
        "plugins": ("a", "log"),
        "disable": ("rest",),
        "storage": "a",
        "anonymous": True,
        "require_receipt": True,
        "max_queues": 6,
        "max_waiting": 8,
        "max_waiting_per_identity": 9,
        "max_streams": 10,
        "max_streams_per_identity": 11,
        "data_dir": Path("/var/lib/broker"),
    }
    assert config.plugins == {
        "a": {
            "path": "x",
            "deep": {"er": [1, {"env": "not a reference: too", "many": "keys"}]},
        }
    }
    assert config.enabled == ("a", "log", "openapi")


def test_config_models_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        make_config({}).server.port = 1


def test_a_later_layer_wins_key_by_key(directory, monkeypatch):
    write('[server]\nhost = "file"\nport = 1\nlog_level = "error"\nshutdown_seconds = 1')
    monkeypatch.setenv("BROKER__SERVER__PORT", "2")
    monkeypatch.setenv("broker__server__log_level", "warning")
    monkeypatch.setenv("BROKER__SERVER__SHUTDOWN_SECONDS", "2")
    secrets = directory / "secrets" / "server"
    secrets.mkdir(parents=True)
    (secrets / "log_level").write_text("debug\n")
    (secrets.parent / "server__shutdown_seconds").write_text("3\n")
    monkeypatch.setenv("BROKER_SECRETS_DIR", str(secrets.parent))

    config = read_config(overrides={"server": {"shutdown_seconds": 4, "host": None}})

    assert config.server == ServerConfig(host="file", port=2, log_level="debug", shutdown_seconds=4)


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("BROKER__BROKER__PLUGINS", "a, b", ("a", "b")),
        ("BROKER__BROKER__PLUGINS", '["a", "b"]', ("a", "b")),
        ("BROKER__BROKER__PLUGINS", "a", ("a",)),
        ("BROKER__BROKER__PLUGINS", "", ()),
        ("BROKER__BROKER__ANONYMOUS", "true", True),
        ("BROKER__BROKER__ANONYMOUS", "1", True),
        ("BROKER__BROKER__ANONYMOUS", "off", False),
        ("BROKER__BROKER__STORAGE", "log", "log"),
        ("BROKER__BROKER__DATA_DIR", "/x", Path("/x")),
        ("BROKER__SERVER__PORT", "0", 0),
        ("BROKER__SERVER__SHUTDOWN_SECONDS", "0.5", 0.5),
    ],
)
def test_text_from_the_environment_is_read_as_the_key_wants_it(
    monkeypatch, variable, text, expected
):
    write("")
    monkeypatch.setenv(variable, text)

    config = read_config()

    section, key = variable.lower().split("__")[1:]
    assert getattr(getattr(config, section), key) == expected


def test_the_environment_reaches_plugins_and_keeps_text_as_text(monkeypatch):
    write('[broker]\nplugins = ["auth"]\n[plugins.auth]\nissuer = "me"')
    monkeypatch.setenv("BROKER__PLUGINS__AUTH__SECRET", "007")
    monkeypatch.setenv("BROKER__PLUGINS__AUTH__DEEP__KEY", "1e5")

    config = read_config()

    assert config.plugins == {"auth": {"issuer": "me", "secret": "007", "deep": {"key": "1e5"}}}


def test_the_environment_alone_is_not_consulted_by_make_config(monkeypatch):
    monkeypatch.setenv("BROKER__SERVER__PORT", "1")

    assert make_config({}).server.port == 8777


def test_broker_config_names_the_file(monkeypatch, directory):
    (directory / "etc").mkdir()
    write("[server]\nport = 5", "etc/mine.toml")
    monkeypatch.setenv("BROKER_CONFIG", "etc/mine.toml")

    config = read_config()

    assert config.server.port == 5
    assert config.path == Path("etc/mine.toml")
    assert config.broker.data_dir == directory / "etc"


def test_a_relative_certificate_lies_beside_the_file(directory):
    Path("etc").mkdir()
    path = write('[server.tls]\ncert = "cert.pem"\nkey = "/key.pem"', "etc/mine.toml")

    tls = read_config(path).server.tls
    assert tls == TlsConfig(cert=directory / "etc" / "cert.pem", key=Path("/key.pem"))


def test_a_certificate_for_development_lies_in_the_data_dir_and_is_warned_of(monkeypatch):
    write('[broker]\ndata_dir = "/srv/my broker"')
    monkeypatch.setenv("BROKER__SERVER__TLS", "dev")

    config = read_config()

    assert config.server.tls == "dev"
    assert config.warnings == (
        'server.tls: "dev" is a self-signed certificate, for development only; '
        "clients need SSL_CERT_FILE='/srv/my broker/dev-cert.pem'",
    )


def test_a_certificate_for_development_is_refused_in_production(monkeypatch):
    monkeypatch.setenv("BROKER__BROKER__ENVIRONMENT", "production")

    assert refused('[server]\ntls = "dev"') == (
        'broker.toml: server.tls: "dev" is refused with broker.environment = "production"; '
        'name a certificate and its key: { cert = "cert.pem", key = "key.pem" }'
    )


def test_a_relative_data_dir_lies_beside_the_file(directory):
    (directory / "etc").mkdir()
    path = write('[broker]\ndata_dir = "data"', "etc/mine.toml")

    assert read_config(path).broker.data_dir == directory / "etc" / "data"


def test_any_value_may_be_a_reference(monkeypatch, directory):
    (directory / "etc").mkdir()
    (directory / "etc" / "secret").write_bytes(b"two\nlines\r\n")
    monkeypatch.setenv("PORT", "99")
    monkeypatch.setenv("ITEM", "item")
    path = write(
        """
        [server]
        port = { env = "PORT" }
        [broker]
        plugins = ["a", { env = "ITEM" }]
        [plugins.a]
        secret = { file = "secret" }
        list = [{ name = { env = "ITEM" } }]
        [plugins.item]
        file = "a plugin's table is no reference"
        """,
        "etc/mine.toml",
    )

    config = read_config(path)

    assert config.server.port == 99
    assert config.broker.plugins == ("a", "item")
    assert config.plugins == {
        "a": {"secret": "two\nlines", "list": [{"name": "item"}]},
        "item": {"file": "a plugin's table is no reference"},
    }


def test_only_one_trailing_newline_of_a_file_is_stripped(directory):
    (directory / "secret").write_text(" a \n\n")

    assert make_config({"server": {"host": {"file": "secret"}}}).server.host == " a \n"


def test_a_reference_that_leads_nowhere_names_key_and_target(directory):
    (directory / "binary").write_bytes(b"\xff")

    assert refused(
        """
        [server]
        port = { env = "NO_PORT" }
        host = { file = "no_file" }
        log_level = { file = "binary" }
        [broker]
        plugins = ["rest", { file = "" }]
        storage = { file = "a\\u0000b" }
        """
    ).splitlines() == [
        "broker.toml: 5 problems",
        '  server.port: environment variable "NO_PORT" is not set',
        '  server.host: cannot read file "no_file": No such file or directory',
        '  server.log_level: cannot read file "binary": it is not UTF-8',
        '  broker.plugins[1]: cannot read file "": Is a directory',
        '  broker.storage: cannot read file "a\\u0000b": no file has such a name',
    ]


def test_a_reference_that_a_later_layer_replaces_need_not_be_there(monkeypatch):
    write('[server]\nport = { env = "NO_PORT" }')
    monkeypatch.setenv("BROKER__SERVER__PORT", "1")

    assert read_config().server.port == 1


def test_all_problems_are_reported_at_once():
    assert refused(
        """
        [server]
        host = ""
        port = "http"
        prot = 1
        shutdown_seconds = nan
        log_level = "loud"
        [broker]
        plugins = ["rest", 5]
        disable = ["memory"]
        storage = 1
        anonymous = "yes"
        data_dir = 3
        whatever = 1
        [serve]
        [[plugins.x]]
        secret = "hunter2"
        """
    ).splitlines() == [
        "broker.toml: 13 problems",
        '  serve: unknown table; did you mean "server"?',
        "  plugins.x: expected a table; got an array",
        '  server.host: expected a string of at least 1 character; got ""',
        '  server.port: expected an integer from 0 to 65535; got "http"',
        "  server.shutdown_seconds: expected a number from 0 to 3600; got NaN",
        '  server.log_level: expected one of "debug", "info", "warning", "error", "critical"; '
        'got "loud"',
        '  server.prot: unknown key; did you mean "port"?',
        "  broker.plugins[1]: expected a string; got 5",
        '  broker.disable[0]: expected one of "rest", "log", "openapi"; got "memory"',
        "  broker.storage: expected a string; got 1",
        '  broker.anonymous: expected true or false; got "yes"',
        "  broker.data_dir: expected a path; got 3",
        '  broker.whatever: unknown key; known are "environment", "plugins", "disable", "storage", '
        '"anonymous", "require_receipt", "max_queues", "max_waiting", "max_waiting_per_identity", '
        '"max_streams", "max_streams_per_identity", '
        '"data_dir"',
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nport = 65536", "server.port: expected an integer from 0 to 65535; got 65536"),
        ("[server]\nport = -1", "server.port: expected an integer from 0 to 65535; got -1"),
        ("[server]\nport = 1.0", "server.port: expected an integer from 0 to 65535; got 1.0"),
        # True is an int to Python, and to pydantic unless told.
        ("[server]\nport = true", "server.port: expected an integer from 0 to 65535; got true"),
        ('[server]\nport = "1"', 'server.port: expected an integer from 0 to 65535; got "1"'),
        (
            "[server]\nport = 2020-01-01",
            'server.port: expected an integer from 0 to 65535; got "2020-01-01"',
        ),
        (
            "[server]\nport = { a = [1] }",
            'server.port: expected an integer from 0 to 65535; got {"a": "********"}',
        ),
        ("[broker]\nanonymous = 1", "broker.anonymous: expected true or false; got 1"),
        ('[broker]\nplugins = "a"', 'broker.plugins: expected an array of strings; got "a"'),
        (
            '[broker]\nplugins = "storage"\nstorage = "storage"',
            'broker.plugins: expected an array of strings; got "storage"',
        ),
        ("server = 5", "server: expected a table; got 5"),
        ("plugins = 5", "plugins: expected a table; got 5"),
        (
            "nothing = 5",
            'nothing: unknown table; known are "server", "broker", "log", "traces", "plugins"',
        ),
        (
            '[server]\n"a\\nb" = 1',
            'server."a\\nb": unknown key; known are "host", "port", "http_server", '
            '"tls", "trusted_proxies", "max_requests", "max_connections", "unready_seconds", '
            '"shutdown_seconds", '
            '"log_level"',
        ),
        (
            '[broker]\nplugins = ["a", "b", "a"]',
            'broker.plugins[2]: "a" is listed twice; remove one',
        ),
        (
            '[broker]\nplugins = ["rest"]\ndisable = ["rest"]',
            'broker.disable[0]: "rest" is in broker.plugins too; remove one',
        ),
        (
            '[broker]\nplugins = ["storage_acme"]\nstorage = "storage_acm"',
            'broker.storage: "storage_acm" is not enabled; did you mean "storage_acme"?',
        ),
        (
            '[server]\ntls = { key = "key.pem" }',
            "server.tls.cert: missing; expected a path",
        ),
        (
            '[server]\ntls = { cert = "cert.pem" }',
            "server.tls.key: missing; expected a path",
        ),
        (
            '[server]\ntls = { cert = "cert.pem", key = "key.pem", ca = "ca.pem" }',
            'server.tls.ca: unknown key; known are "cert", "key"',
        ),
        (
            '[server]\ntrusted_proxies = "127.0.0.1"',
            'server.trusted_proxies: expected an array of strings; got "127.0.0.1"',
        ),
        (
            '[server]\ntrusted_proxies = ["127.0.0.1", "10.0.0.0/33"]',
            'server.trusted_proxies[1]: expected an address or a network, "10.0.0.0/8" for example; '
            'got "10.0.0.0/33"',
        ),
        (
            "[server]\ntrusted_proxies = [1]",
            "server.trusted_proxies[0]: expected a string; got 1",
        ),
        (
            '[server]\ntrusted_proxies = ["10.0.0.1/8"]',
            'server.trusted_proxies[0]: expected "10.0.0.0/8", the network, or "10.0.0.1", '
            'the address; got "10.0.0.1/8"',
        ),
        (
            '[server]\ntrusted_proxies = ["::/0"]',
            "server.trusted_proxies[0]: strangers in so large a network could pass for any "
            'address; name your proxies, or a network of your own, no larger than "fc00::/7"; '
            'got "::/0"',
        ),
        ('[server]\ntls = "prod"', 'server.tls: expected "dev" or a table; got "prod"'),
        (
            '[broker]\nenvironment = "test"',
            'broker.environment: expected one of "development", "production"; got "test"',
        ),
        (
            '[broker]\nstorage = "acme"',
            'broker.storage: "acme" is not enabled; add it to broker.plugins',
        ),
    ],
)
def test_one_problem_is_one_line(text, line):
    assert refused(text) == f"broker.toml: {line}"


def test_a_long_or_unprintable_value_stays_on_one_short_line():
    line = refused(f'[server]\nlog_level = "\\u001b[31m\\n{"x" * 500}"')

    assert "\n" not in line
    assert "\x1b" not in line
    assert line.startswith("broker.toml: server.log_level: ")
    assert line.endswith('; got "\\u001b[31m\\n' + "x" * 107 + "…")


def test_a_value_from_elsewhere_says_from_where(directory, monkeypatch):
    secrets = directory / "secrets"
    (secrets / "server").mkdir(parents=True)
    (secrets / "server" / "host").write_text("")
    (secrets / "severe").write_text("hunter2")
    monkeypatch.setenv("BROKER_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("BROKER__SERVER__PROT", "hunter2")
    monkeypatch.setenv("BROKER__SERVR__A__B", "hunter2")
    monkeypatch.setenv("BROKER__PORT", "hunter2")
    monkeypatch.setenv("BROKER__SERVER__PORT", "http")
    monkeypatch.setenv("BROKER__BROKER__PLUGINS", "log,rest,log")
    monkeypatch.setenv("LEVEL", "loud")

    lines = refused(
        '[server]\nlog_level = { env = "LEVEL" }',
        overrides={"server": {"shutdown_seconds": -1}},
    ).splitlines()

    assert sorted(lines[1:]) == [
        '  broker.plugins[2]: "log" is listed twice; remove one '
        "(environment variable BROKER__BROKER__PLUGINS)",
        '  port: unknown table; known are "server", "broker", "log", "traces", "plugins" '
        "(environment variable BROKER__PORT)",
        "  server.host: expected a string of at least 1 character; got ******** "
        "(secret server/host)",
        '  server.log_level: expected one of "debug", "info", "warning", "error", "critical"; '
        "got ******** (environment variable LEVEL)",
        '  server.port: expected an integer from 0 to 65535; got "http" '
        "(environment variable BROKER__SERVER__PORT)",
        '  server.prot: unknown key; did you mean "port"? '
        "(environment variable BROKER__SERVER__PROT)",
        "  server.shutdown_seconds: expected a number from 0 to 3600; got -1 (command line)",
        '  servr: unknown table; did you mean "server"? (environment variable BROKER__SERVR__A__B)',
        '  severe: unknown table; did you mean "server"? (secret severe)',
    ]


def test_text_that_is_no_utf8_in_the_environment_is_refused_printably(monkeypatch):
    monkeypatch.setenv("BROKER__SERVER__HOST", os.fsdecode(b"\xff"))

    line = refused("")

    assert line == (
        "broker.toml: server.host: expected a string of at least 1 character; "
        'got "\\udcff" (environment variable BROKER__SERVER__HOST)'
    )


def test_a_table_in_one_variable_is_refused(monkeypatch):
    monkeypatch.setenv("BROKER__SERVER", '{"port": 1}')

    assert refused("") == (
        'broker.toml: server: expected a table; got "{\\"port\\": 1}" '
        "(environment variable BROKER__SERVER)"
    )


def test_a_broken_file_is_refused_with_line_and_column():
    assert refused("[server]\nport = = 1") == (
        "broker.toml: not valid TOML: Invalid value (at line 2, column 8)"
    )


def test_a_file_that_is_not_utf8_is_refused():
    Path("latin1.toml").write_bytes(b'[server]\nhost = "\xe9"\n')

    with pytest.raises(ConfigError) as caught:
        read_config(Path("latin1.toml"))

    assert str(caught.value) == "latin1.toml: not UTF-8 at byte 17; save it as UTF-8"


def test_a_missing_file_is_refused_with_the_remedy():
    with pytest.raises(ConfigError) as default:
        read_config()
    with pytest.raises(ConfigError) as explicit:
        read_config(Path("etc/mine.toml"))

    assert str(default.value) == 'broker.toml: no such file; "broker config init" writes one'
    assert str(explicit.value) == (
        'etc/mine.toml: no such file; "broker config init --path etc/mine.toml" writes one'
    )


def test_a_directory_is_no_config_file(directory):
    with pytest.raises(ConfigError) as caught:
        read_config(directory)

    assert str(caught.value) == f"{directory}: not a file"


def test_a_file_that_cannot_be_read_is_refused(monkeypatch):
    path = write("")

    def deny(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)

    with pytest.raises(ConfigError) as caught:
        read_config(path)

    assert str(caught.value) == "broker.toml: cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "FileNotFoundError: [Errno 2] No such file or directory"),
        (lambda path: path.write_text(""), "NotADirectoryError: [Errno 20] Not a directory"),
        (
            lambda path: (path.mkdir(), (path / "server__host").write_bytes(b"\xff")),
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0",
        ),
    ],
)
def test_a_bad_secrets_directory_is_refused(directory, monkeypatch, make, problem):
    secrets = directory / "secrets"
    make(secrets)
    monkeypatch.setenv("BROKER_SECRETS_DIR", str(secrets))

    assert refused("").startswith(f"BROKER_SECRETS_DIR: {secrets}: {problem}")


def test_a_table_of_a_plugin_that_is_not_enabled_is_a_warning():
    config = make_config(
        {
            "broker": {"plugins": ["storage_acme"], "disable": ["log"]},
            "plugins": {
                "storage_acm": {"secret": {"env": "NOT_SET"}},
                "log": {},
                "memory": {},
                "rest": {},
            },
        }
    )

    assert config.warnings == (
        'plugins.storage_acm: the plugin is not enabled; did you mean "storage_acme"?',
        "plugins.log: the plugin is not enabled; add it to broker.plugins",
    )


def test_a_config_does_not_show_secrets_in_its_repr():
    config = make_config({"plugins": {"rest": {"secret": "hunter2"}}})

    assert repr(config) == "Config(path=None, enabled=('rest', 'log', 'openapi'))"


def test_a_config_can_be_made_without_any_data():
    assert Config().enabled == make_config({}).enabled
    assert MASK == "********"
