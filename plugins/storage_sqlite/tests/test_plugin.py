"""The plugin: its hooks, its options, and what its README says of them."""

import logging
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import ValidationError

import broker_storage_sqlite
from broker import PluginContext
from broker.testing import BrokerFactory, ManualClock, assert_config_used
from broker_storage_sqlite.config import SQLiteConfig

README = Path(__file__).parent.parent / "README.md"


def context(data_dir: Path, **config: str) -> PluginContext:
    return PluginContext(
        name="storage_sqlite",
        config=SQLiteConfig(**config),  # type: ignore[arg-type]  # as a test may give it
        logger=logging.getLogger("broker.plugins.storage_sqlite"),
        clock=ManualClock(),
        data_dir=data_dir,
    )


def test_the_entry_point_leads_to_the_plugin() -> None:
    [found] = entry_points(group="broker.plugins", name="storage_sqlite")
    assert found.load() is broker_storage_sqlite


@pytest.mark.parametrize(
    ("config", "made"), [({}, "broker.db"), ({"path": "deep/x.db"}, "deep/x.db")]
)
async def test_a_relative_path_starts_at_the_data_directory(
    tmp_path: Path, config: dict[str, str], made: str
) -> None:
    storage = broker_storage_sqlite.provide_storage(context(tmp_path, **config))
    assert list(tmp_path.iterdir()) == []
    await storage.open()
    await storage.close()
    assert (tmp_path / made).is_file()


async def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "x.db"
    storage = broker_storage_sqlite.provide_storage(context(tmp_path / "data", path=str(path)))
    await storage.open()
    await storage.close()
    assert path.is_file()


@pytest.mark.parametrize(
    "options", [{"path": ""}, {"path": "a\0b"}, {"durability": "none"}, {"pth": "x"}]
)
def test_a_wrong_option_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        broker_storage_sqlite.config_schema()(**options)


def test_the_readme_lists_every_option_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", README.read_text(), re.MULTILINE)
    fields = SQLiteConfig.model_fields
    assert dict(rows) == {name: f'"{field.default}"' for name, field in fields.items()}


def test_commands_are_known_before_what_takes_long_to_import() -> None:
    code = 'import sys, broker_storage_sqlite; print({"sqlalchemy"} & set(sys.modules))'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


async def test_every_option_is_used(broker_factory: BrokerFactory) -> None:
    await assert_config_used(broker_factory, "storage_sqlite")
