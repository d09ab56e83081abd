"""Binding a plugin's table to its schema."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from broker.config.binding import bind
from broker.config.layers import Layers, Origin

AT = ("plugins", "acme")


def check_name(name: str) -> str:
    if name == "no":
        raise ValueError('must not be "no"')
    return name


class Login(BaseModel):
    user: str = "me"
    password: SecretStr = SecretStr("")


class Tls(BaseModel):
    kind: Literal["tls"]
    cert: Path


class Plain(BaseModel):
    kind: Literal["plain"]


class Acme(BaseModel):
    # A schema that would let anything pass: the core does not.
    model_config = ConfigDict(extra="allow")

    path: Path = Path("acme.db")
    login: Login = Login()
    logins: dict[str, Login] = {}
    servers: list[Login] = []
    secret: Annotated[SecretStr, Field(min_length=8)] | None = None
    sizes: list[StrictInt] = []
    rate: StrictFloat = 1.0
    flag: bool = False
    level: Literal[1, 2] = 1
    mode: Literal["full", "os"] = "full"
    either: int | list[str] = 1
    leeway: timedelta = timedelta()
    channel: Annotated[Tls | Plain, Field(discriminator="kind")] = Plain(kind="plain")
    even: int = 0
    odd: int = 1
    renamed: int = Field(default=0, alias="re-named")
    labels: dict[str, Any] = {}

    @field_validator("even")
    @classmethod
    def check_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even,\nand is not")
        return value

    @field_validator("odd")
    @classmethod
    def check_odd(cls, value: int) -> int:
        if not value % 2:
            raise PydanticCustomError("odd", "must be odd")
        return value


def bound(table, schema=Acme, origin=None):
    layers = Layers()
    layers.add({"plugins": {"acme": table}}, origin)
    return bind(schema, layers.values["plugins"]["acme"], at=AT, layers=layers)


def lines(table, schema=Acme, origin=None):
    model, problems = bound(table, schema, origin)
    assert model is None
    return [str(problem) for problem in problems]


def as_text(_path):
    return Origin(label="environment variable X", text=True)


def test_each_secret_in_a_file_that_everybody_can_read_is_a_problem():
    login = {"user": "you", "password": "hunter2"}
    table = {
        "path": "x",
        "secret": "hunter2 and more",
        "login": login,
        "logins": {"a": login},
        "servers": [{}, login],
    }

    found = lines(table, origin=lambda _path: Origin(open_file=Path("my broker.toml")))

    remedy = (
        "a secret, in a file that everybody on this machine can read; \"chmod 600 'my broker.toml'"
        '", or refer to it by { env = "NAME" } or { file = "path" }'
    )
    keys = ["secret", "login.password", "logins.a.password", "servers[1].password"]
    assert found == [f"plugins.acme.{key}: {remedy}" for key in keys]


def test_a_sound_table_becomes_the_model():
    model, problems = bound({"path": "x", "login": {"user": "you"}, "re-named": 5})

    assert problems == []
    assert model == Acme(path="x", login=Login(user="you"), **{"re-named": 5})


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"pth": 1}, 'pth: unknown key; did you mean "path"?'),
        # By its alias only is a key known.
        ({"renamed": 1}, 'renamed: unknown key; did you mean "re-named"?'),
        ({"login": {"usr": 1}}, 'login.usr: unknown key; did you mean "user"?'),
        ({"logins": {"a": {"x": 1}}}, 'logins.a.x: unknown key; known are "user", "password"'),
        ({"servers": [{}, {"x": 1}]}, 'servers[1].x: unknown key; known are "user", "password"'),
        ({"path": 1}, "path: expected a path; got 1"),
        ({"login": 1}, "login: expected a table; got 1"),
        ({"servers": {}}, "servers: expected an array of tables; got {}"),
        ({"sizes": [1, "x"]}, 'sizes[1]: expected an integer; got "x"'),
        ({"rate": True}, "rate: expected a number; got true"),
        ({"level": 3}, "level: expected one of 1, 2; got 3"),
        (
            {"mode": "fulll"},
            'mode: expected one of "full", "os"; got "fulll"; did you mean "full"?',
        ),
        ({"mode": "x"}, 'mode: expected one of "full", "os"; got "x"'),
        ({"either": {}}, "either: expected an integer or an array of strings; got {}"),
        ({"either": [1]}, "either[0]: expected a string; got 1"),
        (
            {"leeway": "soon"},
            'leeway: expected a duration (seconds, or ISO 8601 such as "PT30S"); got "soon"',
        ),
        (
            {"channel": {"kind": "none"}},
            "channel: Input tag 'none' found using 'kind' does not match any of the expected "
            "tags: 'tls', 'plain'; got {\"kind\": \"none\"}",
        ),
        ({"channel": {"kind": "tls"}}, "channel.cert: missing; expected a path"),
        ({"even": 3}, "even: must be even, and is not; got 3"),
        ({"odd": 2}, "odd: must be odd; got 2"),
        ({"re-named": "x"}, 're-named: expected an integer; got "x"'),
    ],
)
def test_a_problem_names_key_and_value_and_what_is_allowed(table, line):
    assert lines(table) == [f"plugins.acme.{line}"]


MIB = Annotated[ByteSize, Field(ge=2**20)]
FEW = Annotated[int, AfterValidator(abs), Field(gt=0, lt=10, multiple_of=2)]


class Bounded(BaseModel):
    size: MIB = ByteSize(2**20)
    maximum: MIB | None = None
    room: Literal["all"] | MIB = "all"
    few: FEW = 2
    most: Annotated[int, AfterValidator(abs), Field(le=10)] = 2
    pause: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(1)
    either: Literal["x"] | Annotated[int, Field(ge=10)] = "x"
    named: Literal["x"] | Annotated[str, AfterValidator(check_name)] = "x"


@pytest.mark.parametrize(
    ("table", "line"),
    [
        # JSON Schema has no word for these bounds.
        ({"size": "1KiB"}, 'size: expected at least 1048576; got "1KiB"'),
        ({"maximum": "1KiB"}, 'maximum: expected at least 1048576; got "1KiB"'),
        ({"few": 0}, "few: expected more than 0; got 0"),
        ({"few": 10}, "few: expected less than 10; got 10"),
        ({"few": 3}, "few: expected a multiple of 2; got 3"),
        ({"most": 11}, "most: expected at most 10; got 11"),
        ({"pause": 0}, "pause: expected more than 0 seconds; got 0"),
        # Of a union, whoever found the type right knows what is wrong.
        ({"room": "1KiB"}, 'room: expected at least 1048576; got "1KiB"'),
        ({"named": "no"}, 'named: must not be "no"; got "no"'),
        ({"size": "1x"}, 'size: could not interpret byte unit: x; got "1x"'),
        # What all members want is told where that is all there is to tell.
        (
            {"room": []},
            'room: expected "all" or a size such as "64MiB" or an integer of at least 0; got []',
        ),
        ({"either": 1}, 'either: expected "x" or an integer of at least 10; got 1'),
    ],
)
def test_the_bound_that_a_value_is_beyond_is_told(table, line):
    assert lines(table, Bounded) == [f"plugins.acme.{line}"]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"secret": "hunter2"}, "secret: expected a string of at least 8 characters; got ********"),
        ({"login": {"password": 1}}, "login.password: expected a string; got ********"),
        (
            {"logins": [{"password": "hunter2"}]},
            'logins: expected a table; got ["********"]',
        ),
        (
            {"login": [{"password": "hunter2"}]},
            'login: expected a table; got ["********"]',
        ),
        (
            {"servers": {"password": "hunter2"}},
            'servers: expected an array of tables; got {"password": "********"}',
        ),
        ({"passwrd": "hunter2"}, "passwrd: unknown key"),
    ],
)
def test_a_secret_is_never_shown(table, line):
    [found] = lines(table)

    assert found.startswith(f"plugins.acme.{line}")
    assert "hunter2" not in found


def test_a_refused_table_is_shown_without_its_secrets():
    class Pair(BaseModel):
        user: str = ""
        password: SecretStr = SecretStr("")

        @model_validator(mode="after")
        def check(self):
            raise ValueError("user and password go together")

    assert lines({"user": "me", "password": "hunter2"}, Pair) == [
        'plugins.acme: user and password go together; got {"user": "me", "password": "********"}'
    ]


def test_what_a_reference_gave_is_never_shown(monkeypatch):
    monkeypatch.setenv("SIZE", "hunter2")

    assert lines({"sizes": [{"env": "SIZE"}], "even": {"env": "SIZE"}}) == [
        "plugins.acme.sizes[0]: expected an integer; got ******** (environment variable SIZE)",
        "plugins.acme.even: expected an integer; got ******** (environment variable SIZE)",
    ]


def test_a_missing_reference_is_the_only_problem_of_its_key():
    class Strict(BaseModel):
        needed: str
        number: int

    assert lines({"needed": {"env": "NOT_SET"}, "number": {"file": "no"}}, Strict) == [
        'plugins.acme.needed: environment variable "NOT_SET" is not set',
        'plugins.acme.number: cannot read file "no": No such file or directory',
    ]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("sizes", "1, 2", [1, 2]),
        ("sizes", "[1, 2]", [1, 2]),
        ("sizes", "", []),
        ("rate", "0.5", 0.5),
        ("rate", "2", 2.0),
        ("flag", "yes", True),
        ("level", "2", 2),
        ("either", "5", 5),
        ("either", "a,b", ["a", "b"]),
        ("leeway", "30", timedelta(seconds=30)),
        ("login", '{"user": "you"}', Login(user="you")),
        ("labels", '{"a": 1}', {"a": 1}),
        ("secret", "12345678", SecretStr("12345678")),
    ],
)
def test_text_is_read_as_what_the_schema_wants(key, text, value):
    model, problems = bound({key: text}, origin=as_text)

    assert problems == []
    assert getattr(model, key) == value


@pytest.mark.parametrize(
    ("key", "text", "line"),
    [
        ("sizes", "1,x", 'sizes[1]: expected an integer; got "x"'),
        ("sizes", "[1", 'sizes: expected an array of integers; got "[1"'),
        ("rate", "fast", 'rate: expected a number; got "fast"'),
        ("flag", "maybe", 'flag: expected true or false; got "maybe"'),
        ("level", "3", "level: expected one of 1, 2; got 3"),
        ("login", "[]", "login: expected a table; got []"),
    ],
)
def test_text_that_cannot_be_read_so_is_refused(key, text, line):
    assert lines({key: text}, origin=as_text) == [f"plugins.acme.{line} (environment variable X)"]


def test_text_of_the_file_is_not_read_as_something_else():
    assert lines({"sizes": "1,2"}) == [
        'plugins.acme.sizes: expected an array of integers; got "1,2"'
    ]


def test_a_schema_that_breaks_is_the_problem_of_its_plugin():
    class Broken(BaseModel):
        key: int = 0

        @field_validator("key")
        @classmethod
        def check(cls, value):
            raise KeyError("oops")

    assert lines({"key": 1}, Broken) == ["plugins.acme: its schema failed: KeyError: 'oops'"]


def test_the_table_itself_is_left_as_it_was():
    table = {"sizes": "1,2"}

    bound(table, origin=as_text)

    assert table == {"sizes": "1,2"}
