"""What pydantic-settings reads for us: the file, the environment, a directory of secrets."""

from __future__ import annotations

import os
import shlex
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from broker.config.layers import LITERAL, Origin
from broker.errors import ConfigError
from broker.wording import KeyPath, described

PREFIX = "BROKER__"
DELIMITER = "__"


class _Sections(BaseSettings):
    model_config = SettingsConfigDict(case_sensitive=True)

    server: dict[str, Any] = {}
    broker: dict[str, Any] = {}
    traces: dict[str, Any] = {}
    plugins: dict[str, dict[str, Any]] = {}


class _KeepsText:
    # "007" may be a password: only a field that wants something else than text reads it as such.
    def decode_complex_value(self, _name: str, _field: FieldInfo, value: Any) -> Any:
        return value


class _Environment(_KeepsText, EnvSettingsSource):
    pass


class _Secrets(_KeepsText, NestedSecretsSettingsSource):
    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        found = super().load_secrets(path)
        return {name.replace(os.sep, DELIMITER): text for name, text in found.items()}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; raises ConfigError naming what is wrong with it."""
    try:
        if not path.is_file():
            raise ConfigError(_no_file(path))
        return TomlConfigSettingsSource(_Sections, path)()
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def read_environment() -> dict[str, Any]:
    """Return what variables such as `BROKER__SERVER__PORT` say; every value is a string."""
    source = _Environment(
        _Sections, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter=DELIMITER
    )
    return _with_unknown(source, PREFIX)


def read_secrets(directory: Path) -> dict[str, Any]:
    """Return what the files of a directory say: `plugins/auth_jwt/secret`, or the same name
    with `__` for `/`; every value is a string, stripped."""
    try:
        # The library takes a directory that it may not list for an empty one.
        next(directory.iterdir(), None)
        source = _Secrets(
            _Sections,  # type: ignore[arg-type]  # the library takes the class too, and says so
            secrets_dir=directory,
            secrets_case_sensitive=False,
            secrets_prefix="",
            secrets_nested_delimiter=DELIMITER,
        )
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        raise ConfigError(f"BROKER_SECRETS_DIR: {directory}: {described(error)}") from error
    return _with_unknown(source, "")


def from_file(path: Path) -> Callable[[KeyPath], Origin]:
    """Tell of a value in the file whether everybody on this machine can read it."""
    open_to_all = path.stat().st_mode & stat.S_IROTH
    origin = Origin(open_file=path) if open_to_all else LITERAL
    return lambda _path: origin


def from_environment(path: KeyPath) -> Origin:
    """Name the variable that a value came from."""
    name = DELIMITER.join(str(part) for part in path).upper()
    return Origin(label=f"environment variable {PREFIX}{name}", text=True)


def from_secrets(directory: Path) -> Callable[[KeyPath], Origin]:
    """Name the secret that a value came from, and its file."""
    files = {_key_of(file.relative_to(directory)): file for file in directory.rglob("*")}

    def origin(path: KeyPath) -> Origin:
        name = "/".join(str(part) for part in path)
        return Origin(label=f"secret {name}", text=True, secret=True, file=files.get(_key_of(name)))

    return origin


def _key_of(name: str | Path) -> str:
    return str(name).replace(os.sep, DELIMITER).lower()


def from_command_line(_path: KeyPath) -> Origin:
    """Say that a value was an option of the command."""
    return Origin(label="command line")


def _with_unknown(source: EnvSettingsSource, prefix: str) -> dict[str, Any]:
    # The library looks for the sections it knows; a misspelt one must be refused, not ignored.
    values = source()
    prefix = prefix.lower()
    for name, text in source.env_vars.items():
        section = name.removeprefix(prefix).split(DELIMITER)[0]
        if name.startswith(prefix) and section not in _Sections.model_fields:
            rest = name.removeprefix(prefix).removeprefix(section).removeprefix(DELIMITER)
            values[section] = {rest: text} if rest else text
    return values


def _no_file(path: Path) -> str:
    if path.exists():
        return f"{path}: not a file"
    option = "" if path == Path("broker.toml") else f" --path {shlex.quote(str(path))}"
    return f'{path}: no such file; "broker config init{option}" writes one'
